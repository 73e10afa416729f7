// SPDX-License-Identifier: Apache-2.0
// Which serving certificates are approved, and which are left alone.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CertificateSigningRequest } from '../../api/cluster-api.ts';
import {
  attribute,
  element,
  extension,
  generalNames,
  Oids,
  pemBase64,
  requestDer,
  type RequestShape,
  signingRequest,
  subjectOf,
} from './fixtures.ts';
import { type KnownNames, nodeAsking, objection } from './serving-request.ts';

/** Made by Go's crypto/x509, as the kubelet does: ECDSA P-256, worker-0, 10.0.0.7 and fd00::7. */
const FROM_GO = `-----BEGIN CERTIFICATE REQUEST-----
MIIBLzCB1gIBADA2MRUwEwYDVQQKEwxzeXN0ZW06bm9kZXMxHTAbBgNVBAMTFHN5
c3RlbTpub2RlOndvcmtlci0wMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9FRS
nyUpteGgffudIA+N/+LRV0HLx02AOFSF+5h+j+AZHZuX+OIukvKxYdhF0yuLgGJX
BGcBnTPGttBtUVcgfKA+MDwGCSqGSIb3DQEJDjEvMC0wKwYDVR0RBCQwIoIId29y
a2VyLTCHBAoAAAeHEP0AAAAAAAAAAAAAAAAAAAcwCgYIKoZIzj0EAwIDSAAwRQIg
D3i48E8jLy2Er22IYEdD7N0y2l7tv4+jIA/mYFkbsWkCIQDL3NahIzvHUrhxJSnP
egPa+6C/6jByp307c1zMfHj6SQ==
-----END CERTIFICATE REQUEST-----
`;

const known: KnownNames = {
  nodeName: 'worker-0',
  machine: 'default/w0',
  addresses: [
    { type: 'InternalIP', address: '10.0.0.7' },
    { type: 'InternalIP', address: 'fd00:0:0::7' },
    { type: 'Hostname', address: 'Rack-A-07' },
    { type: 'InternalDNS', address: 'rack-a-07.example.org' },
  ],
};

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const shortRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const oddCurve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const san = (shape: RequestShape) => extension(Oids.subjectAltName, generalNames(shape));
const good: RequestShape = { dns: ['worker-0'], ips: ['10.0.0.7'] };
const judge = (request: CertificateSigningRequest) => objection(request, known);

