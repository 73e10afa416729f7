// SPDX-License-Identifier: Apache-2.0
import { errorMessage } from './errors.ts';

const REDACTED = '[REDACTED]';

/** Longer strings are cut: a log line is for people, and a bound keeps the patterns below cheap. */
const MAX_STRING = 8192;
const MAX_ITEMS = 100;
const MAX_DEPTH = 8;

/** Keys whose values are never written, compared in lower case without separators. `data` is what Secrets keep theirs under. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  ...['data', 'stringdata', 'binarydata', 'userdata', 'bootstrapdata', 'kubeconfig', 'credentials'],
  ...[
    'token',
    'password',
    'passwd',
    'passphrase',
    'secret',
    'apikey',
    'authorization',
    'cookie',
    'setcookie',
  ],
  ...['clientkeydata', 'clientcertificatedata', 'certificatekey', 'tlskey', 'tlscrt'],
]);
const SECRET_SUFFIXES = ['password', 'passphrase', 'token', 'privatekey', 'secretkey', 'accesskey'];

/** An idempotency key, no credential: it is what a cloud's own log is searched for. */
const PUBLIC_KEYS: ReadonlySet<string> = new Set(['clienttoken']);

/** Text that is a secret wherever it stands: in messages, causes, stacks and values of harmless keys. */
const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  // PEM blocks, with real or escaped line breaks, also when the end was cut off.
  [
    /-----BEGIN [A-Z0-9 ]+-----(?:[A-Za-z0-9+/=:,\s-]|\\+[nrt])*?(?:-----END [A-Z0-9 ]+-----|(?![A-Za-z0-9+/=:,\s\\-]|\\+[nrt]))/g,
    '[REDACTED PEM]',
  ],
  // The same in base64, as kubeconfigs and Secrets carry it.
  [/LS0tLS1CRUdJTi[A-Za-z0-9+/=]*/g, '[REDACTED PEM]'],
  [/\b(bearer)\s+[A-Za-z0-9._~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/\b(authorization["'\\]*\s*[:=]\s*["'\\]*)(?!bearer\b)(?:[a-z]+\s+)?[^\s"',\\]+/gi, `$1${REDACTED}`],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, '[REDACTED JWT]'],
  // Bootstrap tokens.
  [/(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])/g, '[REDACTED TOKEN]'],
  [/(:\/\/[^\s/:@]+:)[^\s/@]+@/g, `$1${REDACTED}@`],
  [/\b((?:password|passwd|passphrase|token|secret[\w-]*)=)[^\s&"',;]+/gi, `$1${REDACTED}`],
  [
    /(["'\\]+(?:password|passwd|passphrase|token|secret[\w-]*)["'\\]+\s*:\s*["'\\]+)[^"'\\]+/gi,
    `$1${REDACTED}`,
  ],
  [/^(\s*-?\s*(?:password|passwd|passphrase|token|secret[\w-]*)\s*:\s*)\S+/gim, `$1${REDACTED}`],
];

/** The text without private keys, certificates, bearer and bootstrap tokens, passwords in URLs and assignments; cut at 8 KiB. */
export function redactText(text: string): string {
  const cut = text.length > MAX_STRING ? `${text.slice(0, MAX_STRING)}... (${text.length} characters)` : text;
  return SECRET_TEXT.reduce((masked, [pattern, replacement]) => masked.replace(pattern, replacement), cut);
}

/**
 * A copy that may be logged: values of secret keys are replaced at any depth, texts go through {@link redactText}, errors become
 * type, message, stack, code and reason, and bytes become their length. Never throws on cycles, bigints or getters that throw.
 */
export function redact(fields: object): Record<string, unknown> {
  return redactEntries(fields, []);
}

function redactEntries(value: object, ancestors: readonly object[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    copy[key] = isSecretKey(key)
      ? maskWhole(read(value, key))
      : redactValue(read(value, key), [...ancestors, value]);
  }
  return copy;
}

/** A getter that throws must not take the log line with it. */
function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch (error) {
    return `[unreadable: ${errorMessage(error)}]`;
  }
}

function isSecretKey(key: string): boolean {
  // `Secret` in upper camel case is the log key of an object's name.
  if (key === 'Secret') return false;
  const plain = key.toLowerCase().replace(/[-_. ]/g, '');
  if (PUBLIC_KEYS.has(plain)) return false;
  return SECRET_KEYS.has(plain) || SECRET_SUFFIXES.some((suffix) => plain.endsWith(suffix));
}

/** Absent stays visible as absent: "no token was given" is worth knowing and tells nothing. */
function maskWhole(value: unknown): unknown {
  return value === undefined || value === null || value === '' ? value : REDACTED;
}

function redactValue(value: unknown, ancestors: readonly object[]): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  return redactObject(value, ancestors);
}

function redactObject(value: object, ancestors: readonly object[]): unknown {
  if (value instanceof Error) return redactError(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  return redactContainer(value, ancestors);
}

function redactContainer(value: object, ancestors: readonly object[]): unknown {
  if (ancestors.includes(value)) return '[Circular]';
  if (ancestors.length > MAX_DEPTH) return '[Deep]';
  if (Array.isArray(value)) return redactArray(value, [...ancestors, value]);
  if (value instanceof Set) return redactArray([...(value as Set<unknown>)], [...ancestors, value]);
  if (value instanceof Map)
    return redactEntries(Object.fromEntries(value as Map<string, unknown>), ancestors);
  return redactEntries(value, ancestors);
}

function redactArray(items: readonly unknown[], ancestors: readonly object[]): unknown[] {
  const copy = items.slice(0, MAX_ITEMS).map((item) => redactValue(item, ancestors));
  return items.length > MAX_ITEMS ? [...copy, `... (${items.length} items)`] : copy;
}

/** Only what is known to be harmless: libraries hang whole requests, headers included, on their errors. */
function redactError(error: Error): Record<string, unknown> {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return {
    type: error.name,
    message: redactText(errorMessage(error)),
    ...(code === undefined ? {} : { code: redactValue(code, []) }),
    ...(reason === undefined ? {} : { reason: redactValue(reason, []) }),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
  };
}
