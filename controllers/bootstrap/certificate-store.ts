// SPDX-License-Identifier: Apache-2.0
// Certificate Secrets of clusters (KB-30 to KB-34): read once per change, made once per cluster.
import type { EncryptionAlgorithm } from '../../api/bootstrap/cluster-configuration.ts';
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import {
  type GenerateKey,
  newCertificateAuthority,
  newServiceAccountKeyPair,
} from '../../kubeadm/certificate-authority.ts';
import {
  certificateSecretData,
  type CertificateSlot,
  type KeyPair,
  readKeyPair,
} from '../../kubeadm/certificates.ts';
import type { Client } from '../../runtime/client.ts';
import { isAlreadyExists } from '../../runtime/errors.ts';
import type { OwnerReference } from '../../runtime/object.ts';
import { CLUSTER_SECRET_TYPE } from './data-secret.ts';
import type { SecretReader } from './secret-reader.ts';

/** How to make a key pair that does not exist. */
export interface NewCertificate {
  readonly clusterName: string;
  /** The config that asks for it becomes the controller of the Secret (KB-30). */
  readonly owner: OwnerReference;
  readonly algorithm: EncryptionAlgorithm | undefined;
  readonly validityDays: number | undefined;
  readonly now: Date;
}

/** The key pairs of the clusters in the management cluster. */
export interface CertificateStore {
  /** `undefined` when the Secret does not exist. Throws InputError when it cannot be used (KB-34). */
  read(namespace: string, slot: CertificateSlot): Promise<KeyPair | undefined>;
  /** Makes the key pair and stores it; somebody else's that came first wins and is read (KB-30). */
  make(namespace: string, slot: CertificateSlot, how: NewCertificate): Promise<KeyPair>;
}

const DEFAULT_ALGORITHM: EncryptionAlgorithm = 'RSA-2048';
const SERIAL_BYTES = 16;

/** Reads through `secrets`; makes keys with `generateKey`, off the main thread. */
export function createCertificateStore(deps: {
  readonly client: Client;
  readonly secrets: SecretReader;
  readonly generateKey: GenerateKey;
  readonly randomBytes: (n: number) => Uint8Array;
}): CertificateStore {
  // Parsing a pair costs more than all the rest of a worker's reconcile; the entry goes with its Secret.
  const parsed = new WeakMap<Secret, Map<string, KeyPair>>();

  return { read, make };

  async function read(namespace: string, slot: CertificateSlot): Promise<KeyPair | undefined> {
    const secret = await deps.secrets.read({ namespace, name: slot.secretName });
    return secret && parse(secret, slot);
  }

  function parse(secret: Secret, slot: CertificateSlot): KeyPair {
    const pairs = parsed.get(secret) ?? new Map<string, KeyPair>();
    parsed.set(secret, pairs);
    const key = `${slot.purpose} ${slot.keyRequired} ${slot.external}`;
    const pair = pairs.get(key) ?? readKeyPair(slot, secret.data ?? {});
    pairs.set(key, pair);
    return pair;
  }

  async function make(namespace: string, slot: CertificateSlot, how: NewCertificate): Promise<KeyPair> {
    const pair = await generate(slot, how);
    const secret: Secret = {
      ...SECRET_META,
      metadata: {
        namespace,
        name: slot.secretName,
        labels: { [CLUSTER_NAME_LABEL]: how.clusterName },
        ownerReferences: [how.owner],
      },
      type: CLUSTER_SECRET_TYPE,
      data: certificateSecretData(pair),
    };
    try {
      await deps.client.create(SecretKind, secret);
      return pair;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const name = { namespace, name: slot.secretName };
      const theirs = await deps.client.get(SecretKind, name);
      if (theirs === undefined) throw error;
      return readKeyPair(slot, theirs.data ?? {});
    }
  }

  async function generate(slot: CertificateSlot, how: NewCertificate): Promise<KeyPair> {
    const key = await deps.generateKey(how.algorithm ?? DEFAULT_ALGORITHM);
    if (slot.purpose === 'sa') return newServiceAccountKeyPair(key);
    const serial = deps.randomBytes(SERIAL_BYTES);
    return newCertificateAuthority({ key, now: how.now, validityDays: how.validityDays, serial });
  }
}

const SECRET_META = { apiVersion: SecretKind.apiVersion, kind: SecretKind.kind };
