// SPDX-License-Identifier: Apache-2.0
// Registering: nobody knows yet what is on the host. It is never Available before a probe in this life has proven it clean.
import type { HostReport } from '../../../backends/host-driver.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import type { HostScope, StateHandler, Transition } from '../scope.ts';

export const registering: StateHandler = async (ctx, scope, deps) => {
  if (scope.object.spec.maintenance === true) return { state: 'Registering' };
  return whereFree(scope, await probeHost(ctx, scope, deps));
};

/** Where a host that nobody has belongs, by what a probe found. One that is to be adopted is expected to be occupied. */
export function whereFree({ object }: HostScope, { occupants }: HostReport): Transition {
  const isExpected = occupants.length === 0 || object.spec.adopt === true;
  recordOccupants(object, isExpected ? [] : occupants);
  return isExpected ? { state: 'Available' } : { state: 'Quarantined', error: dirtyError(occupants) };
}
