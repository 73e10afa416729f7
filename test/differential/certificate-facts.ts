// SPDX-License-Identifier: Apache-2.0
// What matters of a certificate and its key, without what is new each time.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import type { Secret } from '../../api/cluster-api.ts';
import type { Json } from './payload.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Extensions whose value is made from the key. */
const FROM_KEY = new Set(['2.5.29.14', '2.5.29.35']);

/** KB-31, KB-32: subject, times, extensions, kinds of key, and whether the two belong together. */
export function certificateFacts(secret: Secret): Json {
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const key = text('tls.key');
  const certificate = text('tls.crt');
  const keys = Object.keys(secret.data ?? {}).sort();
  return {
    keys,
    certificate: publicFacts(certificate, secret),
    key: keyFacts(key),
    fits: fits(certificate, key),
  };
}

function publicFacts(pem: string, secret: Secret): Json {
  if (!pem.includes('BEGIN CERTIFICATE')) return { label: label(pem), ...describe(createPublicKey(pem)) };
  const certificate = new X509Certificate(pem);
  const from = Date.parse(certificate.validFrom);
  const made = Date.parse(secret.metadata.creationTimestamp ?? '');
  return {
    label: label(pem),
    ...describe(certificate.publicKey),
    subject: certificate.subject,
    issuer: certificate.issuer,
    selfSigned: certificate.verify(certificate.publicKey),
    ca: certificate.ca,
    serial: /^0*$/.test(certificate.serialNumber) ? 'zero' : 'positive',
    backdatedMinutes: Math.round((made - from) / MINUTE_MS),
    validDays: Math.round((Date.parse(certificate.validTo) - from) / DAY_MS),
    extensions: extensions(certificate),
  };
}

function keyFacts(pem: string): Json {
  return pem === '' ? null : { label: label(pem), ...describe(createPrivateKey(pem)) };
}

function describe({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject) {
  const { modulusLength, namedCurve, publicExponent } = asymmetricKeyDetails ?? {};
  return {
    type: asymmetricKeyType ?? null,
    bits: modulusLength ?? null,
    curve: namedCurve ?? null,
    exponent: publicExponent === undefined ? null : String(publicExponent),
  };
}

function fits(certificate: string, key: string): boolean {
  if (key === '') return false;
  const spki = (object: KeyObject) => object.export({ type: 'spki', format: 'pem' });
  return spki(createPublicKey(certificate)) === spki(createPublicKey(createPrivateKey(key)));
}

function label(pem: string): string {
  return /-----BEGIN ([A-Z ]+)-----/.exec(pem)?.[1] ?? '';
}

/** Object identifier to value in hexadecimal, in the order of the certificate. */
function extensions(certificate: X509Certificate): Json {
  const root = forge.asn1.fromDer(forge.util.createBuffer(certificate.raw.toString('binary')));
  const [signed] = root.value as forge.asn1.Asn1[];
  const tagged = (signed?.value as forge.asn1.Asn1[]).find(
    ({ tagClass, type }) => tagClass === forge.asn1.Class.CONTEXT_SPECIFIC && Number(type) === 3,
  );
  const [list] = (tagged?.value ?? []) as forge.asn1.Asn1[];
  return ((list?.value ?? []) as forge.asn1.Asn1[]).map((extension) => {
    const [oid, ...rest] = extension.value as forge.asn1.Asn1[];
    const id = forge.asn1.derToOid(oid?.value as string);
    const value = Buffer.from(rest.at(-1)?.value as string, 'binary').toString('hex');
    return { id, critical: rest.length === 2, value: FROM_KEY.has(id) ? 'from the key' : value };
  });
}
