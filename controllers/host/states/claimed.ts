// SPDX-License-Identifier: Apache-2.0
// A host that somebody has claimed and on which nothing has begun. Everything that must be true before the first step is asked here.
import { Reason } from '../../../api/conditions.ts';
import type { HostClaim } from '../../../api/tshost.ts';
import type { HostReport } from '../../../backends/host-driver.ts';
import { isDeleting } from '../../../contract/served.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { memberIsIn } from '../balancer-members.ts';
import { bootstrapJobID, claimantOf, ownerOf } from '../claim.ts';
import { machineMissing, presentClaim, saysOwner, takeBack } from '../claimed-host.ts';
import { type ClaimingMachine, machineOfClaim } from '../machine.ts';
import { nodeAddress } from '../node-address.ts';
import { planOperation, preparationJobID } from '../operation.ts';
import { isPrepared, type WantedPreparation, wantedPreparation, wrongClock } from '../preparation.ts';
import { notExactly, notPrepared, patchDifference } from '../prepared.ts';
import { dirtyError, probeHost, recordOccupants } from '../probe.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';
import { versionSkew } from '../skew.ts';
import { joinVirtualIP } from '../virtual-ip.ts';
import { claimedForBalancer } from './load-balancer.ts';

/** For what no watch tells; a cheap look each. */
const AGREEMENT_POLL_MS = 10_000;
/** A member is taken in within a second or two; only the cache is asked. */
const BALANCER_POLL_MS = 1_000;
/** Machines are not watched here, Secrets by name nowhere. */
const UNWATCHED_POLL_MS = 15_000;
/** Somebody has to mend the host by hand. */
const MENDING_POLL_MS = 60_000;

/** One question after the other; the first that is not answered well is what the host waits for. */
export const claimed: StateHandler = async (ctx, scope, deps) => {
  const present = presentClaim(scope);
  if (!('claim' in present)) return present;
  const { claim } = present;
  if (claim.for === 'LoadBalancer') return claimedForBalancer(ctx, scope, deps);

  const owner = await machineOfClaim(ctx, { host: scope.object, claim }, deps);
  if (owner.agreement === 'lost') return takeBack(ctx, scope, claim);
  const waiting = strangers(scope, claim, owner) ?? leftAlone(scope, owner);
  if (waiting !== undefined) return waiting;
  return begin(ctx, scope, deps, { ...owner, claim });
};

/** What to say, and that nothing is done, while the machine does not name the host. */
function strangers(
  { object }: HostScope,
  claim: HostClaim,
  { agreement }: ClaimingMachine,
): Transition | undefined {
  switch (agreement) {
    case 'agreed':
      return undefined;
    case 'lost':
    case 'notYet':
      return {
        state: 'Claimed',
        pollMs: AGREEMENT_POLL_MS,
        message: `Waiting for ${claimantOf(claim)} to name the host in spec.providerID`,
      };
    case 'missing':
    case 'namesake':
      return { state: 'Claimed', error: machineMissing(object, claim, agreement) };
  }
}

/** Reasons to begin nothing that have nothing to do with the host's condition. Watches tell when they end. */
function leftAlone({ object }: HostScope, owner: ClaimingMachine): Transition | undefined {
  if (owner.object !== undefined && isDeleting(owner.object))
    return {
      state: 'Claimed',
      message: 'The machine is being deleted; waiting for it to give the host back',
    };
  if (owner.paused !== '') return { state: 'Claimed', message: `Left alone: ${owner.paused}` };
  if (owner.machine === undefined)
    return {
      state: 'Claimed',
      pollMs: AGREEMENT_POLL_MS,
      message: 'Waiting for the Machine of the TSMachine',
    };
  return object.spec.maintenance === true
    ? { state: 'Claimed', message: 'In maintenance: nothing is started on the host' }
    : undefined;
}

type Owner = ClaimingMachine & { readonly claim: HostClaim };

/** First the host itself, then what others have to do before it may begin. One that is adopted has begun long ago. */
async function begin(ctx: Ctx, scope: HostScope, deps: HostDeps, owner: Owner): Promise<Transition> {
  const { object } = scope;
  // A host that was not looked at yet has no address under which it could be a member.
  if (nodeAddress(object) === undefined) await probeHost(ctx, scope, deps);
  const isNew = !isToAdopt(scope, owner);
  const skew = isNew ? versionSkew(deps.cache, owner) : undefined;
  if (skew !== undefined) return { state: 'Claimed', pollMs: UNWATCHED_POLL_MS, error: skew };
  const wanted = isNew ? await wantedPreparation(ctx, object, owner, deps) : undefined;
  if (wanted !== undefined && 'error' in wanted)
    return { state: 'Claimed', pollMs: UNWATCHED_POLL_MS, error: wanted.error };
  const waiting = mayBeReady(scope, wanted) ? await memberIsIn(ctx, object, owner, deps) : '';
  if (waiting !== '') return waitForBalancer(waiting);
  const report = scope.report ?? (await probeHost(ctx, scope, deps));
  return judge(ctx, scope, deps, { owner, report, wanted });
}