describe('approved', () => {
  it.each<[string, RequestShape]>([
    ['name and address', good],
    ['an address alone', { ips: ['10.0.0.7'] }],
    ['a name alone', { dns: ['worker-0'] }],
    ['IPv6, however it is written', { ips: ['fd00::7'] }],
    ['an IPv4 address in IPv6', { ips: ['hex:00000000000000000000ffff0a000007'] }],
    ['host name in another case', { dns: ['RACK-A-07', 'rack-a-07.example.org'] }],
    ['an RSA key', { ...good, keys: rsa, algorithm: Oids.rsaSha256 }],
    [
      'the critical extension',
      { extensions: [extension(Oids.subjectAltName, generalNames(good), 'critical')] },
    ],
  ])('%s', (_name, shape) => expect(judge(signingRequest(shape))).toBeUndefined());

  it('what Go makes', () => {
    const request = Buffer.from(FROM_GO).toString('base64');
    expect(judge({ ...signingRequest(), spec: { ...signingRequest().spec, request } })).toBeUndefined();
  });

  it.each([
    ['ECDSA P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['RSA', ['rsa', '-pkeyopt', 'rsa_keygen_bits:3072']],
  ])('what openssl makes: %s', (_name, [algorithm = '', ...options]) => {
    const request = fromOpenssl('/O=system:nodes/CN=system:node:worker-0', [algorithm, ...options]);
    expect(judge(signingRequest(good, { request }))).toBeUndefined();
  });

  it('all usages that are allowed', () => {
    const usages = ['server auth', 'key encipherment', 'digital signature'];
    expect(judge(signingRequest(good, { usages }))).toBeUndefined();
  });
});

describe('refused for how it was sent', () => {
  it.each<[string, Partial<CertificateSigningRequest['spec']>, RegExp]>([
    ['no group', { groups: ['system:authenticated'] }, /not come from a member of system:nodes/],
    ['client auth', { usages: ['server auth', 'client auth'] }, /usage "client auth"/],
    ['any usage', { usages: ['any', 'server auth'] }, /usage "any"/],
    ['no server auth', { usages: ['digital signature'] }, /does not ask for the usage "server auth"/],
    ['no usages', { usages: [] }, /does not ask for the usage "server auth"/],
    [
      'another user than the subject',
      { username: 'system:node:worker-1' },
      /common name "system:node:worker-0"/,
    ],
    ['no PEM', { request: Buffer.from('hello').toString('base64') }, /not one PEM block/],
    ['another PEM', { request: pemBase64(requestDer(good), 'CERTIFICATE') }, /not one PEM block/],
    ['two PEM blocks', { request: twice(pemBase64(requestDer(good))) }, /not one PEM block/],
    ['text before', { request: Buffer.from(`x\n${FROM_GO}`).toString('base64') }, /not one PEM block/],
    ['nothing', { request: '' }, /not one PEM block/],
    [
      'bytes behind',
      { request: pemBase64(Buffer.concat([requestDer(good), Buffer.from([0])])) },
      /bytes follow/,
    ],
    ['cut off', { request: pemBase64(requestDer(good).subarray(0, -3)) }, /cut off/],
  ])('%s', (_name, spec, message) => expect(judge(signingRequest(good, spec))).toMatch(message));
});

describe('refused for what it asks', () => {
  it.each<[string, RequestShape, RegExp]>([
    ['no names at all', {}, /no name and no address/],
    ['empty names', { dns: [] }, /no name and no address/],
    [
      'a foreign address',
      { ips: ['10.0.0.7', '10.9.9.9'] },
      /asks for 10\.9\.9\.9, which is not an address of TSMachine default\/w0/,
    ],
    ['a foreign IPv6 address', { ips: ['fd00::8'] }, /asks for fd00::8/],
    ['a foreign name', { dns: ['worker-0', 'kubernetes.default'] }, /asks for kubernetes\.default/],
    ['a wildcard', { dns: ['*'] }, /asks for \*/],
    ['a name that begins alike', { dns: ['worker-0.evil.example.org'] }, /worker-0\.evil/],
    ['an address as a name', { dns: ['10.0.0.7'] }, /asks for 10\.0\.0\.7/],
    ['a name with a line feed', { dns: ['worker-0\n'] }, /DNS name that is none/],
    ['an empty name', { dns: [''] }, /DNS name that is none/],
    ['an address of 5 bytes', { ips: ['hex:0a00000700'] }, /IP address that is none/],
    ['an address with its mask', { ips: ['hex:0a000007ffffffff'] }, /IP address that is none/],
    [
      'an e-mail address',
      { ...good, names: [[0x81, Buffer.from('a@example.org')]] },
      /neither a DNS name nor/,
    ],
    ['a URI', { ...good, names: [[0x86, Buffer.from('https://x')]] }, /neither a DNS name nor/],
    [
      'another kind of name',
      { ...good, names: [[0xa0, Buffer.from('0600', 'hex')]] },
      /neither a DNS name nor/,
    ],
    ['another node', { ...good, subject: subjectOf('worker-1') }, /common name "system:node:worker-1"/],
    [
      'an administrator',
      {
        ...good,
        subject: [
          [Oids.organization, 'system:masters'],
          [Oids.commonName, 'system:node:worker-0'],
        ],
      },
      /organization "system:masters"/,
    ],
    [
      'two organizations',
      { ...good, subject: [...subjectOf('worker-0'), [Oids.organization, 'system:masters']] },
      /one common name and one/,
    ],
    [
      'two common names',
      { ...good, subject: [...subjectOf('worker-0'), [Oids.commonName, 'admin']] },
      /one common name and one/,
    ],
    [
      'no organization',
      { ...good, subject: [[Oids.commonName, 'system:node:worker-0']] },
      /one common name and one/,
    ],
    ['a unit', { ...good, subject: [...subjectOf('worker-0'), [Oids.unit, 'x']] }, /one common name and one/],
    ['a CA', { extensions: [san(good), extension(Oids.basicConstraints, element(0x30))] }, /more extensions/],
    [
      'only another extension',
      { extensions: [extension(Oids.basicConstraints, element(0x30))] },
      /other than subjectAltName/,
    ],
    ['names twice', { extensions: [san(good), san({ dns: ['evil'] })] }, /more extensions/],
    [
      'two requests for extensions',
      { ...good, attributes: [attribute(Oids.extensionRequest, element(0x30, san({ dns: ['evil'] })))] },
      /attribute that no kubelet/,
    ],
    [
      'another attribute',
      { ...good, attributes: [attribute(Oids.challengePassword, element(0x0c, Buffer.from('x')))] },
      /attribute that no kubelet/,
    ],
    ['another version', { ...good, version: '01' }, /unknown version/],
    ['signed by another key', { ...good, signedBy: other.privateKey }, /signature is wrong/],
    ['a short RSA key', { ...good, keys: shortRsa, algorithm: Oids.rsaSha256 }, /key is of a kind/],
    ['an odd curve', { ...good, keys: oddCurve }, /key is of a kind/],
    ['SHA-1', { ...good, keys: rsa, algorithm: Oids.rsaSha1, hash: 'sha1' }, /signed in a way/],
    ['an algorithm of another key', { ...good, keys: rsa }, /key is of a kind/],
    ['a long length', { ...good, spoil: longLength }, /shortest form/],
    [
      'an endless length',
      {
        ...good,
        spoil: (der) => Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(4), Buffer.alloc(2)]),
      },
      /length is not one/,
    ],
  ])('%s', (_name, shape, message) => expect(judge(signingRequest(shape))).toMatch(message));

  it('changed after it was signed', () => {
    const der = requestDer(good);
    der[der.indexOf(Buffer.from([0x87, 4, 10, 0, 0, 7])) + 5] = 8;
    expect(judge(signingRequest(good, { request: pemBase64(der) }))).toMatch(/signature is wrong/);
  });

  it('says what another machine wrote in one short line', () => {
    const subject: [string, string][] = [
      [Oids.organization, 'system:nodes'],
      [Oids.commonName, `x\n${'y'.repeat(500)}`],
    ];
    const message = judge(signingRequest({ ...good, subject }));
    expect(message).not.toContain('\n');
    expect(message!.length).toBeLessThan(200);
  });
});

