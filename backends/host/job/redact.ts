// SPDX-License-Identifier: Apache-2.0
// What may be told of a line that some program wrote on a host.

/** Stands for what is not told. */
const HIDDEN = '***';

/** At least this long: what is shorter would hide half of every message. */
const MIN_SECRET = 6;

const PATTERNS: readonly RegExp[] = [
  // Bootstrap tokens of kubeadm.
  /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g,
  // Keys and certificates, whole or cut off.
  /-----BEGIN [^-]+-----[^]*?(?:-----END [^-]+-----|$)/g,
  // Certificate keys; a digest says "sha256:" in front.
  /(?<!sha256:)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g,
  // Base64 of any key; paths are left alone.
  /(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*\d)[A-Za-z0-9+/]{48,}={0,2}/g,
  // Passwords in addresses, and headers of requests.
  /(?<=:\/\/[^\s:@/]{0,64}:)[^\s@/]+(?=@)/g,
  /(?<=\b(?:Bearer|Basic) )[\w.~+/=-]{8,}/gi,
  // "password: x", "token=x".
  /(?<=\b(?:password|passwd|token|secret|api[-_]?key)["']?[=:]\s*)[^\s,;]{4,}/gi,
];

/** Of a longer text only this much is looked at: a host may say anything, and patterns take time that grows with its square. */
const LONGEST = 2000;

/** One line, no control characters, at most `length` characters, nothing that is or looks like a secret. */
export function redact(text: string, secrets: readonly string[] = [], length = 200): string {
  let line = text.slice(0, LONGEST);
  for (const secret of secretLines(secrets)) line = line.replaceAll(secret, HIDDEN);
  for (const pattern of PATTERNS) line = line.replace(pattern, HIDDEN);
  line = line
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}

/** The lines of all secrets, the longest first, so that none hides only a part of another. */
export function secretLines(secrets: readonly string[]): string[] {
  const lines = secrets.flatMap((secret) => secret.split('\n')).map((line) => line.trim());
  return [...new Set(lines)].filter((line) => line.length >= MIN_SECRET).sort((a, b) => b.length - a.length);
}
