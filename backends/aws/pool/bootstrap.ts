// SPDX-License-Identifier: Apache-2.0
// Bootstrap data of a pool: as user data of a launch template, and as what tells whether its machines have to be replaced.
import { gunzipSync, gzipSync } from 'node:zlib';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { BootstrapData } from '../../backend.ts';

/** Most bytes of user data, before they are base64 (EC2 user guide, "Run commands when you launch an EC2 instance"). */
const MAX_BYTES = 16_384;

/**
 * User data in base64: as they are, or packed by gzip where they do not fit, which cloud-init unpacks. A launch template outlives every
 * single instance, so data that are read once and deleted are no way for a pool: what does not fit is TerminalError(UserDataTooLarge).
 * The same data always give the same bytes.
 */
export function userDataOf(data: BootstrapData): string {
  const { value, format } = data;
  const fits = value.length <= MAX_BYTES;
  const bytes = fits || format === 'ignition' || isPacked(value) ? value : gzipSync(value);
  if (bytes.length <= MAX_BYTES) return bytes.toString('base64');
  const packed = bytes === value ? '' : ` (${bytes.length} compressed)`;
  throw new TerminalError(
    Reason.UserDataTooLarge,
    `The bootstrap data have ${value.length} bytes${packed}, and the launch template of a pool holds ${MAX_BYTES}: ` +
      'make files of the bootstrap config smaller, bring them in the image or have the machine fetch them, ' +
      'or use a MachineDeployment, whose machines can fetch large bootstrap data',
  );
}

function isPacked(value: Buffer): boolean {
  return value[0] === 0x1f && value[1] === 0x8b;
}

/** A bootstrap token: it is renewed while the pool lives, and is of no use to machines that have joined (IMP-13). */
const TOKEN = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g;

/** The data without what is renewed, unpacked: another text needs other machines. Of no other use. */
export function materialOf({ value, format }: BootstrapData): string {
  const text = unpacked(value).toString('utf8');
  return (format === 'ignition' ? ignitionText(text) : text).replaceAll(TOKEN, '<token>');
}

/** What a stream unfolds to at most. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

function unpacked(value: Buffer): Buffer {
  if (!isPacked(value)) return value;
  try {
    return gunzipSync(value, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch {
    // Not ours to judge: whatever it is, it is compared as it is.
    return value;
  }
}

/** Ignition carries files as data URLs, some of them packed: a token in there would not be seen. */
function ignitionText(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), (key, value: unknown) =>
      key === 'source' && typeof value === 'string' && value.startsWith('data:') ? contentOf(value) : value,
    );
  } catch {
    return text;
  }
}

function contentOf(url: string): string {
  const comma = url.indexOf(',');
  const body = url.slice(comma + 1);
  if (!url.slice(0, comma).endsWith(';base64')) return decodeURIComponent(body);
  return unpacked(Buffer.from(body, 'base64')).toString('utf8');
}
