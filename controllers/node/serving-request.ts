// SPDX-License-Identifier: Apache-2.0
// Which kubelets get a certificate for their HTTPS endpoint. Pure. The signer signs whatever is approved, so this is the only check of
// names and addresses that there is: a kubelet that could have another machine's would take over its logs and shells.
import type { CertificateSigningRequest } from '../../api/cluster-api.ts';
import type { MachineAddress } from '../../api/tsmachine.ts';
import { errorMessage } from '../../runtime/errors.ts';
import { type CertificateRequest, readCertificateRequest } from './certificate-request.ts';
import { canonicalIP } from './ip-address.ts';
import type { Others } from './others.ts';

/** Of requests for what a kubelet serves with. */
export const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';

const USER_PREFIX = 'system:node:';
const NODES_GROUP = 'system:nodes';
const ALLOWED_USAGES = ['digital signature', 'key encipherment', 'server auth'];

/** What is known of a machine and its Node, beside the Node's own word. */
export interface KnownNames {
  readonly nodeName: string;
  /** `namespace/name` of the TSMachine, for messages. */
  readonly machine: string;
  readonly addresses: readonly MachineAddress[];
}

/** Name of the Node whose kubelet asks for a serving certificate, while nobody has decided; `undefined` for all other requests. */
export function nodeAsking({ spec, status }: CertificateSigningRequest): string | undefined {
  const decided = (status?.conditions ?? []).length > 0 || (status?.certificate ?? '') !== '';
  if (decided || spec.signerName !== KUBELET_SERVING) return undefined;
  // The API server puts down who asks; the one who asks cannot.
  const { username = '' } = spec;
  return username.startsWith(USER_PREFIX) ? username.slice(USER_PREFIX.length) : undefined;
}

/** What stands against the request of the kubelet on this machine, as the end of a sentence; `undefined`: it may have it. */
export function objection(
  request: CertificateSigningRequest,
  known: KnownNames,
  others: Others = () => undefined,
): string | undefined {
  return objectionToForm(request) ?? objectionToContent(request, known, others);
}

function objectionToForm({ spec }: CertificateSigningRequest): string | undefined {
  const usages = spec.usages ?? [];
  if (!(spec.groups ?? []).includes(NODES_GROUP)) return `does not come from a member of ${NODES_GROUP}`;
  const odd = usages.find((usage) => !ALLOWED_USAGES.includes(usage));
  if (odd !== undefined) return `asks for the usage "${shown(odd)}"`;
  return usages.includes('server auth') ? undefined : 'does not ask for the usage "server auth"';
}

function objectionToContent(
  { spec }: CertificateSigningRequest,
  known: KnownNames,
  others: Others,
): string | undefined {
  let asked: CertificateRequest;
  try {
    asked = readCertificateRequest(spec.request);
  } catch (error) {
    return `cannot be trusted: ${errorMessage(error)}`;
  }
  if (asked.commonName !== spec.username || asked.commonName !== USER_PREFIX + known.nodeName)
    return `asks for the common name "${shown(asked.commonName)}"`;
  if (asked.organization !== NODES_GROUP) return `asks for the organization "${shown(asked.organization)}"`;
  return objectionToNames(asked, known) ?? objectionOfOthers(asked, others);
}

function objectionToNames(asked: CertificateRequest, known: KnownNames): string | undefined {
  if (asked.dnsNames.length + asked.ipAddresses.length === 0) return 'asks for no name and no address';
  const ips = new Set(known.addresses.map(({ address }) => canonicalIP(address)));
  const names = new Set([known.nodeName, ...known.addresses.map(({ address }) => address)].map(lowerCase));
  const strange =
    asked.ipAddresses.find((address) => !ips.has(address)) ??
    // An IP address as a DNS name is no name: nothing else looks at it that way.
    asked.dnsNames.find((name) => !names.has(name.toLowerCase()) || canonicalIP(name) !== undefined);
  return strange === undefined
    ? undefined
    : `asks for ${shown(strange)}, which is not an address of TSMachine ${known.machine}`;
}

/** What the machine says of itself is not enough. */
function objectionOfOthers(
  { dnsNames, ipAddresses }: CertificateRequest,
  others: Others,
): string | undefined {
  for (const name of [...dnsNames, ...ipAddresses]) {
    const whose = others(name);
    if (whose !== undefined) return `asks for ${shown(name)}, ${whose}`;
  }
  return undefined;
}

function lowerCase(name: string): string {
  return name.toLowerCase();
}

/** What another machine says goes into messages only in one short line. */
function shown(text: string): string {
  const line = text.replace(/[^\x20-\x7e]/g, '?');
  return line.length > 100 ? `${line.slice(0, 100)}...` : line;
}
