// SPDX-License-Identifier: Apache-2.0
// What cloud-init cannot act on. It writes the files in their order and ends at the first one that it cannot write: kubeadm's own
// configuration comes after those of a person.
import { gunzipSync } from 'node:zlib';
import type { Filesystem } from '../../api/bootstrap/machine-contents.ts';
import type { MachineContents, ResolvedFile } from '../machine-contents.ts';
import { check, isLiteral, type Problem } from './problem.ts';

/** `files` are those of the spec, without what goes before and behind them in `contents`. */
export function checkCloudConfig(contents: MachineContents, files: readonly ResolvedFile[]): Problem[] {
  return [
    ...files.flatMap((file, index) => checkFile(`spec.files[${index}]`, file)),
    ...(contents.diskSetup?.filesystems ?? []).flatMap((one, index) =>
      checkFilesystem(`spec.diskSetup.filesystems[${index}]`, one),
    ),
    ...contents.mounts.flatMap((mount, index) => checkMount(`spec.mounts[${index}]`, mount)),
    ...contents.users.flatMap(({ name }, index) => check(`spec.users[${index}].name`, name, userName)),
  ];
}

function checkFile(field: string, file: ResolvedFile): Problem[] {
  return [
    ...check(`${field}.permissions`, file.permissions, permissions),
    ...check(`${field}.owner`, file.owner, owner),
    ...checkEncoding(field, file),
  ];
}

/** What Python reads as an octal number that Linux takes. What is no number, cloud-init replaces by 0644: readable by all. */
function permissions(text: string): string | undefined {
  const [, digits] = /^\s*[+-]?(?:0[oO]_?)?([0-7](?:_?[0-7])*)\s*$/.exec(text) ?? [];
  const value = Number.parseInt(digits?.replaceAll('_', '') ?? '', 8);
  return value <= 0x7f_ff_ff_ff ? undefined : 'must be octal digits, such as 0640';
}

/** A name cannot hold the colon that separates the fields of /etc/group. */
function owner(text: string): string | undefined {
  return text.split(':').length <= 2 ? undefined : 'must be user:group';
}

function userName(text: string): string | undefined {
  return /[:/\n]/.test(text) ? 'must be without ":", "/" and line breaks' : undefined;
}

function checkEncoding(field: string, { encoding, content }: ResolvedFile): Problem[] {
  if (encoding === undefined || (/\{[{%#]/.test(content) && encoding !== 'gzip')) return [];
  const here = `${field}.encoding`;
  if (encoding === 'gzip') {
    // A text is no gzip stream, and YAML's way to hold bytes is not ours.
    return [{ field: here, message: 'cannot be gzip alone, which is not text: use gzip+base64' }];
  }
  const bytes = fromBase64(content);
  if (bytes === undefined) return [{ field: here, message: `is ${encoding}, and the content is not base64` }];
  return encoding === 'base64' || bytes.length === 0 || isGzip(bytes)
    ? []
    : [{ field: here, message: 'is gzip+base64, and the content is not a whole gzip stream in base64' }];
}

/** As Python reads it: what is no digit is passed over, what follows the padding too. undefined where it gives up. */
function fromBase64(text: string): Buffer | undefined {
  if (/[^\0-\x7f]/.test(text)) return undefined;
  const digits = text.replaceAll(/[^A-Za-z0-9+/=]/g, '');
  let quad = 0;
  let padding = 0;
  for (let index = 0; index < digits.length; index++) {
    if (digits[index] !== '=') {
      padding = 0;
      quad = (quad + 1) % 4;
    } else if (quad >= 2 && quad + ++padding >= 4) {
      return Buffer.from(digits.slice(0, index).replaceAll('=', ''), 'base64');
    }
  }
  return quad === 0 ? Buffer.from(digits.replaceAll('=', ''), 'base64') : undefined;
}

/** What a stream may unfold to before we take it for right. */
const MAX_BYTES = 64 * 1024 * 1024;

function isGzip(bytes: Buffer): boolean {
  try {
    gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
  }
}

/** `auto|any` stands in Cluster API's documentation; cloud-init makes nothing of other words, and says nothing. */
function checkFilesystem(field: string, { partition }: Filesystem): Problem[] {
  return check(`${field}.partition`, partition, (text) =>
    /^(?:\d+|auto|any|none|auto\|any)$/i.test(text) ? undefined : 'must be a number, auto, any or none',
  );
}

/** A line of fstab has six fields. */
function checkMount(field: string, mount: readonly string[]): Problem[] {
  const tooMany = mount.length > 6 && mount.every(isLiteral);
  return tooMany
    ? [{ field, message: 'must have at most six words: device, folder, kind, options, dump, pass' }]
    : [];
}
