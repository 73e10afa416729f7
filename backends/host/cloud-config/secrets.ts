// SPDX-License-Identifier: Apache-2.0
// What of a document must never be told: it is redacted from lines of the host's log.
import type { User } from './users.ts';
import type { WrittenFile } from './write-files.ts';

/** Shorter ones say nothing, and would hide half of every message. */
const MIN_LENGTH = 8;

const TOKEN = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g;

/** Lines of files that not everybody may read, and of keys; the values behind their keys; tokens; passwords. */
export function secretsOf(text: string, files: readonly WrittenFile[], users: readonly User[]): string[] {
  const secrets = [
    ...(text.match(TOKEN) ?? []),
    ...files.flatMap(secretsOfFile),
    ...users.flatMap(({ passwd, hashedPasswd, plainTextPasswd }) =>
      [passwd, hashedPasswd, plainTextPasswd].filter((one) => one !== undefined),
    ),
  ];
  return [...new Set(secrets)];
}

function secretsOfFile({ content, mode }: WrittenFile): string[] {
  const text = content.toString();
  const isOpen = mode === 0 || (mode & 0o004) !== 0;
  if (isOpen && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return [];
  const lines = text.split('\n').map((line) => line.trim());
  const values = lines.map((line) => /^[\w."'-]+\s*[:=]\s*["']?(.*?)["']?$/.exec(line)?.[1] ?? '');
  return [...lines, ...values].filter((line) => line.length >= MIN_LENGTH);
}
