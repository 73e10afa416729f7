// SPDX-License-Identifier: Apache-2.0
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type GeneratedKey,
  newCertificateAuthority,
  newServiceAccountKeyPair,
} from './certificate-authority.ts';
import { publicKeyBits } from './der.ts';

const KEYS: Record<string, GeneratedKey> = {
  'ECDSA-P256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'ECDSA-P384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'RSA-2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'RSA-3072': generateKeyPairSync('rsa', { modulusLength: 3072 }),
};
const now = new Date('2030-06-01T12:00:00.750Z');
const serial = Uint8Array.from({ length: 16 }, (_, index) => index + 1);

describe('newCertificateAuthority (KB-31)', () => {
  it.each([
    ['ECDSA-P256', 'ecdsa-with-SHA256', '1.2.840.10045.4.3.2', 'EC PRIVATE KEY'],
    ['ECDSA-P384', 'ecdsa-with-SHA384', '1.2.840.10045.4.3.3', 'EC PRIVATE KEY'],
    ['RSA-2048', 'sha256WithRSAEncryption', '1.2.840.113549.1.1.11', 'RSA PRIVATE KEY'],
    ['RSA-3072', 'sha256WithRSAEncryption', '1.2.840.113549.1.1.11', 'RSA PRIVATE KEY'],
  ])('%s', async (algorithm, signature, signatureId, keyLabel) => {
    const key = KEYS[algorithm]!;
    const pair = await newCertificateAuthority({ key, now, validityDays: undefined, serial });
    const certificate = new X509Certificate(pair.certificate);

    expect(certificate.subject).toBe('CN=kubernetes');
    expect(certificate.issuer).toBe('CN=kubernetes');
    expect(certificate.validFromDate).toEqual(new Date('2030-06-01T11:55:00Z'));
    expect(certificate.validToDate).toEqual(new Date('2040-05-29T12:00:00Z'));
    expect(certificate.ca).toBe(true);
    expect([certificate.signatureAlgorithm, certificate.signatureAlgorithmOid]).toEqual([
      signature,
      signatureId,
    ]);
    expect(certificate.checkIssued(certificate)).toBe(true);
    expect(certificate.verify(key.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(pair.key ?? ''))).toBe(true);
    expect(pair.key?.startsWith(`-----BEGIN ${keyLabel}-----\n`)).toBe(true);
    expect(pair.certificate).toBe(certificate.toString());
  });

  it('has the extensions of a CA that signs leaf certificates only, and no other', async () => {
    const key = KEYS['ECDSA-P256']!;
    const { certificate } = await newCertificateAuthority({ key, now, validityDays: undefined, serial });
    const der = new X509Certificate(certificate).raw.toString('hex');
    const bits = publicKeyBits(key.publicKey.export({ type: 'spki', format: 'der' }));
    const identifier = createHash('sha256').update(bits).digest('hex').slice(0, 40);
    const keyUsage = '0603551d0f' + '0101ff' + '0404' + '030202a4';
    const basicConstraints = '0603551d13' + '0101ff' + '0408' + '3006' + '0101ff' + '020100';
    const subjectKeyIdentifier = '0603551d0e' + '0416' + `0414${identifier}`;
    expect(der).toContain(`a3453043300e${keyUsage}3012${basicConstraints}301d${subjectKeyIdentifier}`);
  });

  it.each([
    [undefined, '2040-05-29T12:00:00.000Z'],
    [1, '2030-06-02T12:00:00.000Z'],
    // Two digits for the year end with 2049.
    [7153, '2049-12-31T12:00:00.000Z'],
    [7154, '2050-01-01T12:00:00.000Z'],
    [36_500, '2130-05-08T12:00:00.000Z'],
  ])('is valid for %s days', async (validityDays, until) => {
    const key = KEYS['ECDSA-P256']!;
    const { certificate } = await newCertificateAuthority({ key, now, validityDays, serial });
    const { raw, validToDate } = new X509Certificate(certificate);
    expect(validToDate.toISOString()).toBe(until);
    const tag = until < '2050' ? '170d' : '180f';
    const digits = until.replaceAll(/[-:T]|\.\d+/g, '').slice(until < '2050' ? 2 : 0);
    expect(raw.toString('hex')).toContain(`${tag}${Buffer.from(digits).toString('hex')}`);
  });

  it.each([
    ['all zero', Array<number>(16).fill(0), '40000000000000000000000000000000'],
    ['negative if taken as it is', Array<number>(16).fill(255), '7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'],
    ['one byte', [1], '41'],
    ['twenty bytes', Array<number>(20).fill(128), `40${'80'.repeat(19)}`],
  ])('has a positive serial number from bytes that are %s', async (_, bytes, number) => {
    const key = KEYS['ECDSA-P256']!;
    const options = { key, now, validityDays: undefined, serial: Uint8Array.from(bytes) };
    const { certificate } = await newCertificateAuthority(options);
    expect(new X509Certificate(certificate).serialNumber).toBe(number);
  });

  it.each([[0], [21]])('refuses a serial number of %i bytes', async (length) => {
    const options = { key: KEYS['ECDSA-P256']!, now, validityDays: 1, serial: new Uint8Array(length) };
    await expect(newCertificateAuthority(options)).rejects.toThrow(RangeError);
  });
});

describe('newServiceAccountKeyPair (KB-32)', () => {
  it.each(Object.entries(KEYS))('%s: a public key in place of the certificate', (_, key) => {
    const pair = newServiceAccountKeyPair(key);
    expect(pair.certificate).toBe(key.publicKey.export({ type: 'spki', format: 'pem' }));
    expect(pair.certificate.startsWith('-----BEGIN PUBLIC KEY-----\n')).toBe(true);
    expect(createPrivateKey(pair.key ?? '').equals(key.privateKey)).toBe(true);
  });
});
