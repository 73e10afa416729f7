// SPDX-License-Identifier: Apache-2.0
// Secrets that a person gave, masked unless asked for before anything is rendered from them: what is not there cannot leak.
import { gzipSync } from 'node:zlib';
import type { Secret } from '../api/cluster-api.ts';
import {
  certificateFiles,
  type CertificatePurpose,
  type CertificateSlot,
  initCertificates,
  joinControlPlaneCertificates,
  type KeyPair,
  readKeyPair,
  workerCertificates,
} from '../kubeadm/certificates.ts';
import { secretsOf, type SecretValues } from '../kubeadm/files.ts';
import type { Purpose, ResolvedFile } from '../kubeadm/machine-contents.ts';
import type { ConfigManifest, Manifests } from './manifests.ts';
import type { Source } from './sources.ts';

export interface GivenSecrets {
  readonly values: SecretValues;
  readonly certificateFiles: readonly ResolvedFile[];
  /** PEM of the cluster's CA, where its Secret was given. */
  readonly clusterCA: string | undefined;
  readonly caSource: string;
  readonly sources: readonly Source[];
}

export interface SecretsOptions {
  readonly purpose: Purpose;
  readonly clusterName: string;
  readonly showSecrets: boolean;
}

/** Finds what the configuration needs among the Secrets that were given. Throws InputError for a certificate that is none. */
export function givenSecrets(
  { secrets }: Manifests,
  config: ConfigManifest,
  options: SecretsOptions,
): GivenSecrets {
  const find = (name: string) =>
    secrets.find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? 'default') === config.namespace,
    );
  const slots = slotsOf(config, options);
  const pairs = new Map(slots.map((slot) => [slot.purpose, pairOf(slot, find(slot.secretName), options)]));
  const certificates = slots.map((slot) => certificateSource(slot, find(slot.secretName), options));
  const caSlot = slots.find(({ purpose }) => purpose === 'ca');
  const ca = caSlot && find(caSlot.secretName);
  return {
    values: ({ name, key }) => valueOf(find(name), { name, key, config, ...options }),
    certificateFiles: options.purpose === 'worker-join' ? [] : certificateFiles(pairs, slots),
    clusterCA:
      ca === undefined || caSlot === undefined ? undefined : readKeyPair(caSlot, ca.data ?? {}).certificate,
    caSource:
      ca === undefined
        ? `a placeholder: Secret ${options.clusterName}-ca was not given`
        : `Secret ${ca.metadata.name}`,
    sources: [
      ...(options.purpose === 'worker-join' ? [] : certificates),
      ...secretsOf(config.spec).map(({ name, key, field }) => ({
        value: field,
        text: options.showSecrets && find(name) !== undefined ? 'as it is' : 'masked',
        from: `Secret ${name} key ${key}${find(name) === undefined ? ', which was not given' : ''}`,
      })),
    ],
  };
}

function slotsOf({ spec }: ConfigManifest, { purpose, clusterName }: SecretsOptions): CertificateSlot[] {
  if (purpose === 'init') return initCertificates(clusterName, spec.clusterConfiguration);
  if (purpose === 'control-plane-join')
    return joinControlPlaneCertificates(clusterName, spec.clusterConfiguration);
  return workerCertificates(clusterName, spec.joinConfiguration);
}

function pairOf(slot: CertificateSlot, secret: Secret | undefined, options: SecretsOptions): KeyPair {
  const placeholder = (key: string) => `(${key} of Secret ${slot.secretName})`;
  const key = slot.keyFile === undefined ? undefined : placeholder('tls.key');
  if (secret === undefined) return { certificate: placeholder('tls.crt'), key };
  const pair = readKeyPair(slot, secret.data ?? {});
  return options.showSecrets || pair.key === undefined ? pair : { ...pair, key };
}

function certificateSource(
  { purpose, secretName }: CertificateSlot,
  secret: Secret | undefined,
  { showSecrets }: SecretsOptions,
): Source {
  const value = `certificate ${purpose satisfies CertificatePurpose}`;
  if (secret === undefined)
    return { value, text: 'a placeholder', from: `Secret ${secretName}, which was not given` };
  return { value, text: showSecrets ? 'as it is' : 'its key is masked', from: `Secret ${secretName}` };
}

interface Wanted extends SecretsOptions {
  readonly name: string;
  readonly key: string;
  readonly config: ConfigManifest;
}

function valueOf(secret: Secret | undefined, wanted: Wanted): string | undefined {
  const encoded = secret?.data?.[wanted.key];
  // Given and without that key is a mistake that the machine would meet, too.
  if (secret !== undefined && encoded === undefined) return undefined;
  if (!wanted.showSecrets || encoded === undefined) return maskOf(wanted);
  return Buffer.from(encoded, 'base64').toString('utf8');
}

/** In the encoding that the file promises, or it could not be rendered. */
function maskOf({ name, key, config }: Wanted): string {
  const mask = Buffer.from(`(key ${key} of Secret ${name})`);
  const file = config.spec.files?.find(({ contentFrom }) => {
    const source = contentFrom?.secret;
    return source?.name === name && source.key === key;
  });
  if (file?.encoding === 'gzip+base64') return gzipSync(mask).toString('base64');
  return mask.toString(file?.encoding === 'base64' ? 'base64' : 'utf8');
}