describe('any bytes', () => {
  it('one byte changed anywhere is refused, and never throws', () => {
    const der = requestDer(good);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Buffer.from(der);
        changed[at] = changed[at]! ^ by;
        expect(judge(signingRequest(good, { request: pemBase64(changed) }))).toBeTypeOf('string');
      }),
      { numRuns: 500 },
    );
  });

  it('noise is refused, and never throws', () => {
    for (let length = 1; length < 200; length++)
      expect(judge(signingRequest(good, { request: pemBase64(randomBytes(length)) }))).toBeTypeOf('string');
  });
});

describe('whose request it is', () => {
  const decided = { type: 'Denied', status: 'True' };
  it.each<[string, CertificateSigningRequest, string | undefined]>([
    ['a kubelet', signingRequest(), 'worker-0'],
    [
      'another signer',
      signingRequest(good, { signerName: 'kubernetes.io/kube-apiserver-client-kubelet' }),
      undefined,
    ],
    ['a person', signingRequest(good, { username: 'admin' }), undefined],
    ['decided', { ...signingRequest(), status: { conditions: [decided] } }, undefined],
    ['signed', { ...signingRequest(), status: { certificate: 'x' } }, undefined],
  ])('%s', (_name, request, node) => expect(nodeAsking(request)).toBe(node));
});

function twice(base64: string): string {
  const pem = Buffer.from(base64, 'base64');
  return Buffer.concat([pem, pem]).toString('base64');
}

/** The same length, in one byte more than it takes. */
function longLength(der: Buffer): Buffer {
  const count = der[1]! & 0x7f;
  return Buffer.concat([Buffer.from([0x30, 0x80 | (count + 1), 0]), der.subarray(2)]);
}

function fromOpenssl(subject: string, key: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'serving-request-'));
  try {
    const keyFile = join(folder, 'key.pem');
    const [algorithm = '', ...options] = key;
    execFileSync('openssl', ['genpkey', '-algorithm', algorithm, ...options, '-out', keyFile], {
      stdio: 'pipe',
    });
    const names = 'subjectAltName=DNS:worker-0,IP:10.0.0.7,IP:fd00::7';
    const pem = execFileSync(
      'openssl',
      ['req', '-new', '-key', keyFile, '-subj', subject, '-addext', names],
      { stdio: 'pipe' },
    );
    return pem.toString('base64');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
