// SPDX-License-Identifier: Apache-2.0
// Text that a POSIX shell reads as it was meant.

/** One word, whatever is in it. NUL, which no word can hold, is an error. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new Error('a word for a shell holds NUL');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Writes any bytes into `file` (already a word of the shell), which is told in base64, so that nothing in them is read as a command. */
export function writeBytes(file: string, bytes: string | Buffer): string {
  return `base64 -d >${file} ${heredoc(bytes)}`;
}

/** Input of a command: bytes in base64, then the rest of the command's line. Ends with a line end. */
export function heredoc(bytes: string | Buffer, rest = ''): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  return `<<'END_OF_DATA'${rest}\n${lines.map((line) => `${line}\n`).join('')}END_OF_DATA\n`;
}
