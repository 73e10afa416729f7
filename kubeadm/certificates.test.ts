// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ClusterConfiguration } from '../api/bootstrap/cluster-configuration.ts';
import { newCertificateAuthority, newServiceAccountKeyPair } from './certificate-authority.ts';
import {
  certificateFiles,
  certificateSecretData,
  type CertificatePurpose,
  type CertificateSlot,
  initCertificates,
  joinControlPlaneCertificates,
  type KeyPair,
  readKeyPair,
  workerCertificates,
} from './certificates.ts';
import { caCertHashes } from './discovery.ts';
import { InputError } from './input-error.ts';

const EXTERNAL: ClusterConfiguration = {
  etcd: {
    external: {
      endpoints: ['https://192.0.2.1:2379'],
      caFile: '/etc/etcd/ca.crt',
      certFile: '/etc/etcd/client.crt',
      keyFile: '/etc/etcd/client.key',
    },
  },
};

describe('which certificates', () => {
  it.each([
    ['init', initCertificates],
    ['a control plane join', joinControlPlaneCertificates],
  ])('%s: Secrets, files and their order (KB-30, KB-33)', (_, slots) => {
    const row = (purpose: string, certificateFile: string, keyFile: string) => ({
      purpose,
      secretName: `c1-${purpose}`,
      external: false,
      keyRequired: true,
      certificateFile: `/etc/kubernetes/pki/${certificateFile}`,
      keyFile: `/etc/kubernetes/pki/${keyFile}`,
    });
    const expected = [
      row('ca', 'ca.crt', 'ca.key'),
      row('etcd', 'etcd/ca.crt', 'etcd/ca.key'),
      row('proxy', 'front-proxy-ca.crt', 'front-proxy-ca.key'),
      row('sa', 'sa.pub', 'sa.key'),
    ];
    expect(slots('c1', undefined)).toEqual(expected);
    expect(slots('c1', { etcd: { local: { dataDir: '/data' } } })).toEqual(expected);
  });

  it('external etcd: the user brings its CA without the key, and a client certificate', () => {
    const slots = initCertificates('c1', EXTERNAL);
    expect(slots.map(({ purpose }) => purpose)).toEqual([
      'ca',
      'etcd',
      'proxy',
      'sa',
      'apiserver-etcd-client',
    ]);
    expect(slots.filter(({ external }) => external)).toEqual([
      {
        purpose: 'etcd',
        secretName: 'c1-etcd',
        external: true,
        keyRequired: false,
        certificateFile: '/etc/etcd/ca.crt',
        keyFile: undefined,
      },
      {
        purpose: 'apiserver-etcd-client',
        secretName: 'c1-apiserver-etcd-client',
        external: true,
        keyRequired: false,
        certificateFile: '/etc/etcd/client.crt',
        keyFile: '/etc/etcd/client.key',
      },
    ]);
  });

  it.each([
    ['/pki', '/pki/etcd/ca.crt'],
    ['/pki/', '/pki/etcd/ca.crt'],
    ['/var//lib/./x/../pki', '/var/lib/pki/etcd/ca.crt'],
    ['/../pki', '/pki/etcd/ca.crt'],
    ['pki', 'pki/etcd/ca.crt'],
    ['../pki', '../pki/etcd/ca.crt'],
    ['a/../../pki', '../pki/etcd/ca.crt'],
    ['/', '/etcd/ca.crt'],
  ])('certificatesDir %s, as Go joins it', (certificatesDir, file) => {
    expect(initCertificates('c1', { certificatesDir })[1]?.certificateFile).toBe(file);
  });

  it.each([
    [undefined, '/etc/kubernetes/pki/ca.crt'],
    [{}, '/etc/kubernetes/pki/ca.crt'],
    [{ caCertPath: '/ca.pem' }, '/ca.pem'],
  ])('a worker %j: the CA of the cluster, never its key (6.5)', (join, certificateFile) => {
    const [ca, ...others] = workerCertificates('c1', join);
    expect(ca).toEqual({
      purpose: 'ca',
      secretName: 'c1-ca',
      external: false,
      keyRequired: false,
      certificateFile,
      keyFile: undefined,
    });
    expect(others).toEqual([]);
  });
});

