// SPDX-License-Identifier: Apache-2.0
// What all states of a claimed host ask alike.
import { Reason } from '../../api/conditions.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { HostOwner, HostReport } from '../../backends/host-driver.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Ctx } from '../../runtime/context.ts';
import { claimantOf, claimOf, freeClaim, ownerOf, providerIDOf } from './claim.ts';
import type { ClaimingMachine } from './machine.ts';
import { probeHost } from './probe.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';

/** The claim to work for, or where the host goes because it has ended or is being given back. */
export function presentClaim({ object }: HostScope): { readonly claim: HostClaim } | Transition {
  const claim = claimOf(object);
  if (claim === undefined) return { state: 'Registering' };
  return claim.releasing === true ? { state: 'Releasing' } : { claim };
}

/**
 * Frees a host that its claimant has never named and never will, or does not name while it gives the host back: since nothing begins
 * before both sides agree, and a providerID never changes, nothing of the claim can be on it. The host is not touched.
 */
export function takeBack(ctx: Ctx, scope: HostScope, claim: HostClaim): Transition {
  ctx.log.info({ claimant: claimantOf(claim) }, 'Freeing a host on which nothing was begun');
  freeClaim(scope);
  return { state: 'Registering' };
}

/** The host itself says that this very claim has begun on it. */
export function saysOwner({ owner }: HostReport, { token, generation }: HostOwner): boolean {
  return owner?.token === token && owner.generation === generation;
}

/** Nobody has taken back what the host was claimed for, and nobody wants it to be left alone. */
export function mayBegin(
  { object: host }: HostScope,
  { agreement, object, machine, paused }: ClaimingMachine,
): boolean {
  const isWanted = agreement === 'agreed' && object !== undefined && !isDeleting(object);
  return isWanted && machine !== undefined && paused === '' && host.spec.maintenance !== true;
}

/** What no host names: one that names nobody takes what is asked for in this name. */
const NOBODY: HostOwner = { token: 'nobody', generation: 0 };

/**
 * Whom the host may name when it is cleaned. The API server was asked a moment ago, and still this process may be late, or have been
 * restored from a backup: the host itself then knows whose it is by now. A free host, and one that was adopted, may have any owner left
 * on it: the one that is seen now.
 */
export async function cleanedOwner(
  ctx: Ctx,
  scope: HostScope,
  deps: Pick<HostDeps, 'driver'>,
): Promise<HostOwner> {
  const claim = claimOf(scope.object);
  if (claim !== undefined && scope.object.spec.adopt !== true) return ownerOf(claim);
  const { owner } = scope.report ?? (await probeHost(ctx, scope, deps));
  return owner ?? NOBODY;
}

/** A claimed host whose machine is not there is left alone: what runs on it may be somebody's. */
export function machineMissing(
  object: TSHost,
  claim: HostClaim,
  agreement: 'missing' | 'namesake',
): NonNullable<Transition['error']> {
  const what = agreement === 'missing' ? 'does not exist' : 'is another one of the same name';
  const message =
    `${claimantOf(claim)}, which claimed the host, ${what}; nothing is done with the host. Restore it, or take the host back ` +
    `with the annotation ${FORCE_RELEASE_ANNOTATION}: "${providerIDOf(object, claim)}"`;
  return { reason: Reason.MachineMissing, message };
}
