// SPDX-License-Identifier: Apache-2.0
import { posix } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Step } from '../job/job.ts';
import { type Field, fieldsOf, flagOf, itemsOf, requireText, textOfField } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { type FileToWrite, stepOf, writeFile } from './prelude.ts';
import { PyFloat, type Value } from './yaml-document.ts';

const KEYS = ['path', 'content', 'encoding', 'owner', 'permissions', 'append', 'defer'];

const DEFAULT_MODE = 0o644;
const DEFAULT_OWNER = 'root:root';

/** A bomb of gzip ends here. */
const MAX_BYTES = 32 * 1024 * 1024;

/** One entry. */
export interface WrittenFile extends FileToWrite {
  /** Written at the end, when packages and users are there. */
  readonly defer: boolean;
}

/** All entries, decoded. Throws InterpretError. */
export function filesOf(field: Field | undefined): WrittenFile[] {
  return itemsOf(field).map(fileOf);
}

function fileOf(entry: Field): WrittenFile {
  const fields = fieldsOf(entry, KEYS);
  const path = textOfField(fields.get('path'));
  if (path === undefined) throw new InterpretError(`${entry.path}.path`, 'is missing');
  return {
    field: entry.path,
    path: posix.resolve('/', requireText(`${entry.path}.path`, path)),
    content: contentOf(fields, entry.path),
    append: flagOf(fields.get('append'), false),
    mode: modeOf(fields.get('permissions')),
    owner: ownerOf(fields.get('owner')),
    defer: flagOf(fields.get('defer'), false),
  };
}

function contentOf(fields: Map<string, Field>, path: string): Buffer {
  const field = fields.get('content');
  const value = field === undefined ? '' : field.value;
  if (typeof value !== 'string' && !Buffer.isBuffer(value))
    throw new InterpretError(
      `${path}.content`,
      'is not a string: write it in quotes, or leave it out for an empty file',
    );
  const name = (textOfField(fields.get('encoding')) ?? '').toLowerCase().trim();
  const encoding = ENCODINGS[name];
  if (encoding === undefined || !Object.hasOwn(ENCODINGS, name))
    throw new InterpretError(`${path}.encoding`, 'is not known: use text/plain, base64, gzip or gzip+base64');
  const bytes = encoding.base64 ? decoded(value, path) : Buffer.from(value);
  return encoding.gzip ? unpacked(bytes, path) : bytes;
}

const PACKED = { base64: true, gzip: true };
const ENCODINGS: Readonly<Record<string, { readonly base64: boolean; readonly gzip: boolean }>> = {
  '': { base64: false, gzip: false },
  'text/plain': { base64: false, gzip: false },
  b64: { base64: true, gzip: false },
  base64: { base64: true, gzip: false },
  gz: { base64: false, gzip: true },
  gzip: { base64: false, gzip: true },
  'gz+b64': PACKED,
  'gzip+b64': PACKED,
  'gz+base64': PACKED,
  'gzip+base64': PACKED,
};

/** As Python decodes: what is not of the alphabet is passed over, the padding must be right. */
function decoded(value: string | Buffer, path: string): Buffer {
  const [text = ''] = /^[A-Za-z0-9+/]*={0,2}/.exec(value.toString().replace(/[^A-Za-z0-9+/=]/g, '')) ?? [];
  if (text.length % 4 !== 0) throw new InterpretError(`${path}.content`, 'is not base64');
  return Buffer.from(text, 'base64');
}

function unpacked(bytes: Buffer, path: string): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
  } catch {
    throw new InterpretError(`${path}.content`, 'cannot be unpacked with gzip');
  }
}

/** A string is octal; a number is what YAML made of it: `0644` is octal to YAML, `644` is not. 0 changes nothing. */
function modeOf(field: Field | undefined): number {
  if (field === undefined || field.value === null) return DEFAULT_MODE;
  const mode = modeNumber(field.value);
  if (mode === undefined || mode < 0 || mode > 0o7777)
    throw new InterpretError(field.path, "is not a mode: write it as '0644'");
  return mode;
}

function modeNumber(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (value instanceof PyFloat) return Math.trunc(value.value);
  if (typeof value !== 'string') return undefined;
  const digits = /^\s*(?:0[oO])?([0-7]+)\s*$/.exec(value)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

/** What chown takes. `-1` and `none` leave a part alone. */
function ownerOf(field: Field | undefined): string {
  if (field === undefined) return DEFAULT_OWNER;
  const text = textOfField(field);
  if (text === undefined) return '';
  const [user = '', ...rest] = text.split(':');
  const [one, two] = [user, rest.join(':')].map((name) => name.trim()).map(nameOrNothing);
  for (const name of [one, two].filter((part) => part !== ''))
    if (!/^[A-Za-z_][\w.-]{0,63}\$?$/.test(name ?? ''))
      throw new InterpretError(field.path, 'is not made of names: write it as "user:group"');
  return two === '' ? (one ?? '') : `${one}:${two}`;
}

function nameOrNothing(name: string): string {
  return name === '-1' || name.toLowerCase() === 'none' ? '' : name;
}

/** One step for the files of the first stage, or those of the last: a file that cannot be written ends it, as in cloud-init. */
export function writeFilesSteps(files: readonly WrittenFile[], deferred: 'first' | 'deferred'): Step[] {
  const mine = files.filter((file) => file.defer === (deferred === 'deferred'));
  if (mine.length === 0) return [];
  const id = deferred === 'deferred' ? 'write_files_deferred' : 'write_files';
  return [stepOf(id, id, mine.map(writeFile).join(''), { repeatable: mine.every((file) => !file.append) })];
}