describe('certificateFiles (KB-33)', () => {
  const pairs = new Map<CertificatePurpose, KeyPair>([
    ['sa', { certificate: 'sa pub', key: 'sa key' }],
    ['ca', { certificate: 'ca crt', key: 'ca key' }],
    ['etcd', { certificate: 'etcd crt', key: 'etcd key' }],
    ['apiserver-etcd-client', { certificate: 'client crt', key: undefined }],
  ]);
  const file = (path: string, permissions: string, content: string) => ({
    path,
    owner: 'root:root',
    permissions,
    content,
  });

  it('certificate, then key, in the order of the slots; what is missing is left out', () => {
    expect(certificateFiles(pairs, initCertificates('c1', { certificatesDir: '/pki' }))).toEqual([
      file('/pki/ca.crt', '0640', 'ca crt'),
      file('/pki/ca.key', '0600', 'ca key'),
      file('/pki/etcd/ca.crt', '0640', 'etcd crt'),
      file('/pki/etcd/ca.key', '0600', 'etcd key'),
      file('/pki/sa.pub', '0640', 'sa pub'),
      file('/pki/sa.key', '0600', 'sa key'),
    ]);
  });

  it('the key of an external CA stays away from the machine', () => {
    const etcd = certificateFiles(pairs, initCertificates('c1', EXTERNAL)).filter(({ path }) =>
      path.startsWith('/etc/etcd/'),
    );
    expect(etcd).toEqual([
      file('/etc/etcd/ca.crt', '0640', 'etcd crt'),
      file('/etc/etcd/client.crt', '0640', 'client crt'),
    ]);
  });
});

