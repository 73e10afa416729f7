// SPDX-License-Identifier: Apache-2.0
// Available: free, and clean when last looked at.
import { claimOf } from '../claim.ts';
import { probeHost } from '../probe.ts';
import type { StateHandler } from '../scope.ts';
import { whereFree } from './registering.ts';

export const available: StateHandler = async (ctx, scope, deps) => {
  if (claimOf(scope.object) !== undefined) return { state: 'Claimed' };
  if (!scope.probeDue) return { state: 'Available' };
  return whereFree(scope, await probeHost(ctx, scope, deps));
};
