// SPDX-License-Identifier: Apache-2.0
// The host is what it was claimed for. Nothing is done to it; it is looked at now and then.
import { Reason } from '../../../api/conditions.ts';
import type { HostClaim } from '../../../api/tshost.ts';
import type { HostReport } from '../../../backends/host-driver.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { claimantOf, ownerOf } from '../claim.ts';
import { machineMissing, presentClaim, saysOwner, takeBack } from '../claimed-host.ts';
import { keepPrepared } from '../drift.ts';
import { type ClaimingMachine, machineAsCached, machineOfClaim } from '../machine.ts';
import { probeHost } from '../probe.ts';
import { rebootAsAsked } from '../reboot.ts';
import type { HostDeps, HostScope, StateHandler, Transition } from '../scope.ts';
import { keepVirtualIP } from '../virtual-ip.ts';
import { serveBalancer } from './load-balancer.ts';

/** The claim first, then what was asked for the host. */
export const provisioned: StateHandler = async (ctx, scope, deps) => {
  const present = presentClaim(scope);
  if (!('claim' in present)) return present;
  return (await rebootAsAsked(ctx, scope, deps, present.claim)) ?? serve(ctx, scope, deps, present.claim);
};

/** The machine first, then the host: one that is gone is worth telling even of a host that does not answer. */
async function serve(ctx: Ctx, scope: HostScope, deps: HostDeps, claim: HostClaim): Promise<Transition> {
  if (claim.for === 'LoadBalancer') return serveBalancer(ctx, scope, deps);

  const disagreement = await look(ctx, scope, deps, claim);
  if (disagreement !== undefined && disagreement.state !== 'Provisioned') return disagreement;
  // A move loses what was measured, and others wait for the addresses.
  const isUnknown = scope.object.status?.hardware === undefined;
  const report = scope.probeDue || isUnknown ? await probeHost(ctx, scope, deps) : undefined;
  const found = disagreement ?? (report === undefined ? unchanged(scope) : judged(scope, report, claim));
  if (found.error !== undefined) return found;
  const prepared = await keepPrepared(ctx, scope, deps, claim);
  return { ...found, ...prepared, ...(await share(ctx, scope, deps, { claim, pollMs: prepared.pollMs })) };
}

/** Applied again on schedule, since somebody may have changed it by hand. */
async function share(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { claim, pollMs = Infinity }: { readonly claim: HostClaim; readonly pollMs: number | undefined },
): Promise<Partial<Transition>> {
  const owner = machineAsCached(deps.cache, { host: scope.object, claim });
  const sharing = await keepVirtualIP(ctx, scope, deps, { ...owner, claim, again: scope.probeDue });
  if (sharing === undefined) return {};
  const { reason: _, ...waiting } = sharing;
  return { ...waiting, pollMs: Math.min(pollMs, waiting.pollMs ?? Infinity) };
}

/** What the last look at the host found stays until the next. */
function unchanged({ object: { status } }: HostScope): Transition {
  const error = status?.error?.reason === Reason.HostClaimedElsewhere ? status.error : undefined;
  return { state: 'Provisioned', ...(error && { error }) };
}

/** One that was adopted may name the owner of a former life, or nobody. */
function judged({ object }: HostScope, report: HostReport, claim: HostClaim): Transition {
  if (object.spec.adopt === true || report.owner === undefined || saysOwner(report, ownerOf(claim)))
    return { state: 'Provisioned' };
  const message = `The host says that it belongs to ${report.owner.token} (claim ${report.owner.generation}), and not to ${claimantOf(claim)}: see whether two TSHosts, or two management clusters, list the same host`;
  return { state: 'Provisioned', error: { reason: Reason.HostClaimedElsewhere, message } };
}

/** What is wrong between the host and its machine. Reads past the cache only when the cache says that something is not as it was. */
async function look(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  claim: HostClaim,
): Promise<Transition | undefined> {
  const { object } = scope;
  if (isAsRecorded(machineAsCached(deps.cache, { host: object, claim }), claim)) return undefined;
  const owner = await machineOfClaim(ctx, { host: object, claim }, deps);
  switch (owner.agreement) {
    case 'agreed':
      renewUID(object, claim, owner.object?.metadata.uid);
      return undefined;
    case 'missing':
    case 'namesake':
      return { state: 'Provisioned', error: machineMissing(object, claim, owner.agreement) };
    // After the status was lost, a host that is to be adopted comes here before its machine has named it.
    case 'notYet':
      return { state: 'Claimed' };
    case 'lost':
      return takeBack(ctx, scope, claim);
  }
}

function isAsRecorded({ agreement, object }: ClaimingMachine, { machine }: HostClaim): boolean {
  return agreement === 'agreed' && object?.metadata.uid === machine?.uid;
}

/** A move to another management cluster gives every object a new uid; token and providerID have proven that it is the same machine. */
function renewUID(object: HostScope['object'], claim: HostClaim, uid: string | undefined): void {
  if (claim.machine === undefined || uid === undefined || uid === claim.machine.uid) return;
  object.spec.claim = { ...claim, machine: { ...claim.machine, uid } };
}
