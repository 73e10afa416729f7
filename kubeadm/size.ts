// SPDX-License-Identifier: Apache-2.0
// How large bootstrap data may be, and their compact form: cloud-init unpacks gzip by itself, Ignition the contents of its files.
import { gunzipSync, gzipSync } from 'node:zlib';
import { COMPRESSION_ANNOTATION, DATA_LIMIT_ANNOTATION } from '../api/labels.ts';
import { compactIgnition } from './ignition/compact.ts';
import { InputError } from './input-error.ts';
import type { ResolvedFile } from './machine-contents.ts';
import type { RenderedData } from './render.ts';

/** What a Secret holds at most, all of its values together. */
const MAX_SECRET_BYTES = 1_048_576;

/** From here on, data are packed where that can be: many infrastructures take no more than this in plain. */
const MAX_PLAIN_BYTES = 16_384;

/** Infrastructure whose machines unpack gzip, whatever the annotation does not say. */
const UNPACKING_KINDS: readonly string[] = ['TSMachine'];

/** What is to be published, byte for byte. */
export interface PublishedData {
  readonly bytes: Uint8Array;
  readonly format: RenderedData['format'];
  readonly compression: 'gzip' | 'none';
}

/** Where the data go. */
export interface Destination {
  /** Of the KubeadmConfig. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Of the machine, such as TSMachine. */
  readonly infrastructureKind: string | undefined;
}

/** What the destination takes. */
export interface DataLimit {
  readonly bytes: number;
  /** Who sets it, for people. */
  readonly setBy: string;
  readonly takesCompressed: boolean;
  /** That it does, or does not, was said by a person. */
  readonly isTold: boolean;
}

/** Throws InputError for an annotation that cannot be read. */
export function dataLimit(destination: Destination, format: RenderedData['format']): DataLimit {
  const compression = destination.annotations?.[COMPRESSION_ANNOTATION];
  if (compression !== undefined && compression !== 'gzip' && compression !== 'none')
    throw annotationError(COMPRESSION_ANNOTATION, 'must be gzip or none');
  const { infrastructureKind = '' } = destination;
  const takesCompressed = compression === 'gzip' || UNPACKING_KINDS.includes(infrastructureKind);
  const secret = { bytes: MAX_SECRET_BYTES - format.length, setBy: 'a Secret' };
  const asked = bytesAskedFor(destination.annotations);
  const limit =
    asked !== undefined && asked < secret.bytes
      ? { bytes: asked, setBy: `annotation ${DATA_LIMIT_ANNOTATION}` }
      : secret;
  return {
    ...limit,
    takesCompressed: compression !== 'none' && takesCompressed,
    isTold: compression !== undefined,
  };
}

function bytesAskedFor(annotations: Destination['annotations']): number | undefined {
  const text = annotations?.[DATA_LIMIT_ANNOTATION];
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw annotationError(DATA_LIMIT_ANNOTATION, 'must be a whole number of bytes, such as 16384');
}

function annotationError(name: string, message: string): InputError {
  return new InputError(`metadata.annotations["${name}"]`, message);
}

/**
 * The data in plain where they are small; packed where they are large, the destination takes that and it helps. The same data give the
 * same bytes: nothing of the clock is in them.
 */
export function publishedData({ value, format }: RenderedData, limit: DataLimit): PublishedData {
  const plain: PublishedData = { bytes: Buffer.from(value, 'utf8'), format, compression: 'none' };
  const isLarge = plain.bytes.length > Math.min(MAX_PLAIN_BYTES, limit.bytes);
  if (!isLarge || !limit.takesCompressed) return plain;
  const packed = format === 'ignition' ? Buffer.from(compactIgnition(value), 'utf8') : gzipSync(plain.bytes);
  return packed.length < plain.bytes.length ? { bytes: packed, format, compression: 'gzip' } : plain;
}

/** How many of the largest files are named. */
const NAMED_FILES = 3;

/** Throws InputError for data that do not fit, naming the largest files by their paths. */
export function requireFit(
  data: PublishedData,
  limit: DataLimit,
  { plainBytes, files }: { readonly plainBytes: number; readonly files: readonly ResolvedFile[] },
): void {
  if (data.bytes.length <= limit.bytes) return;
  const packed = data.compression === 'gzip' ? ` (${data.bytes.length} compressed)` : '';
  const largest = files
    .map(({ path, content }) => ({ path, bytes: Buffer.byteLength(content) }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, NAMED_FILES)
    .map(({ path, bytes }) => `${path} ${bytes}`);
  const named = largest.length === 0 ? '' : `, the largest files are ${largest.join(', ')}`;
  throw new InputError(
    'spec',
    `the bootstrap data have ${plainBytes} bytes${packed}, and ${limit.setBy} allows ${limit.bytes}${named}: ${wayOut(limit)}`,
  );
}

function wayOut({ takesCompressed, isTold }: DataLimit): string {
  const smaller = 'make files smaller, or have the machine fetch the large ones';
  return takesCompressed || isTold
    ? smaller
    : `set annotation ${COMPRESSION_ANNOTATION} to gzip where the infrastructure hands data on as they are, ${smaller}`;
}

/** What a stream of ours unfolds to at most. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

/** Whether two values of a Secret, in base64, hold the same data. Another release may have packed the same data into other bytes. */
export function isSameData(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  const [one, other] = [unpacked(a), unpacked(b)];
  return one !== undefined && other !== undefined && one.equals(other);
}

/** Only of what is packed. */
function unpacked(base64: string | undefined): Buffer | undefined {
  // What gzip begins with.
  if (base64?.startsWith('H4sI') !== true) return undefined;
  try {
    return gunzipSync(Buffer.from(base64, 'base64'), { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch {
    return undefined;
  }
}
