// SPDX-License-Identifier: Apache-2.0
// The host becomes a Node: by a job of its own, which is started once and then asked how far it is.
import { Reason } from '../../../api/conditions.ts';
import type { HostClaim } from '../../../api/tshost.ts';
import type { JobProgress, Occupant } from '../../../backends/host-driver.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { bootstrapJobID, claimOf, confirmClaim, ownerOf, providerIDOf } from '../claim.ts';
import { mayBegin, presentClaim, saysOwner } from '../claimed-host.ts';
import { bootstrapDataFor, type ClaimingMachine, machineAsCached, machineOfClaim } from '../machine.ts';
import { nodeAddress } from '../node-address.ts';
import { failureOf, failureReason, JOB_POLL_MS, planOperation, showStage } from '../operation.ts';
import { probeHost } from '../probe.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';
import { keepVirtualIP } from '../virtual-ip.ts';

/** A Secret by name is not watched. */
const SECRET_POLL_MS = 15_000;

const FAILURES = {
  failed: Reason.BootstrapFailed,
  interrupted: Reason.BootstrapInterrupted,
  timedOut: Reason.BootstrapTimedOut,
};

/** Asks first and starts second: what the host says of the job counts, not what we remember. */
export const bootstrapping: StateHandler = async (ctx, scope, deps) => {
  const present = presentClaim(scope);
  if (!('claim' in present)) return present;
  const { claim } = present;
  if (claim.for !== 'Machine') return { state: 'Claimed' };

  const seen = await deps.driver.progress(ctx, scope.access, bootstrapJobID(claim));
  const isToStart = seen.state === 'none' || (seen.state === 'running' && seen.stopped === true);
  if (!isToStart) return sharing(ctx, scope, deps, follow(ctx, scope, claim, seen));
  const owner = await machineOfClaim(ctx, { host: scope.object, claim }, deps);
  if (mayBegin(scope, owner)) return start(ctx, scope, deps, { ...owner, claim, seen });
  // The gates of Claimed tell why not. What has begun and stopped, as in a reboot, stays what it is.
  return seen.state === 'none' ? { state: 'Claimed' } : STOPPED;
};

const STOPPED: Transition = {
  state: 'Bootstrapping',
  pollMs: 10_000,
  message: 'The bootstrap stopped in the middle; it goes on once the machine may be worked on again',
};

/** What the host says becomes the state. A bootstrap that failed stays: whoever owns the machine has it replaced. */
function follow(ctx: Ctx, scope: HostScope, claim: HostClaim, progress: JobProgress): Transition {
  const id = bootstrapJobID(claim);
  if (progress.state === 'succeeded') return { state: 'Provisioned' };
  if (scope.object.status?.operation?.id !== id)
    planOperation(scope, { id, kind: 'Bootstrap', attempt: 1 }, ctx.clock);
  if (progress.state === 'none') return { state: 'Bootstrapping', pollMs: JOB_POLL_MS };
  showStage(scope, progress.stage);
  if (progress.state === 'running')
    return { state: 'Bootstrapping', pollMs: JOB_POLL_MS, message: `Bootstrapping: ${progress.stage}` };
  const message = `${failureOf(id, progress)}; delete the Machine to have it replaced`;
  return { state: 'Bootstrapping', error: { reason: failureReason(progress, FAILURES), message } };
}

/** Others come and go meanwhile. */
async function sharing(ctx: Ctx, scope: HostScope, deps: HostDeps, found: Transition): Promise<Transition> {
  const { object: host } = scope;
  const claim = claimOf(host);
  if (claim === undefined || found.state !== 'Bootstrapping') return found;
  const owner = { ...machineAsCached(deps.cache, { host, claim }), claim };
  const wrong = await keepVirtualIP(ctx, scope, deps, { ...owner, again: false });
  return wrong?.error === undefined ? found : { error: wrong.error, ...found };
}

/** Looks once more whether it is right to begin: since the state was written something may have changed. */
async function start(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  owner: ClaimingMachine & { readonly claim: HostClaim; readonly seen: JobProgress },
): Promise<Transition> {
  const { object } = scope;
  const { claim } = owner;
  // What the gates of Claimed have seen in this very pass is good enough.
  const report = scope.report ?? (await probeHost(ctx, scope, deps));
  if (!saysOwner(report, ownerOf(claim)) && report.occupants.length > 0) return { state: 'Claimed' };
  if (owner.seen.state === 'none' && report.occupants.some(isLeft))
    return { state: 'Bootstrapping', error: NO_JOURNAL };
  const address = nodeAddress(object);
  if (address === undefined) return { state: 'Bootstrapping', error: NO_ADDRESS };
  const bootstrapData = await bootstrapDataFor(ctx, owner, deps.client);
  if ('error' in bootstrapData)
    return { state: 'Bootstrapping', pollMs: SECRET_POLL_MS, error: bootstrapData.error };

  // A reboot has taken the right to the address before there is an API server.
  const wrong = await keepVirtualIP(ctx, scope, deps, { ...owner, again: true });
  if (wrong !== undefined) return { ...wrong, state: 'Bootstrapping' };
  await confirmClaim(ctx, scope, deps);
  ctx.log.info({ claimant: claim.machine?.name, generation: claim.generation }, 'Bootstrapping host');
  const progress = await deps.driver.bootstrap(ctx, scope.access, {
    id: bootstrapJobID(claim),
    owner: ownerOf(claim),
    providerID: providerIDOf(object, claim),
    nodeAddress: address,
    data: bootstrapData.data,
  });
  return follow(ctx, scope, claim, progress);
}

/** What only a bootstrap that has begun leaves. */
function isLeft({ what, early }: Occupant): boolean {
  return what !== STATE_FOLDER && early !== true;
}

/** There as soon as the host is ours, before the first step. */
const STATE_FOLDER = '/var/lib/ts-provider';

const NO_JOURNAL = {
  reason: Reason.BootstrapInterrupted,
  message:
    'The host says that the bootstrap has begun, and its journal is not there any more; it must not run twice: delete the Machine to have it replaced',
};

const NO_ADDRESS = {
  reason: Reason.HostNotPrepared,
  message: 'No IP address was found on the host: give it one, or write an IP address into spec.ssh.address',
};
