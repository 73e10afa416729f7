// SPDX-License-Identifier: Apache-2.0
// Who has a host (invariant 3). The machine backend and the TSCluster controller claim; only this controller makes a host free.
import { isDeepStrictEqual } from 'node:util';
import { TSHostKind } from '../../api/kinds.ts';
import {
  APPROVE_REPAIR_ANNOTATION,
  HOLD_KUBELET_ANNOTATION,
  REBOOT_ANNOTATION,
  TSHOST_FINALIZER,
} from '../../api/labels.ts';
import { hostProviderID } from '../../api/provider-id.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { HostOwner } from '../../backends/host-driver.ts';
import { instanceIDOf } from '../../backends/host-inventory.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { ApiError } from '../../runtime/errors.ts';
import { addFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';

/** The claim of a host that somebody has; `undefined` when it is free. */
export function claimOf(host: TSHost): HostClaim | undefined {
  return host.spec.claim?.for === undefined ? undefined : host.spec.claim;
}

/** First 8 hex digits that stand for the claim, on the host and in the providerID. Survives a move, since no UID is in it. */
export function instanceOf(claim: HostClaim): string {
  const { namespace = '', name = '' } = claim.cluster ?? {};
  return instanceIDOf(claim.clientToken ?? `${namespace}/${name}`);
}

/** The claim as the host itself records it. */
export function ownerOf(claim: HostClaim): HostOwner {
  return { token: instanceOf(claim), generation: claim.generation };
}

/** The providerID of the machine that a claim stands for. */
export function providerIDOf(host: TSHost, claim: HostClaim): string {
  return hostProviderID({ ...nameOf(host), instanceID: instanceOf(claim) });
}

/** Name of the job on the host that makes a Node of it: the same for every look at it, another one for each claim. */
export function bootstrapJobID(claim: HostClaim): string {
  return `bootstrap-${claim.generation}-${instanceOf(claim)}`;
}

/** Who has the host, for people. */
export function claimantOf(claim: HostClaim): string {
  const { kind, owner } =
    claim.for === 'LoadBalancer'
      ? { kind: 'TSCluster', owner: claim.cluster }
      : { kind: 'TSMachine', owner: claim.machine };
  return `${kind} ${owner === undefined ? '(unknown)' : keyOf(owner)}`;
}

/**
 * To be called before every act on a host: the API server still says what our copy says of who has it, and nobody has put it into
 * maintenance. Answers what the API server has; else throws the conflict that ends the pass, and the watch then brings what is new.
 */
export async function confirmClaim(
  ctx: Ctx,
  { object }: { readonly object: TSHost },
  { client }: { readonly client: Client },
): Promise<TSHost> {
  const now = await client.get(TSHostKind, nameOf(object), ctx.signal);
  if (now === undefined || !isDeepStrictEqual(decisive(now), decisive(object))) {
    const message = `TSHost ${keyOf(nameOf(object))} changed before anything was done on the host`;
    throw new ApiError(409, 'Conflict', message);
  }
  return now;
}

function decisive({ metadata, spec }: TSHost): unknown[] {
  return [metadata.uid, spec.claim, spec.maintenance === true];
}

/** What was asked for the machine on a host must not hit the next one. */
const ASKED_FOR_MACHINE = [APPROVE_REPAIR_ANNOTATION, REBOOT_ANNOTATION, HOLD_KUBELET_ANNOTATION];

/** Makes our copy free and lets go of it; the pass's own write stores that. The generation stays, so that no claim has two meanings. */
export function freeClaim({ object }: { readonly object: TSHost }): void {
  const claim = claimOf(object);
  removeFinalizer(object, TSHOST_FINALIZER);
  for (const name of ASKED_FOR_MACHINE) delete object.metadata.annotations?.[name];
  if (claim === undefined) return;
  const previous = claim.for === 'Machine' ? instanceOf(claim) : claim.previous;
  object.spec.claim = { generation: claim.generation, ...(previous !== undefined && { previous }) };
}

/** A host that somebody has is held, a free one is not: a TSHost in use does not go before its machine. */
export function holdWhileClaimed(object: TSHost): void {
  if (claimOf(object) === undefined) removeFinalizer(object, TSHOST_FINALIZER);
  else addFinalizer(object, TSHOST_FINALIZER);
}