describe('readKeyPair (KB-34)', () => {
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const edwards = generateKeyPairSync('ed25519');
  const [ca, etcd, , sa] = initCertificates('c1', undefined) as [
    CertificateSlot,
    CertificateSlot,
    CertificateSlot,
    CertificateSlot,
  ];
  const [worker] = workerCertificates('c1', undefined) as [CertificateSlot];
  const [externalCA, client] = initCertificates('c1', EXTERNAL).filter(({ external }) => external) as [
    CertificateSlot,
    CertificateSlot,
  ];
  let one: { certificate: string; key: string };
  let other: { certificate: string; key: string };
  const account = newServiceAccountKeyPair(elliptic) as { certificate: string; key: string };
  const otherAccount = newServiceAccountKeyPair(rsa) as { certificate: string; key: string };

  beforeAll(async () => {
    one = await authority(elliptic);
    other = await authority(rsa);
  });

  it('reads back what was made and stored', () => {
    for (const pair of [one, other]) expect(readKeyPair(ca, certificateSecretData(pair))).toEqual(pair);
    for (const pair of [account, otherAccount])
      expect(readKeyPair(sa, certificateSecretData(pair))).toEqual(pair);
    expect(Object.keys(certificateSecretData({ certificate: 'a', key: undefined }))).toEqual(['tls.crt']);
  });

  it('keeps the text around the blocks, for the machine gets what the user stored', () => {
    const pair = {
      certificate: `# für c1\r\n${one.certificate}`,
      key: `parameters:\n${CURVE}${one.key}\n\n`,
    };
    expect(readKeyPair(ca, certificateSecretData(pair))).toEqual(pair);
  });

  it.each<[string, KeyObject, 'pkcs1' | 'pkcs8' | 'sec1']>([
    ['PKCS#1', rsa.privateKey, 'pkcs1'],
    ['PKCS#8 of an RSA key', rsa.privateKey, 'pkcs8'],
    ['SEC1', elliptic.privateKey, 'sec1'],
    ['PKCS#8 of an ECDSA key', elliptic.privateKey, 'pkcs8'],
  ])('takes a key as %s', (_, privateKey, type) => {
    const key = privateKey.export({ type, format: 'pem' }).toString();
    const { certificate } = privateKey === rsa.privateKey ? other : one;
    expect(readKeyPair(ca, certificateSecretData({ certificate, key })).key).toBe(key);
  });

  it('takes a bundle whose first certificate is that of the key', () => {
    const pair = { certificate: one.certificate + other.certificate, key: one.key };
    expect(readKeyPair(ca, certificateSecretData(pair))).toEqual(pair);
  });

  it('takes several public keys for service accounts, whichever belongs to the key', () => {
    const pair = { certificate: otherAccount.certificate + account.certificate, key: account.key };
    expect(readKeyPair(sa, certificateSecretData(pair))).toEqual(pair);
    const withCertificate = { certificate: one.certificate, key: one.key };
    expect(readKeyPair(sa, certificateSecretData(withCertificate))).toEqual(withCertificate);
  });

  it('neither asks for nor carries a key that has no business on the machine', () => {
    const data = certificateSecretData({ certificate: one.certificate, key: 'garbage' });
    for (const slot of [worker, externalCA])
      expect(readKeyPair(slot, data)).toEqual({ certificate: one.certificate, key: undefined });
  });

  it('takes a client certificate for etcd without a key, which spec.files may bring', () => {
    const data = certificateSecretData({ certificate: one.certificate, key: undefined });
    expect(readKeyPair(client, data)).toEqual({ certificate: one.certificate, key: undefined });
  });

  const at = (key: string) => `Secret c1-ca data["${key}"]: `;
  const CRT = at('tls.crt');
  const KEY = at('tls.key');
  it.each<[string, () => Record<string, string>, string]>([
    [
      'no data',
      () => ({}),
      `${CRT}is missing or empty: store the certificate there as PEM (the Secret has no data)`,
    ],
    [
      'the keys of another tool',
      () => ({ 'ca.crt': encode(one.certificate), 'ca.key': encode(one.key) }),
      `${CRT}is missing or empty: store the certificate there as PEM (the Secret has ca.crt, ca.key)`,
    ],
    ['an empty certificate', () => data('', one.key), `${CRT}is missing or empty`],
    ['garbage', () => data('ca-data', one.key), `${CRT}is not PEM text`],
    [
      'line feeds written as \\n',
      () => data(one.certificate.replaceAll('\n', '\\n'), one.key),
      `${CRT}is not PEM text`,
    ],
    ['base64 twice', () => data(encode(one.certificate), one.key), `${CRT}is not PEM text`],
    ['an indented block', () => data(one.certificate.replace(/^/gm, '  '), one.key), `${CRT}is not PEM text`],
    [
      'a byte order mark',
      () => data(`\ufeff${one.certificate}`, one.key),
      `${CRT}a PEM block begins but does not end`,
    ],
    [
      'a certificate cut off',
      () => data(one.certificate.slice(0, 300), one.key),
      `${CRT}a PEM block begins but`,
    ],
    ['the end alone', () => data(one.certificate.slice(300), one.key), `${CRT}a PEM block begins but`],
    [
      'the second certificate cut off',
      () => data(one.certificate + other.certificate.slice(0, 300), one.key),
      `${CRT}a PEM block begins but`,
    ],
    [
      'a block that ends as another',
      () => data(one.certificate.replace('END CERTIFICATE', 'END KEY'), one.key),
      `${CRT}a PEM block begins but`,
    ],
    [
      'a line lost',
      () => data(without(one.certificate, 3), one.key),
      `${CRT}a PEM block CERTIFICATE is not a cert`,
    ],
    [
      'an odd character',
      () => data(one.certificate.replace('MII', 'MI!'), one.key),
      `${CRT}a PEM block holds`,
    ],
    ['a block of nothing', () => data(block('CERTIFICATE', ''), one.key), `${CRT}a PEM block holds`],
    [
      'bytes after the end',
      () => data(lengthened(one.certificate), one.key),
      `${CRT}a certificate has bytes after`,
    ],
    ['crt and key swapped', () => data(one.key, one.certificate), `${CRT}is a private key`],
    ['a request', () => data(block('CERTIFICATE REQUEST', 'MAAA'), one.key), `${CRT}has no certificate`],
    [
      'a certificate that is no CA',
      () => data(LEAF, one.key),
      `${CRT}is not the certificate of a CA, and kubeadm has to sign with it`,
    ],
    [
      'no key',
      () => ({ 'tls.crt': encode(one.certificate) }),
      `${KEY}is missing or empty: kubeadm signs the certificates of the control plane with it. Add the private key`,
    ],
    ['an empty key', () => data(one.certificate, ''), `${KEY}is missing or empty`],
    ['a key cut off', () => data(one.certificate, one.key.slice(0, 100)), `${KEY}a PEM block begins but`],
    ['the certificate as key', () => data(one.certificate, one.certificate), `${KEY}has no private key`],
    [
      'a key that is none',
      () => data(one.certificate, block('PRIVATE KEY', 'MAAA')),
      `${KEY}is not a private key`,
    ],
    [
      'a foreign kind',
      () => data(one.certificate, block('DSA PRIVATE KEY', 'MAAA')),
      `${KEY}is not a private key`,
    ],
    [
      'a key with a passphrase',
      () => data(one.certificate, encrypted(elliptic.privateKey, 'pkcs8')),
      `${KEY}is encrypted`,
    ],
    [
      'a key with a passphrase, as it was done of old',
      () => data(other.certificate, encrypted(rsa.privateKey, 'pkcs1')),
      `${KEY}is encrypted`,
    ],
    [
      'a kind of key that kubeadm does not take',
      () => data(one.certificate, edwards.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      `${KEY}is neither an RSA nor an ECDSA key`,
    ],
    [
      'the key of something else',
      () => data(one.certificate, other.key),
      `${KEY}does not belong to what is in tls.crt: store the two that were made together`,
    ],
    [
      'a bundle in the wrong order',
      () => data(other.certificate + one.certificate, one.key),
      `${KEY}belongs to certificate 2 of tls.crt, and kubeadm takes the first: put that one first`,
    ],
  ])('refuses %s, and does not repeat it', (_, make, message) => {
    const error = caught(ca, make());
    expect(error).toBeInstanceOf(InputError);
    expect(error.message.slice(0, message.length)).toBe(message);
    expect(error.message).not.toMatch(/\n|[A-Za-z0-9+/]{20}/);
    const cause = error.cause instanceof Error ? error.cause.message : '';
    expect(cause).not.toMatch(/[A-Za-z0-9+/]{40}/);
  });

  it.each<[string, () => Record<string, string>, string]>([
    ['nothing', () => ({}), 'data["tls.crt"]: is missing or empty: store the public key there'],
    [
      'no private key',
      () => data(account.certificate, ''),
      'the control plane signs the tokens of service accounts',
    ],
    [
      'a public key that the API server does not read',
      () => data(rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString(), otherAccount.key),
      'data["tls.crt"]: has no public key: it needs a PEM block PUBLIC KEY',
    ],
    ['a damaged public key', () => data(block('PUBLIC KEY', 'MAAA'), account.key), 'is not a public key'],
    ['the private key in both places', () => data(account.key, account.key), 'has no public key'],
    ['two that do not belong together', () => data(account.certificate, otherAccount.key), 'does not belong'],
  ])('refuses for service accounts %s', (_, make, message) => {
    const error = caught(sa, make());
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain('Secret c1-sa data["tls.');
    expect(error.message).toContain(message);
  });

  it('names the Secret in question', () => {
    expect(caught(etcd, data(one.certificate, '')).message).toContain(
      'Secret c1-etcd data["tls.key"]: is missing or empty: kubeadm signs the certificates of etcd with it',
    );
    expect(caught(client, data(LEAF, one.key)).message).toContain(
      'Secret c1-apiserver-etcd-client data["tls.key"]',
    );
  });

  it('takes no CA for a client certificate and no dates for a reason', async () => {
    const expired = await authority(elliptic, new Date('2001-01-01T00:00:00Z'));
    expect(readKeyPair(ca, certificateSecretData(expired))).toEqual(expired);
    expect(readKeyPair(client, data(LEAF, '')).certificate).toBe(LEAF);
  });

  it('refuses, rather than breaks on, every way to cut a pair off', () => {
    for (let length = 0; length < one.certificate.length - 1; length += 7)
      expect(caught(ca, data(one.certificate.slice(0, length), one.key))).toBeInstanceOf(InputError);
    for (let length = 0; length < one.key.length - 1; length += 3)
      expect(caught(ca, data(one.certificate, one.key.slice(0, length)))).toBeInstanceOf(InputError);
  });

  it('has an answer to any damage: it takes the pair as it is, or says what is wrong', () => {
    const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
    const slots = fc.constantFrom(ca, sa, worker, client);
    const part = fc.constantFrom<'certificate' | 'key'>('certificate', 'key');
    fc.assert(
      fc.property(slots, part, place, fc.nat(255), (slot, which, where, byte) => {
        const pair = { ...one, [which]: damaged(one[which], where, byte) };
        const outcome = attempt(() => readKeyPair(slot, certificateSecretData(pair)));
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(InputError);
        else expect(outcome.certificate).toBe(pair.certificate);
        const hashes = attempt(() => caCertHashes(pair.certificate));
        if (hashes instanceof Error) expect(hashes).toBeInstanceOf(InputError);
        else expect(hashes).toEqual([expect.stringMatching(/^sha256:[0-9a-f]{64}$/)]);
      }),
      { seed: 4, numRuns: 3000 },
    );
  });
});

async function authority(
  key: { privateKey: KeyObject; publicKey: KeyObject },
  now = new Date('2030-01-01T00:00:00Z'),
): Promise<{ certificate: string; key: string }> {
  const pair = await newCertificateAuthority({ key, now, validityDays: 10, serial: Uint8Array.of(1, 2, 3) });
  return { certificate: pair.certificate, key: pair.key ?? '' };
}

function data(certificate: string, key: string): Record<string, string> {
  return { 'tls.crt': encode(certificate), 'tls.key': encode(key) };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function block(label: string, body: string): string {
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

function without(text: string, line: number): string {
  return text
    .split('\n')
    .filter((_, index) => index !== line)
    .join('\n');
}

function lengthened(certificate: string): string {
  const der = Buffer.from(certificate.replaceAll(/-----[^-]+-----/g, ''), 'base64');
  return block('CERTIFICATE', Buffer.concat([der, Buffer.of(5, 0)]).toString('base64'));
}

function encrypted(key: KeyObject, type: 'pkcs1' | 'pkcs8'): string {
  return key.export({ type, format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString();
}

/** The same block with one byte of its DER changed. */
function damaged(pem: string, where: number, byte: number): string {
  const [, label = '', body = ''] = /^-----BEGIN (.+)-----\n([^-]+)/.exec(pem) ?? [];
  const der = Buffer.from(body, 'base64');
  der[Math.floor(where * der.length)] = byte;
  return block(label, der.toString('base64'));
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}

function caught(slot: CertificateSlot, secret: Record<string, string>): Error {
  try {
    readKeyPair(slot, secret);
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** What `openssl ecparam -genkey` writes before the key. */
const CURVE = block('EC PARAMETERS', 'BggqhkjOPQMBBw==');

/** Self-signed, not a CA: made by openssl, and its key was thrown away. */
const LEAF = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBcjCCARigAwIBAgIUfTO3EAYeMLaYFsRd1IwjNTL2LOgwCgYIKoZIzj0EAwIw',
  'DzENMAsGA1UEAwwEbGVhZjAgFw0yNjExMjExNDU4MjBaGA8yMTI2MTAyODE0NTgy',
  'MFowDzENMAsGA1UEAwwEbGVhZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGfb',
  'rVxZDksgYNyiWwKtUyMIKM1Qpr/ZWLBZjTDdwaODpzVGrjLKXhm7sRqFk0OStcsr',
  'PaDwsSrp99o/h/AnTuijUDBOMB0GA1UdDgQWBBQVWDPv3D3wONHAJZNUcQKMhVJo',
  '2TAfBgNVHSMEGDAWgBQVWDPv3D3wONHAJZNUcQKMhVJo2TAMBgNVHRMBAf8EAjAA',
  'MAoGCCqGSM49BAMCA0gAMEUCIADjhWj/C2xy7jwILS04RoAFBP7tgnXBcWw98gZK',
  'GQTJAiEAwE4Bn+adTvTGw3q6yAbM0LiVx9m7gnsR/flZtUn/7ig=',
  '-----END CERTIFICATE-----',
  '',
].join('\n');
