// SPDX-License-Identifier: Apache-2.0
// Where a host is when its status does not say so, or says what its claim contradicts. Status can be lost (GEN-18); the claim
// and what the host itself says cannot.
import type { HostState } from '../../api/tshost-status.ts';
import type { HostClaim } from '../../api/tshost.ts';
import type { HostReport } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { bootstrapJobID, claimOf, ownerOf } from './claim.ts';
import { probeHost } from './probe.ts';
import type { HostDeps, HostScope } from './scope.ts';

/** States that nobody's host cannot be in. */
const OF_CLAIMED: readonly HostState[] = ['Claimed', 'Preparing', 'Bootstrapping', 'Provisioned'];

/** States that a claim ends without a word of ours. */
const OF_FREE: readonly HostState[] = ['Registering', 'Quarantined'];

/** The state whose handler is to run. Only reads. */
export async function stateOf(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<HostState> {
  const state = scope.object.status?.state;
  const claim = claimOf(scope.object);
  if (claim === undefined) return state === undefined || OF_CLAIMED.includes(state) ? 'Registering' : state;
  return state === undefined || OF_FREE.includes(state) ? stateOfClaimed(ctx, scope, deps, claim) : state;
}

async function stateOfClaimed(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  claim: HostClaim,
): Promise<HostState> {
  if (claim.releasing === true) return 'Releasing';
  if (claim.for !== 'Machine') return 'Claimed';
  const { state } = await deps.driver.progress(ctx, scope.access, bootstrapJobID(claim));
  switch (state) {
    case 'succeeded':
      return 'Provisioned';
    case 'running':
    case 'failed':
      return 'Bootstrapping';
    case 'none':
      return (await isMadeAlready(ctx, scope, deps, claim)) ? 'Provisioned' : 'Claimed';
  }
}

/** Adopted, or its journal is lost but the host still says whose Node it is. */
async function isMadeAlready(ctx: Ctx, scope: HostScope, deps: HostDeps, claim: HostClaim): Promise<boolean> {
  if (scope.object.spec.adopt === true) return true;
  const report = await probeHost(ctx, scope, deps);
  const owner = ownerOf(claim);
  const isOurs = report.owner?.token === owner.token && report.owner.generation === owner.generation;
  return isOurs && runsKubelet(report);
}

function runsKubelet({ occupants }: HostReport): boolean {
  return occupants.some(({ what, running }) => running && what.includes('kubelet'));
}
