// SPDX-License-Identifier: Apache-2.0
// Which certificates a machine needs, in which Secrets they are, and where kubeadm looks for them (KB-30 to KB-34).
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { ClusterConfiguration, ExternalEtcd } from '../api/bootstrap/cluster-configuration.ts';
import type { JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import { InputError } from './input-error.ts';
import type { ResolvedFile } from './machine-contents.ts';
import { certificatesIn, privateKeyIn, publicKeysIn } from './pem.ts';

/** The end of the name of a Secret, after the name of the cluster. */
export type CertificatePurpose = 'ca' | 'etcd' | 'proxy' | 'sa' | 'apiserver-etcd-client';

/** What a Secret of a cluster holds. */
export interface KeyPair {
  /** PEM; for `sa`, of the public key. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string | undefined;
}

/** One certificate that a machine needs. */
export interface CertificateSlot {
  readonly purpose: CertificatePurpose;
  /** In the namespace of the cluster. */
  readonly secretName: string;
  /** The user brings it: it is never generated. */
  readonly external: boolean;
  readonly keyRequired: boolean;
  /** Path on the machine. */
  readonly certificateFile: string;
  /** Path on the machine; `undefined` when the key has no business there, and is then not read either. */
  readonly keyFile: string | undefined;
}

/** Where kubeadm keeps certificates unless it is told otherwise. */
const DEFAULT_CERTIFICATES_DIR = '/etc/kubernetes/pki';

/** What `kubeadm init` needs, in the order in which the files are written (KB-33). */
export function initCertificates(
  clusterName: string,
  configuration: ClusterConfiguration | undefined,
): CertificateSlot[] {
  return controlPlaneCertificates(clusterName, configuration);
}

/** What a joining control plane machine needs: the same, and all of it must exist (6.4). */
export function joinControlPlaneCertificates(
  clusterName: string,
  configuration: ClusterConfiguration | undefined,
): CertificateSlot[] {
  return controlPlaneCertificates(clusterName, configuration);
}

/** What a worker's configuration is made from: the cluster's CA, of which nothing but the hash reaches the machine (6.5). */
export function workerCertificates(
  clusterName: string,
  join: JoinConfiguration | undefined,
): CertificateSlot[] {
  const certificateFile = join?.caCertPath ?? `${DEFAULT_CERTIFICATES_DIR}/ca.crt`;
  return [slot(clusterName, 'ca', { keyRequired: false, certificateFile, keyFile: undefined })];
}

function controlPlaneCertificates(
  clusterName: string,
  configuration: ClusterConfiguration | undefined,
): CertificateSlot[] {
  const directory = configuration?.certificatesDir ?? DEFAULT_CERTIFICATES_DIR;
  const generated = (purpose: CertificatePurpose, certificate: string, key: string) =>
    slot(clusterName, purpose, {
      keyRequired: true,
      certificateFile: joinPath(directory, certificate),
      keyFile: joinPath(directory, key),
    });
  const external = configuration?.etcd?.external;
  return [
    generated('ca', 'ca.crt', 'ca.key'),
    external === undefined
      ? generated('etcd', 'etcd/ca.crt', 'etcd/ca.key')
      : externalEtcdCA(clusterName, external),
    generated('proxy', 'front-proxy-ca.crt', 'front-proxy-ca.key'),
    generated('sa', 'sa.pub', 'sa.key'),
    ...(external === undefined ? [] : [externalEtcdClient(clusterName, external)]),
  ];
}

function externalEtcdCA(clusterName: string, { caFile }: ExternalEtcd): CertificateSlot {
  const where = { keyRequired: false, certificateFile: caFile, keyFile: undefined };
  return { ...slot(clusterName, 'etcd', where), external: true };
}

/** Its key may also come with `spec.files`, as users of the stock provider do it. */
function externalEtcdClient(clusterName: string, { certFile, keyFile }: ExternalEtcd): CertificateSlot {
  const where = { keyRequired: false, certificateFile: certFile, keyFile };
  return { ...slot(clusterName, 'apiserver-etcd-client', where), external: true };
}

function slot(
  clusterName: string,
  purpose: CertificatePurpose,
  where: Pick<CertificateSlot, 'keyRequired' | 'certificateFile' | 'keyFile'>,
): CertificateSlot {
  return { purpose, secretName: `${clusterName}-${purpose}`, external: false, ...where };
}

/** As Go joins paths: `a//b/../c/` and `d` give `a/c/d`. */
function joinPath(directory: string, file: string): string {
  const parts: string[] = [];
  for (const part of `${directory}/${file}`.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '' && part !== '.' && !(part === '..' && directory.startsWith('/'))) parts.push(part);
  }
  return `${directory.startsWith('/') ? '/' : ''}${parts.join('/')}`;
}

/** Files of those `slots` that have a pair, in the order of the slots: certificate, then key (KB-33). */
export function certificateFiles(
  pairs: ReadonlyMap<CertificatePurpose, KeyPair>,
  slots: readonly CertificateSlot[],
): ResolvedFile[] {
  return slots.flatMap(({ purpose, certificateFile, keyFile }) => {
    const pair = pairs.get(purpose);
    if (pair === undefined) return [];
    const certificate = rootFile(certificateFile, '0640', pair.certificate);
    if (keyFile === undefined || pair.key === undefined) return [certificate];
    return [certificate, rootFile(keyFile, '0600', pair.key)];
  });
}

function rootFile(path: string, permissions: string, content: string): ResolvedFile {
  return { path, owner: 'root:root', permissions, content };
}

/** `Secret.data` of a pair: base64 under `tls.crt` and `tls.key` (KB-30). */
export function certificateSecretData({ certificate, key }: KeyPair): Record<string, string> {
  return { 'tls.crt': toBase64(certificate), ...(key === undefined ? {} : { 'tls.key': toBase64(key) }) };
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/**
 * The pair in `data`, which is `Secret.data`, with its texts unchanged. Throws InputError that names Secret and key when a part is
 * missing or damaged, or when the two do not belong together: a machine would fail on them after it has been paid for (KB-34).
 * Dates are not looked at: an expired CA is a reason to act, none to stop machines. Cheap: public keys are compared, nothing is
 * signed.
 */
export function readKeyPair(slot: CertificateSlot, data: Readonly<Record<string, string>>): KeyPair {
  const certificate = textOf(data, 'tls.crt');
  const at = fieldOf(slot, 'tls.crt');
  if (certificate === undefined) throw new InputError(at, missingCertificate(slot, data));
  const publicSide = readPublicSide(slot, certificate, at);

  const key = slot.keyFile === undefined ? undefined : textOf(data, 'tls.key');
  if (key === undefined && slot.keyRequired)
    throw new InputError(
      fieldOf(slot, 'tls.key'),
      `is missing or empty: ${KEY_USES[slot.purpose]}. Add the private key`,
    );
  if (key !== undefined) checkKey(slot, privateKeyIn(key, fieldOf(slot, 'tls.key')), publicSide);
  return { certificate, key };
}

/** Something that a private key may belong to. */
type PublicSide = (key: KeyObject) => boolean;

/** At least one. */
function readPublicSide(slot: CertificateSlot, text: string, field: string): PublicSide[] {
  if (slot.purpose === 'sa') {
    return publicKeysIn(text, field).map((publicKey) => (key) => createPublicKey(key).equals(publicKey));
  }
  const certificates = certificatesIn(text, field);
  // The same question that kubeadm asks, of the first one.
  if (slot.keyRequired && certificates[0]?.ca === false)
    throw new InputError(
      field,
      'is not the certificate of a CA, and kubeadm has to sign with it: store the CA',
    );
  return certificates.map((certificate) => (key) => certificate.checkPrivateKey(key));
}

function checkKey(slot: CertificateSlot, key: KeyObject, publicSide: readonly PublicSide[]): void {
  const field = fieldOf(slot, 'tls.key');
  if (slot.keyRequired && !['rsa', 'ec'].includes(key.asymmetricKeyType ?? ''))
    throw new InputError(
      field,
      'is neither an RSA nor an ECDSA key, and kubeadm takes no other: bring such a pair',
    );
  const fits = publicSide.findIndex((belongs) => belongs(key));
  // Tokens may be checked with any of the public keys, but kubeadm signs with the first certificate.
  if (fits === 0 || (fits > 0 && slot.purpose === 'sa')) return;
  throw new InputError(
    field,
    fits > 0
      ? `belongs to certificate ${fits + 1} of tls.crt, and kubeadm takes the first: put that one first`
      : 'does not belong to what is in tls.crt: store the two that were made together',
  );
}

/** What fails without the key. */
const KEY_USES: Readonly<Record<CertificatePurpose, string>> = {
  ca: 'kubeadm signs the certificates of the control plane with it',
  etcd: 'kubeadm signs the certificates of etcd with it',
  proxy: 'kubeadm signs the certificate of the front proxy with it',
  sa: 'the control plane signs the tokens of service accounts with it',
  'apiserver-etcd-client': 'the API server reaches etcd with it',
};

function missingCertificate(slot: CertificateSlot, data: Readonly<Record<string, string>>): string {
  const wanted = slot.purpose === 'sa' ? 'the public key' : 'the certificate';
  const there = Object.keys(data).slice(0, 5).join(', ');
  return `is missing or empty: store ${wanted} there as PEM (the Secret has ${there === '' ? 'no data' : there})`;
}

/** The text under `key`; `undefined` when there is none. */
function textOf(data: Readonly<Record<string, string>>, key: string): string | undefined {
  const text = Buffer.from(data[key] ?? '', 'base64').toString('utf8');
  return text === '' ? undefined : text;
}

function fieldOf({ secretName }: CertificateSlot, key: string): string {
  return `Secret ${secretName} data["${key}"]`;
}