/** Good enough to wait for others with: the host is asked again behind them. */
function mayBeReady({ object }: HostScope, wanted: WantedPreparation | undefined): boolean {
  return wanted === undefined || object.status?.preparation?.hash === wanted.hash;
}

interface Seen {
  readonly owner: Owner;
  readonly report: HostReport;
  readonly wanted: WantedPreparation | undefined;
}

/** What the host says of itself right before anything is begun. */
async function judge(ctx: Ctx, scope: HostScope, deps: HostDeps, seen: Seen): Promise<Transition> {
  const { object } = scope;
  const { owner, report, wanted } = seen;
  if (!saysOwner(report, ownerOf(owner.claim))) {
    if (isToAdopt(scope, owner)) return adopt(scope, report);
    recordOccupants(object, report.occupants);
    if (report.occupants.length > 0) return toMend(dirtyError(report.occupants, DIRTY_ADVICE));
  }
  recordOccupants(object, []);
  if (wanted !== undefined && !isPrepared(report.preparation, wanted)) {
    const wrong = wrongClock(report.facts, wanted);
    return wrong === undefined ? beginPreparation(ctx, scope, owner.claim, wanted) : toMend(wrong);
  }
  const missing = notFit(report, seen);
  if (missing !== '') return toMend({ reason: Reason.HostNotPrepared, message: missing });
  const sharing = await joinVirtualIP(ctx, scope, deps, owner);
  if (sharing !== undefined) return { state: 'Claimed', ...sharing };
  tellPatchDifference(scope, deps, owner);
  planOperation(scope, { id: bootstrapJobID(owner.claim), kind: 'Bootstrap', attempt: 1 }, ctx.clock);
  return { state: 'Bootstrapping' };
}

function beginPreparation(
  ctx: Ctx,
  scope: HostScope,
  claim: HostClaim,
  { hash }: WantedPreparation,
): Transition {
  const id = preparationJobID('prepare', claim, { attempt: 1, hash });
  planOperation(scope, { id, kind: 'Prepare', attempt: 1 }, ctx.clock);
  return { state: 'Preparing' };
}

function toMend(error: NonNullable<Transition['error']>): Transition {
  return { state: 'Claimed', pollMs: MENDING_POLL_MS, error };
}

function waitForBalancer(message: string): Transition {
  return { state: 'Claimed', pollMs: BALANCER_POLL_MS, reason: Reason.WaitingForLoadBalancer, message };
}

function isToAdopt({ object }: HostScope, owner: ClaimingMachine): boolean {
  return object.spec.adopt === true && owner.object?.spec.host?.adopt === true;
}

const DIRTY_ADVICE = 'clean it by hand, or delete the Machine to have another host taken';

/** What of the software is missing. A host that says that it began to become the machine had all of it then. */
function notFit({ facts, ...report }: HostReport, { owner, wanted }: Seen): string {
  if (wanted !== undefined) return notExactly(facts.software, wanted.input.kubernetesVersion);
  const hasBegun = saysOwner({ facts, ...report }, ownerOf(owner.claim));
  return hasBegun ? '' : notPrepared(facts.software, owner.machine?.spec.version);
}

/** The Node is there already; whoever said so on both sides is believed, unless the host is empty. */
function adopt(scope: HostScope, { occupants }: HostReport): Transition {
  if (occupants.some(({ running }) => running)) {
    recordOccupants(scope.object, []);
    return { state: 'Provisioned' };
  }
  const message =
    'The host is to be adopted with its Node, and no Node runs on it; start it, or take spec.adopt off and delete the Machine';
  return {
    state: 'Claimed',
    pollMs: MENDING_POLL_MS,
    error: { reason: Reason.HostNotPrepared, message },
  };
}

function tellPatchDifference(
  { object }: HostScope,
  { events }: HostDeps,
  { machine }: ClaimingMachine,
): void {
  const note = patchDifference(object.status?.software ?? {}, machine?.spec.version);
  if (note === '') return;
  events.event(object, { type: 'Normal', reason: Reason.PatchVersionDiffers, action: 'Bootstrap', note });
}
