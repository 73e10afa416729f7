// SPDX-License-Identifier: Apache-2.0
// Certificate requests for tests, good ones and ones that no honest kubelet would make.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { CertificateSigningRequest } from '../../api/cluster-api.ts';
import { CertificateSigningRequestKind } from '../../api/kinds.ts';
import { canonicalIP } from './ip-address.ts';

/** Object identifiers in hex, as they stand in a request. */
export const Oids = {
  commonName: '550403',
  organization: '55040a',
  unit: '55040b',
  extensionRequest: '2a864886f70d01090e',
  challengePassword: '2a864886f70d010907',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  ecdsaSha256: '2a8648ce3d040302',
  rsaSha256: '2a864886f70d01010b',
  rsaSha1: '2a864886f70d010105',
} as const;

/** How a request differs from a good one. */
export interface RequestShape {
  readonly subject?: readonly (readonly [oid: string, value: string])[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  /** Further general names, by tag. */
  readonly names?: readonly (readonly [tag: number, value: Buffer])[];
  /** Replaces what the names make. */
  readonly extensions?: readonly Buffer[];
  /** Beside the request for extensions. */
  readonly attributes?: readonly Buffer[];
  readonly version?: string;
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly algorithm?: string;
  readonly hash?: string;
  /** Signs with another key than the one that is in the request. */
  readonly signedBy?: KeyObject;
  /** Changes the finished bytes. */
  readonly spoil?: (der: Buffer) => Buffer;
}

const KEYS = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A DER element. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** An extension with its value. */
export function extension(oid: string, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [element(0x01, Buffer.from([0xff]))];
  return element(0x30, objectIdentifier(oid), ...flag, element(0x04, value));
}

/** General names of the subject. */
export function generalNames({ dns = [], ips = [], names = [] }: RequestShape): Buffer {
  return element(
    0x30,
    ...dns.map((name) => element(0x82, Buffer.from(name, 'latin1'))),
    ...ips.map((ip) => element(0x87, ipBytes(ip))),
    ...names.map(([tag, value]) => element(tag, value)),
  );
}

/** An attribute with its values. */
export function attribute(oid: string, ...values: readonly Buffer[]): Buffer {
  return element(0x30, objectIdentifier(oid), element(0x31, ...values));
}

/** A PKCS#10 request in DER. */
export function requestDer(shape: RequestShape = {}): Buffer {
  const keys = shape.keys ?? KEYS;
  const info = element(
    0x30,
    element(0x02, Buffer.from(shape.version ?? '00', 'hex')),
    element(0x30, ...(shape.subject ?? subjectOf('worker-0')).map(([oid, value]) => namePart(oid, value))),
    keys.publicKey.export({ format: 'der', type: 'spki' }),
    element(0xa0, ...attributesOf(shape)),
  );
  const signature = sign(shape.hash ?? 'sha256', info, shape.signedBy ?? keys.privateKey);
  const der = element(
    0x30,
    info,
    element(0x30, objectIdentifier(shape.algorithm ?? Oids.ecdsaSha256)),
    element(0x03, Buffer.from([0]), signature),
  );
  return shape.spoil?.(der) ?? der;
}

/** The subject of a kubelet. */
export function subjectOf(nodeName: string): [string, string][] {
  return [
    [Oids.organization, 'system:nodes'],
    [Oids.commonName, `system:node:${nodeName}`],
  ];
}

/** A PEM block, in base64 as the API carries it. */
export function pemBase64(der: Buffer, label = 'CERTIFICATE REQUEST'): string {
  const lines = der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return Buffer.from(`-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`).toString('base64');
}

/** A request as the API server keeps it after the kubelet of worker-0 has sent it. */
export function signingRequest(
  shape: RequestShape = { dns: ['worker-0'], ips: ['10.0.0.7'] },
  spec: Partial<CertificateSigningRequest['spec']> = {},
): CertificateSigningRequest {
  const request = pemBase64(requestDer(shape));
  return {
    ...CertificateSigningRequestKind,
    metadata: { name: `csr-${createHash('sha256').update(request).digest('hex').slice(0, 5)}` },
    spec: {
      request,
      signerName: 'kubernetes.io/kubelet-serving',
      username: 'system:node:worker-0',
      groups: ['system:nodes', 'system:authenticated'],
      usages: ['digital signature', 'server auth'],
      ...spec,
    },
  };
}

function attributesOf(shape: RequestShape): Buffer[] {
  const wanted = (shape.dns ?? shape.ips ?? shape.names) !== undefined;
  const names = wanted ? [extension(Oids.subjectAltName, generalNames(shape))] : [];
  const extensions = shape.extensions ?? names;
  const requested =
    extensions.length === 0 ? [] : [attribute(Oids.extensionRequest, element(0x30, ...extensions))];
  return [...requested, ...(shape.attributes ?? [])];
}

function namePart(oid: string, value: string): Buffer {
  return element(0x31, element(0x30, objectIdentifier(oid), element(0x13, Buffer.from(value))));
}

function objectIdentifier(hex: string): Buffer {
  return element(0x06, Buffer.from(hex, 'hex'));
}

/** `hex:` gives the bytes as they are. */
function ipBytes(ip: string): Buffer {
  if (ip.startsWith('hex:')) return Buffer.from(ip.slice(4), 'hex');
  const canonical = canonicalIP(ip) ?? '';
  if (!canonical.includes(':')) return Buffer.from(canonical.split('.').map(Number));
  const [head = '', tail = ''] = canonical.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const middle = Array<string>(8 - groups(head).length - groups(tail).length).fill('0');
  const all = canonical.includes('::') ? [...groups(head), ...middle, ...groups(tail)] : groups(canonical);
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
