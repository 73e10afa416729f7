// SPDX-License-Identifier: Apache-2.0
// Answers requests for what the manifest of a bundle lists, and for the manifest; for nothing else that is in the folder.
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MANIFEST_NAME, parseManifest } from '../../preparation/artifacts/manifest.ts';
import { reasonOf } from './errors.ts';

/** A request that has been answered. */
export interface Access {
  readonly client: string;
  readonly method: string;
  /** As it was asked for. */
  readonly path: string;
  readonly status: number;
  /** Of content that went out. */
  readonly bytes: number;
  /** Why it is not all that was asked for. */
  readonly problem?: string;
}

export interface StaticFiles {
  /** Number of files that the manifest lists. */
  count(): number;
  /** SHA-256 of the manifest. */
  manifestSHA256(): string;
  handle(request: IncomingMessage, response: ServerResponse): Promise<Access>;
}

interface Listed {
  readonly sha256: string;
  readonly size: number;
}

interface Listing {
  readonly stamp: string;
  readonly sha256: string;
  /** By path. */
  readonly files: ReadonlyMap<string, Listed>;
}

/** A bundle that grows is served as it is then. Throws when the manifest cannot be read now. */
export function staticFiles(dir: string): StaticFiles {
  const path = join(dir, MANIFEST_NAME);
  let listing = read(path, stampOf(path));
  const current = (): Listing => {
    const stamp = stampOf(path);
    if (stamp === listing.stamp) return listing;
    return (listing = read(path, stamp));
  };
  return {
    count: () => current().files.size - 1,
    manifestSHA256: () => current().sha256,
    async handle(request, response) {
      // A client that has all of it may be gone when that is told.
      const client = request.socket.remoteAddress ?? '-';
      const { status, problem } = await attempt(response, () =>
        answer(request, response, { dir, listing: current() }),
      );
      return {
        client,
        method: request.method ?? '-',
        path: request.url ?? '-',
        status,
        bytes: sent.get(response) ?? 0,
        ...(problem !== undefined && { problem }),
      };
    },
  };
}

/** Who hangs up gets no answer: what went out until then is in the log. */
async function attempt(
  response: ServerResponse,
  work: () => Promise<number>,
): Promise<{ status: number; problem?: string }> {
  try {
    return { status: await work() };
  } catch (error) {
    if (!response.headersSent) response.writeHead(500).end();
    return { status: response.statusCode, problem: reasonOf(error) };
  }
}

const sent = new WeakMap<ServerResponse, number>();

function stampOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

function read(path: string, stamp: string): Listing {
  const text = readFileSync(path, 'utf8');
  const sha256 = createHash('sha256').update(text).digest('hex');
  const files = new Map<string, Listed>(parseManifest(text).map((artifact) => [artifact.path, artifact]));
  files.set(MANIFEST_NAME, { sha256, size: Buffer.byteLength(text) });
  return { stamp, sha256, files };
}

/** What is answered, before anything is. */
interface Reply {
  readonly status: number;
  readonly headers?: OutgoingHttpHeaders;
  /** First and last byte of a file; none of them when last is smaller. */
  readonly content?: { readonly file: string; readonly first: number; readonly last: number };
}

/** Answers the status. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  at: { readonly dir: string; readonly listing: Listing },
): Promise<number> {
  const { status, headers, content } = replyTo(request, at);
  response.writeHead(status, headers);
  if (content === undefined || request.method === 'HEAD' || content.last < content.first) response.end();
  else await send(response, content);
  return status;
}

function replyTo(
  request: IncomingMessage,
  { dir, listing }: { readonly dir: string; readonly listing: Listing },
): Reply {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, headers: { allow: 'GET, HEAD' } };
  }
  const name = nameIn(request.url);
  const listed = listing.files.get(name);
  const file = join(dir, name);
  const found = listed && statSync(file, { throwIfNoEntry: false });
  if (listed === undefined || found?.isFile() !== true) return { status: 404 };
  // Of a file that is not the one in the manifest nothing is claimed: who fetches it finds out.
  const etag = found.size === listed.size ? `"${listed.sha256}"` : undefined;
  const type = name === MANIFEST_NAME ? 'text/plain; charset=utf-8' : 'application/octet-stream';
  return replyWith(request.headers, { file, size: found.size, etag, type });
}

interface Found {
  readonly file: string;
  readonly size: number;
  readonly etag: string | undefined;
  readonly type: string;
}

function replyWith(asked: IncomingHttpHeaders, { file, size, etag, type }: Found): Reply {
  const headers = { 'accept-ranges': 'bytes', ...(etag !== undefined && { etag }) };
  if (etag !== undefined && asked['if-none-match'] === etag) return { status: 304, headers };
  const range = wantedRange(asked, { size, etag });
  if (range === 'none') return { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } };
  const { first, last } = range ?? { first: 0, last: size - 1 };
  const content = { file, first, last };
  const all = { ...headers, 'content-type': type, 'content-length': last - first + 1 };
  if (range === undefined) return { status: 200, headers: all, content };
  return { status: 206, headers: { ...all, 'content-range': `bytes ${first}-${last}/${size}` }, content };
}

async function send(
  response: ServerResponse,
  { file, first, last }: NonNullable<Reply['content']>,
): Promise<void> {
  const content = createReadStream(file, { start: first, end: last });
  content.on('data', (chunk) => sent.set(response, (sent.get(response) ?? 0) + chunk.length));
  await pipeline(content, response);
}

/** The path of a listed file cannot leave the folder, so only the listing decides. */
function nameIn(url = ''): string {
  const [path = ''] = url.split('?');
  try {
    return decodeURIComponent(path.replace(/^\//, ''));
  } catch {
    return '';
  }
}

type Range = { readonly first: number; readonly last: number };

/** `undefined`: all of it; `none`: nothing of it is in that range. Several ranges at once are answered with all of it. */
function wantedRange(
  asked: IncomingHttpHeaders,
  { size, etag }: Pick<Found, 'size' | 'etag'>,
): Range | 'none' | undefined {
  const condition = asked['if-range'];
  if (condition !== undefined && condition !== etag) return undefined;
  const [, from, to] = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(asked.range ?? '') ?? [];
  if (from === undefined || to === undefined) return undefined;
  const { first, last } =
    from === ''
      ? { first: Math.max(0, size - Number(to)), last: size - 1 }
      : { first: Number(from), last: Math.min(to === '' ? size - 1 : Number(to), size - 1) };
  return first > last ? 'none' : { first, last };
}
