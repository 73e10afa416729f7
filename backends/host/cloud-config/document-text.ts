// SPDX-License-Identifier: Apache-2.0
// From the bytes of a bootstrap data secret to the text of a cloud-config document.
import { gunzipSync } from 'node:zlib';
import { InterpretError } from './interpret-error.ts';

/** More than any machine needs; a bomb of gzip ends here. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Kinds of user data that cloud-init tells by their first characters, with what it calls them. */
const OTHER_KINDS: readonly (readonly [prefix: string, name: string])[] = [
  ['#!', 'a shell script'],
  ['#include', 'an include file'],
  ['#cloud-boothook', 'a boot hook'],
  ['#cloud-config-archive', 'an archive of documents'],
  ['#cloud-config-jsonp', 'a JSON patch'],
  ['#part-handler', 'a part handler'],
  ['content-type:', 'a MIME message'],
  ['mime-version:', 'a MIME message'],
];

/** Unpacks gzip and reads UTF-8. Throws InterpretError. */
export function textOf(data: Buffer): string {
  try {
    const bytes =
      data[0] === 0x1f && data[1] === 0x8b ? gunzipSync(data, { maxOutputLength: MAX_BYTES }) : data;
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const what = error instanceof TypeError ? 'is not UTF-8' : 'cannot be unpacked with gzip';
    throw new InterpretError('', `the bootstrap data ${what}: a cloud-config document is wanted`);
  }
}

/** Says no to everything that is not one cloud-config document (after Jinja). */
export function requireCloudConfig(text: string): void {
  const start = text.trimStart().toLowerCase();
  const other = OTHER_KINDS.find(([prefix]) => start.startsWith(prefix));
  if (other === undefined && start.startsWith('#cloud-config')) return;
  throw new InterpretError(
    '',
    `the bootstrap data are ${other?.[1] ?? 'of no kind that is known'}: one document that begins with "#cloud-config" is wanted`,
  );
}
