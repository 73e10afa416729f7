// SPDX-License-Identifier: Apache-2.0
// As much of tar as archives of images and of one program need: plain files and folders, names of any length when read.
import { closeSync, createReadStream, createWriteStream, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { ArtifactError } from './errors.ts';

const BLOCK = 512;

/** A file in an archive that is not compressed. */
export interface TarEntry {
  /** Without a leading `./`. */
  readonly name: string;
  /** Of its content in the archive, in bytes. */
  readonly offset: number;
  readonly size: number;
}

/** All plain files, in order. Throws ArtifactError when it is no tar archive, or a part of one. */
export function readTar(path: string): TarEntry[] {
  const file = openSync(path, 'r');
  try {
    return [...entriesOf(path, file)];
  } finally {
    closeSync(file);
  }
}

function* entriesOf(path: string, file: number): Generator<TarEntry> {
  let longName: string | undefined;
  for (let at = 0; ;) {
    const header = readAt(file, at, BLOCK);
    if (header.length < BLOCK) throw new ArtifactError(`${path}: ends before the archive does`);
    if (header.every((byte) => byte === 0)) return;
    if (checksumOf(header) !== octal(header, 148, 8)) throw new ArtifactError(`${path}: not a tar archive`);
    const size = octal(header, 124, 12);
    const type = String.fromCharCode(header[156]!);
    if ('Lx'.includes(type)) longName = longNameIn(readAt(file, at + BLOCK, size), type) ?? longName;
    else {
      const name = longName ?? shortName(header);
      if (type === '0' || type === '\0')
        yield { name: name.replace(/^(\.\/)+/, ''), offset: at + BLOCK, size };
      longName = undefined;
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** What GNU (`L`) and POSIX (`x`) write before an entry whose name is too long for its header. */
function longNameIn(content: Buffer, type: string): string | undefined {
  return type === 'L' ? textOf(content, 0, content.length) : paxPath(content);
}

/** The content of an entry; for small ones. */
export function readEntry(path: string, entry: TarEntry): Buffer {
  const file = openSync(path, 'r');
  try {
    return readAt(file, entry.offset, entry.size);
  } finally {
    closeSync(file);
  }
}

/** At most `length` bytes: fewer at the end of the file. */
function readAt(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let have = 0;
  while (have < length) {
    const got = readSync(file, buffer, have, length - have, position + have);
    if (got === 0) break;
    have += got;
  }
  return buffer.subarray(0, have);
}

function shortName(header: Buffer): string {
  const name = textOf(header, 0, 100);
  const isUstar = textOf(header, 257, 5) === 'ustar';
  const prefix = isUstar ? textOf(header, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records are `<length> <key>=<value>\n`. */
function paxPath(content: Buffer): string | undefined {
  for (let at = 0; at < content.length;) {
    const length = Number.parseInt(content.toString('utf8', at, at + 12), 10);
    if (!(length > 0)) return undefined;
    const [, value] = /^\d+ path=(.*)\n$/s.exec(content.toString('utf8', at, at + length)) ?? [];
    if (value !== undefined) return value;
    at += length;
  }
  return undefined;
}

function textOf(buffer: Buffer, at: number, length: number): string {
  const text = buffer.toString('utf8', at, at + length);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Numbers too large for octal digits are base 256, with the first bit set. */
function octal(buffer: Buffer, at: number, length: number): number {
  if ((buffer[at]! & 0x80) !== 0) return Number(BigInt(`0x${buffer.toString('hex', at + 4, at + length)}`));
  return Number.parseInt(textOf(buffer, at, length).trim() || '0', 8);
}

/** Sum of all bytes, its own taken for blanks. */
function checksumOf(header: Buffer): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
}

/** What to write: bytes, or a file. Names have at most 100 bytes. */
export type TarSource =
  | { readonly name: string; readonly data: Buffer }
  | { readonly name: string; readonly file: string; readonly size: number };

/** Writes an archive that is the same for the same sources: no dates, no owners. */
export async function writeTar(path: string, sources: readonly TarSource[]): Promise<void> {
  await pipeline(archive(sources), createWriteStream(path));
}

async function* archive(sources: readonly TarSource[]): AsyncGenerator<Buffer> {
  for (const source of sources) {
    const size = 'data' in source ? source.data.length : source.size;
    yield headerOf(source.name, size);
    if ('data' in source) yield source.data;
    else yield* createReadStream(source.file) as AsyncIterable<Buffer>;
    yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
  }
  yield Buffer.alloc(2 * BLOCK);
}

function headerOf(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`);
  const header = Buffer.alloc(BLOCK);
  const put = (text: string, at: number): void => void header.write(text, at);
  put(name, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  if (size < 8 ** 11) put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else put256(header, size);
  put('00000000000\0', 136);
  put('0', 156);
  put('ustar\x0000', 257);
  put(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function put256(header: Buffer, size: number): void {
  header[124] = 0x80;
  header.writeBigUInt64BE(BigInt(size), 128);
}
