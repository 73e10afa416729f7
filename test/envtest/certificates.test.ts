// SPDX-License-Identifier: Apache-2.0
// The real kubeadm works with the CAs and keys that we make, and fails on what we refuse.
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { ClusterConfiguration, EncryptionAlgorithm } from '../../api/bootstrap/cluster-configuration.ts';
import { createKeyGenerator } from '../../controllers/bootstrap/key-pairs.ts';
import { stack as findStack, type Stack } from '../../hack/stack/build.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { newCertificateAuthority, newServiceAccountKeyPair } from '../../kubeadm/certificate-authority.ts';
import {
  certificateFiles,
  certificateSecretData,
  type CertificatePurpose,
  initCertificates,
  type KeyPair,
  readKeyPair,
} from '../../kubeadm/certificates.ts';

let stack: Stack;
let directory: TemporaryDirectory;
const generateKey = createKeyGenerator();

beforeAll(async () => {
  stack = await findStack();
  directory = temporaryDirectory('certificates');
});

afterAll(() => directory?.remove());

type Pairs = Map<CertificatePurpose, KeyPair>;

/** Certificates that kubeadm signs -> CA that signs them. */
const SIGNED = {
  'apiserver.crt': 'ca',
  'apiserver-kubelet-client.crt': 'ca',
  'front-proxy-client.crt': 'proxy',
  'etcd/server.crt': 'etcd',
  'etcd/peer.crt': 'etcd',
  'etcd/healthcheck-client.crt': 'etcd',
  'apiserver-etcd-client.crt': 'etcd',
} as const;

describe('kubeadm init phase certs all', () => {
  it.each<EncryptionAlgorithm>(['ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096'])(
    'signs with our CAs of %s, and leaves them and the service account keys as they are',
    async (algorithm) => {
      const made = await makePairs(algorithm);
      const pki = join(directory.path, algorithm);
      await signWithKubeadm(pki, made);

      const files = certificateFiles(made, initCertificates('c1', { certificatesDir: pki }));
      expect(files).toHaveLength(8);
      for (const { path, content } of files) expect(readFileSync(path, 'utf8')).toBe(content);
      for (const [file, purpose] of Object.entries(SIGNED)) {
        const ca = new X509Certificate(made.get(purpose)!.certificate);
        const leaf = new X509Certificate(readFileSync(join(pki, file)));
        expect(leaf.checkIssued(ca), file).toBe(true);
        expect(leaf.verify(ca.publicKey), file).toBe(true);
      }
    },
  );

  it('signs with the first certificate of a bundle, which may also bring the one before it', async () => {
    const made = await makePairs('ECDSA-P256');
    const before = await makePairs('ECDSA-P256');
    const bundle = made.get('ca')!.certificate + before.get('ca')!.certificate;
    made.set('ca', checked('ca', { certificate: bundle, key: made.get('ca')!.key }));
    await signWithKubeadm(join(directory.path, 'bundle'), made);
    const leaf = new X509Certificate(readFileSync(join(directory.path, 'bundle', 'apiserver.crt')));
    expect(leaf.verify(new X509Certificate(bundle).publicKey)).toBe(true);
  });
});

