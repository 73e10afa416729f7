// SPDX-License-Identifier: Apache-2.0
// Available: free, and clean when last looked at.
import { claimOf } from '../claim.ts';
import { probeHost } from '../probe.ts';
import type { HostScope, StateHandler } from '../scope.ts';
import { whereFree } from './registering.ts';

/** Another address, adoption taken off, maintenance that ended while no manager ran: what was seen is not what is there. */
function hasChanged({ object: { metadata, spec, status } }: HostScope): boolean {
  return spec.maintenance !== true && status?.observedGeneration !== metadata.generation;
}

export const available: StateHandler = async (ctx, scope, deps) => {
  if (claimOf(scope.object) !== undefined) return { state: 'Claimed' };
  if (!scope.probeDue && !hasChanged(scope)) return { state: 'Available' };
  return whereFree(scope, await probeHost(ctx, scope, deps));
};
