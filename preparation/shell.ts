// SPDX-License-Identifier: Apache-2.0
// Text that a POSIX shell reads as it was meant, and calls of the library's functions that carry content.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';

/** One word, whatever is in it. NUL, which no word can hold, is an error. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new Error('a word for a shell holds NUL');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Hex. */
export function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** A file with a content and a mode, such as 0o644. */
export interface FileContent {
  readonly path: string;
  readonly mode: number;
  readonly content: string;
}

/** For `apply`: makes the file so. The command fails the step when it cannot. */
export function writeFile({ path, mode, content }: FileContent): string {
  const lines =
    Buffer.from(content)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  const data = lines.map((line) => `${line}\n`).join('');
  return `write_file ${quote(path)} ${octal(mode)} <<'END_OF_DATA'\n${data}END_OF_DATA\n`;
}

/** For `check`: a command that succeeds when the file is so, and notes it as laid down by this step. */
export function isFile({ path, mode, content }: FileContent): string {
  return `is_file ${quote(path)} ${octal(mode)} ${sha256(content)}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
