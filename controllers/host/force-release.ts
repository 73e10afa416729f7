// SPDX-License-Identifier: Apache-2.0
// The one way to give a machine up without proof that it is gone: asked for by a person, for this machine alone, and recorded.
import { Reason } from '../../api/conditions.ts';
import { CLEAN_ANNOTATION, FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { EventContent } from '../../runtime/events.ts';
import { claimantOf, claimOf, confirmClaim, freeClaim, instanceOf, providerIDOf } from './claim.ts';
import type { HostDeps, Transition } from './scope.ts';

/** What came of the annotation; the caller writes the object, then records the event. */
export interface ForceRelease {
  readonly event: EventContent;
  /** Where the host is then; absent when the annotation was refused. */
  readonly transition?: Transition;
}

/**
 * Does what {@link FORCE_RELEASE_ANNOTATION} asks, if it is there: frees our copy of a host whose present claim the annotation names,
 * whatever the host's state and whether or not it answers. The annotation is taken off in any case: it must not hit a later machine.
 */
export async function forceRelease(
  ctx: Ctx,
  object: TSHost,
  deps: Pick<HostDeps, 'client'>,
): Promise<ForceRelease | undefined> {
  const asked = object.metadata.annotations?.[FORCE_RELEASE_ANNOTATION];
  if (asked === undefined) return undefined;
  const refusal = refusalOf(object, asked);
  if (refusal === undefined) await confirmClaim(ctx, { object }, deps);
  const claim = claimOf(object);
  delete object.metadata.annotations?.[FORCE_RELEASE_ANNOTATION];
  if (refusal !== undefined || claim === undefined) {
    return { event: { ...WARNING, reason: Reason.ForceReleaseRefused, note: refusal ?? '' } };
  }
  const note = `${claimantOf(claim)} was made to give the host up without proof that nothing of it runs any more, as the annotation ${FORCE_RELEASE_ANNOTATION} asked`;
  freeClaim({ object });
  const message = `${note}; see that it is off, then set the annotation ${CLEAN_ANNOTATION}`;
  return {
    event: { ...WARNING, reason: Reason.ForceReleased, note },
    transition: { state: 'Quarantined', error: { reason: Reason.ForceReleased, message } },
  };
}

const WARNING = { type: 'Warning', action: 'ForceRelease' } as const;

/** Why the annotation does not name the present claim. */
function refusalOf(object: TSHost, asked: string): string | undefined {
  const claim = claimOf(object);
  if (claim === undefined)
    return `Nobody has the host; the annotation ${FORCE_RELEASE_ANNOTATION} was taken off`;
  const [providerID, instance] = [providerIDOf(object, claim), instanceOf(claim)];
  if (asked === providerID || asked === instance) return undefined;
  return `The annotation ${FORCE_RELEASE_ANNOTATION} names another machine than the one that has the host, ${providerID}; it was taken off`;
}
