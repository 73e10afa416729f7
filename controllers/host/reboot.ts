// SPDX-License-Identifier: Apache-2.0
// Reboots a host that is in use because an annotation asks for it. Nothing is remembered but annotations and boot IDs, so that a manager may
// die at any line: what is repeated ends no boot but the one that was named.
import { isDeepStrictEqual } from 'node:util';
import { Reason } from '../../api/conditions.ts';
import { HOLD_KUBELET_ANNOTATION, REBOOT_ANNOTATION } from '../../api/labels.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { RebootRequest } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { ApiError, errorMessage, TransientError } from '../../runtime/errors.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { confirmClaim, ownerOf } from './claim.ts';
import { pausedClaimant } from './machine.ts';
import { SOON_MS } from './operation.ts';
import { probeHost } from './probe.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';

/** A host that boots is asked about this often. */
const BOOT_POLL_MS = 3_000;

const ASKED = [REBOOT_ANNOTATION, HOLD_KUBELET_ANNOTATION] as const;

/** Whether somebody wants a boot of the host to end: then it is no news that it does not answer. */
export function isToReboot({ metadata }: TSHost): boolean {
  return metadata.annotations?.[REBOOT_ANNOTATION] !== undefined;
}

/** To be called by the handler of a host in use, first of all: does what the annotations ask; `undefined` when they ask nothing. */
export async function rebootAsAsked(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  claim: HostClaim,
): Promise<Transition | undefined> {
  const { object } = scope;
  const hold = object.metadata.annotations?.[HOLD_KUBELET_ANNOTATION];
  const isAsked = isToReboot(object) || hold === 'release';
  if (!isAsked || object.spec.maintenance === true || pausedClaimant(deps.cache, object, claim) !== '')
    return undefined;
  await confirmAsked(ctx, scope, deps);
  if (isToReboot(object)) return endBoot(ctx, scope, deps, { claim, hold });
  await deps.driver.releaseKubelet(ctx, scope.access, ownerOf(claim));
  delete object.metadata.annotations?.[HOLD_KUBELET_ANNOTATION];
  return undefined;
}

/** The annotations as well: a reboot that nobody wants any more would hold a kubelet that nobody lets go. */
async function confirmAsked(ctx: Ctx, scope: HostScope, deps: HostDeps): Promise<void> {
  const now = await confirmClaim(ctx, scope, deps);
  if (isDeepStrictEqual(asked(now), asked(scope.object))) return;
  const message = `TSHost ${keyOf(nameOf(scope.object))} is asked for something else by now`;
  throw new ApiError(409, 'Conflict', message);
}

function asked({ metadata }: TSHost): unknown[] {
  return ASKED.map((name) => metadata.annotations?.[name]);
}

async function endBoot(
  ctx: Ctx,
  scope: HostScope,
  deps: HostDeps,
  { claim, hold }: { readonly claim: HostClaim; readonly hold: string | undefined },
): Promise<Transition | undefined> {
  const known = scope.object.status?.bootID;
  const owner = ownerOf(claim);
  const answer = await askForReboot(ctx, scope, deps, { owner, holdKubelet: isHeld(hold) });
  if (typeof answer !== 'string') return answer;
  // Who sees the annotation gone finds the new boot in the status: so that is written first.
  if (scope.object.status?.bootID !== known) return { ...rebooting('It has rebooted'), pollMs: SOON_MS };
  if (isHeld(hold) && answer === 'done') await deps.driver.releaseKubelet(ctx, scope.access, owner);
  answerAsked(scope.object, answer);
  return undefined;
}

/** How far it is, or what became of it; then the status has the boot that is there. */
async function askForReboot(
  ctx: Ctx,
  scope: HostScope,
  { driver, ...deps }: HostDeps,
  how: Pick<RebootRequest, 'owner' | 'holdKubelet'>,
): Promise<Transition | 'done' | 'held'> {
  const fromBootID = scope.object.metadata.annotations?.[REBOOT_ANNOTATION] ?? '';
  try {
    const answer = await driver.reboot(ctx, scope.access, { ...how, fromBootID });
    if (answer !== 'asked') {
      await probeHost(ctx, scope, { driver, ...deps });
      return answer;
    }
    ctx.log.info({ bootID: fromBootID }, 'The host reboots');
    return rebooting('It was told to reboot');
  } catch (error) {
    // On its way down and up nothing answers; how long that may take is up to who asked.
    if (error instanceof TransientError) return rebooting(`Not done yet: ${errorMessage(error)}`);
    throw error;
  }
}

function answerAsked({ metadata: { annotations = {} } }: TSHost, answer: 'done' | 'held'): void {
  delete annotations[REBOOT_ANNOTATION];
  if (!isHeld(annotations[HOLD_KUBELET_ANNOTATION])) return;
  if (answer === 'held') annotations[HOLD_KUBELET_ANNOTATION] = answer;
  else delete annotations[HOLD_KUBELET_ANNOTATION];
}

function isHeld(hold: string | undefined): boolean {
  return hold === 'hold' || hold === 'held';
}

function rebooting(message: string): Transition {
  return { state: 'Provisioned', reason: Reason.Rebooting, message, pollMs: BOOT_POLL_MS };
}