describe('what we refuse, kubeadm fails on', () => {
  let one: Pairs;
  let other: Pairs;
  beforeAll(async () => {
    one = await makePairs('ECDSA-P256');
    other = await makePairs('ECDSA-P256');
  });
  const crt = (pairs: Pairs) => pairs.get('ca')!.certificate;
  const key = (pairs: Pairs) => pairs.get('ca')!.key;

  it.each<[string, () => KeyPair, string]>([
    ['a CA without its key', () => ({ certificate: crt(one), key: undefined }), 'is missing or empty'],
    ['the key of another CA', () => ({ certificate: crt(one), key: key(other) }), 'does not belong'],
    [
      'a bundle in the wrong order',
      () => ({ certificate: crt(other) + crt(one), key: key(one) }),
      'kubeadm takes the first',
    ],
    [
      'a certificate cut off',
      () => ({ certificate: crt(one).slice(0, 300), key: key(one) }),
      'begins but does not end',
    ],
    [
      'a key cut off',
      () => ({ certificate: crt(one), key: key(one)?.slice(0, 100) }),
      'begins but does not end',
    ],
    [
      'an indented certificate',
      () => ({ certificate: crt(one).replace(/^/gm, '  '), key: key(one) }),
      'is not PEM',
    ],
    ['crt and key swapped', () => ({ certificate: key(one) ?? '', key: crt(one) }), 'is a private key'],
  ])('%s', async (name, make, message) => {
    const pair = make();
    expect(() => checked('ca', pair)).toThrow(message);
    const broken: Pairs = new Map([...one, ['ca', pair]]);
    await expect(signWithKubeadm(join(directory.path, name.replaceAll(' ', '-')), broken)).rejects.toThrow(
      'kubeadm',
    );
  });

  it('a certificate that is no CA', async () => {
    const pki = join(directory.path, 'source');
    await signWithKubeadm(pki, one);
    const read = (file: string) => readFileSync(join(pki, file), 'utf8');
    const leaf = { certificate: read('apiserver.crt'), key: read('apiserver.key') };
    expect(() => checked('ca', leaf)).toThrow('is not the certificate of a CA');
    const broken: Pairs = new Map([...one, ['ca', leaf]]);
    await expect(signWithKubeadm(join(directory.path, 'no-ca'), broken)).rejects.toThrow(
      'is not a certificate authority',
    );
  });
});

async function makePairs(algorithm: EncryptionAlgorithm): Promise<Pairs> {
  const pairs: Pairs = new Map();
  for (const { purpose } of initCertificates('c1', undefined)) {
    const key = await generateKey(algorithm);
    const options = { key, now: new Date(), validityDays: undefined, serial: randomBytes(16) };
    const pair = purpose === 'sa' ? newServiceAccountKeyPair(key) : await newCertificateAuthority(options);
    pairs.set(purpose, checked(purpose, pair));
  }
  return pairs;
}

/** As it is read back from its Secret. */
function checked(purpose: CertificatePurpose, pair: KeyPair): KeyPair {
  const slot = initCertificates('c1', undefined).find((candidate) => candidate.purpose === purpose);
  return readKeyPair(slot!, certificateSecretData(pair));
}

/** Lays the files out as on a machine and lets kubeadm make the rest. */
async function signWithKubeadm(certificatesDir: string, pairs: Pairs): Promise<void> {
  const configuration: ClusterConfiguration = { certificatesDir };
  for (const { path, content } of certificateFiles(pairs, initCertificates('c1', configuration))) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  const config = `${certificatesDir}.yaml`;
  writeFileSync(config, kubeadmConfig(certificatesDir));
  await runProgram(stack.binaries.kubeadm, ['init', 'phase', 'certs', 'all', '--config', config]);
}

/** The address is one for documentation (RFC 5737), the name as well: nothing connects to either. */
function kubeadmConfig(certificatesDir: string): string {
  const apiVersion = 'kubeadm.k8s.io/v1beta4';
  const init = {
    apiVersion,
    kind: 'InitConfiguration',
    localAPIEndpoint: { advertiseAddress: '192.0.2.1' },
    nodeRegistration: { name: 'control-plane' },
  };
  const cluster = {
    apiVersion,
    kind: 'ClusterConfiguration',
    kubernetesVersion: stack.versions.kubernetes,
    controlPlaneEndpoint: 'api.example.org:6443',
    certificatesDir,
    // Keys of the certificates that it signs: the kind that is made fastest.
    encryptionAlgorithm: 'ECDSA-P256',
  };
  return `${stringify(init)}---\n${stringify(cluster)}`;
}
