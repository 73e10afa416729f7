// SPDX-License-Identifier: Apache-2.0
// Approves the serving certificates of kubelets on our hosts. Nothing is ever denied: another approver may know better.
import { Reason } from '../../api/conditions.ts';
import type { CertificateSigningRequest } from '../../api/cluster-api.ts';
import { CertificateSigningRequestKind } from '../../api/kinds.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isConflict, isNotFound } from '../../runtime/errors.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import type { Link } from './linking.ts';
import { othersOf } from './others.ts';
import type { NodeScope } from './scope.ts';
import { type KnownNames, nodeAsking, objection } from './serving-request.ts';

/** Looked into in one pass: a Node that asks without end must not hold up the others' clusters. */
const MAX_REQUESTS = 200;

/** Decides on every request of a kubelet whose Node is linked; all others are somebody else's, or too early. */
export async function approveServingCertificates(
  ctx: Ctx,
  scope: NodeScope,
  from: {
    readonly requests: readonly CertificateSigningRequest[];
    readonly byNode: ReadonlyMap<string, Link>;
  },
): Promise<void> {
  const pending = from.requests.flatMap((request) => {
    const link = from.byNode.get(nodeAsking(request) ?? '');
    const known = link && knownNames(link);
    return known === undefined || known.addresses.length === 0 ? [] : [{ request, link: link!, known }];
  });
  forgetDecided(scope, from.requests);
  const undecided = pending.filter(
    ({ request, known }) => scope.refused.get(uidOf(request)) !== JSON.stringify(known),
  );
  for (const { request, link, known } of undecided.slice(0, MAX_REQUESTS)) {
    const message = objection(request, known, othersOf(scope.cache, { ...scope, machine: link.machine }));
    if (message === undefined) await approve(ctx, scope, { request, known });
    else refuse(scope, { request, link, known, message });
  }
}

function knownNames({ machine, node }: Link): KnownNames {
  const addresses = machine.status?.addresses ?? [];
  return { nodeName: node.metadata.name, machine: keyOf(nameOf(machine)), addresses };
}

/** The API server forgets requests after a day; so do we. */
function forgetDecided({ refused }: NodeScope, requests: readonly CertificateSigningRequest[]): void {
  const present = new Set(requests.map(uidOf));
  for (const uid of refused.keys()) if (!present.has(uid)) refused.delete(uid);
}

async function approve(
  ctx: Ctx,
  { workload }: NodeScope,
  { request, known }: { request: CertificateSigningRequest; known: KnownNames },
): Promise<void> {
  const about = { CertificateSigningRequest: request.metadata.name, Node: known.nodeName };
  ctx.log.info(about, 'Approving serving certificate of a kubelet');
  const approval = {
    type: 'Approved',
    status: 'True',
    reason: 'AddressesMatch',
    message: `All names and addresses are those of TSMachine ${known.machine}`,
    lastUpdateTime: ctx.clock.now().toISOString(),
  };
  const { resourceVersion, uid } = request.metadata;
  const body = {
    metadata: { resourceVersion, uid },
    status: { conditions: [approval] },
  };
  try {
    await workload.patch(CertificateSigningRequestKind, nameOf(request), body, {
      subresource: 'approval',
      signal: ctx.signal,
    });
  } catch (error) {
    // Somebody else has decided, or it is gone: the next pass sees it.
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}

/** Told once for each request, unless what is known of the machine changes. */
function refuse(
  { told, refused }: NodeScope,
  {
    request,
    link,
    known,
    message,
  }: { request: CertificateSigningRequest; link: Link; known: KnownNames; message: string },
): void {
  refused.set(uidOf(request), JSON.stringify(known));
  const { name } = request.metadata;
  const note =
    `The request ${name} for the serving certificate of Node ${known.nodeName} ${message}; it is left alone. ` +
    `If it is right all the same: kubectl certificate approve ${name}`;
  told.warn(link.machine, { reason: Reason.ServingCertificateRefused, action: 'ApproveCertificate', note });
}

function uidOf({ metadata }: CertificateSigningRequest): string {
  return metadata.uid ?? metadata.name;
}
