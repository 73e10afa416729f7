// SPDX-License-Identifier: Apache-2.0
// What all states of a claimed host ask alike.
import { Reason } from '../../api/conditions.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { HostOwner, HostReport } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { claimantOf, claimOf, freeClaim, providerIDOf } from './claim.ts';
import type { HostScope, Transition } from './scope.ts';

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
