// SPDX-License-Identifier: Apache-2.0
// Files that are either whole and right under their own name, or not there under it.
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'undici';
import { ArtifactError } from './errors.ts';
import { expectStatus, type HttpClient, type HttpRequest } from './http.ts';

/** What a file must be. */
export interface Expected {
  /** 64 small hex digits. */
  readonly sha256: string;
  /** In bytes, where it is known before. */
  readonly size?: number;
}

export interface Download extends Expected {
  readonly url: string;
  /** Path that the file has when it is right. */
  readonly target: string;
  /** Asks for `url` in another way than {@link HttpClient.ask}, such as with credentials. */
  readonly ask?: (url: string, request: HttpRequest) => Promise<Response>;
}

/**
 * Fetches a file in as many tries as it takes, each from where the one before was cut. What has come stays as `<target>.part` for the
 * next run; under its name the file is right. Throws ArtifactError: nobody answers, there is no such file, or it is another one.
 */
export async function download(http: HttpClient, wanted: Download): Promise<void> {
  const part = `${wanted.target}.part`;
  mkdirSync(dirname(wanted.target), { recursive: true });
  // What another run has left may be of another file: then it is fetched once more, from its beginning.
  const continued = sizeOf(part) > 0;
  await http.retry(wanted.url, () => fetchRest(http, wanted, part));
  if (continued && (await digestOf(part)) !== wanted.sha256) {
    rmSync(part);
    await http.retry(wanted.url, () => fetchRest(http, wanted, part));
  }
  const got = await digestOf(part);
  if (got !== wanted.sha256) {
    rmSync(part);
    throw new ArtifactError(
      `${wanted.url}: SHA-256 is ${got}, published is ${wanted.sha256}. The file was damaged on its way or replaced: it is not kept`,
    );
  }
  moveInto(part, wanted.target);
}

async function fetchRest(http: HttpClient, wanted: Download, part: string): Promise<void> {
  const have = sizeOf(part);
  if (have > 0 && have === wanted.size) return;
  const { ask = (url, request) => http.ask(url, request) } = wanted;
  const response = await ask(wanted.url, have > 0 ? { headers: { range: `bytes=${have}-` } } : {});
  // Nothing comes after what we have: whether that is the file, its sum says.
  if (response.status === 416) return response.body?.cancel();
  await expectStatus(response, wanted.url, [200, 206]);
  await save(response, part, response.status === 206 ? have : 0);
}

/** Behind the first `start` bytes. Throws when less comes than was said. */
async function save(response: Response, part: string, start: number): Promise<void> {
  const target = createWriteStream(part, { flags: start > 0 ? 'a' : 'w' });
  await pipeline(Readable.fromWeb(response.body ?? emptyBody()), target);
  const length = response.headers.get('content-length');
  const due = length === null ? sizeOf(part) : start + Number(length);
  if (sizeOf(part) !== due) throw new Error(`cut after ${sizeOf(part)} of ${due} bytes`);
}

function emptyBody() {
  return Readable.toWeb(Readable.from([]));
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** SHA-256 of a file, in hex. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Gives a finished file its name, after its content is on the disk. */
export function moveInto(part: string, target: string): void {
  const file = openSync(part, 'r');
  fsyncSync(file);
  closeSync(file);
  renameSync(part, target);
}

/** The SHA-256 of the file that `url` names, from what its publisher says. Throws ArtifactError. */
export async function publishedChecksum(
  http: HttpClient,
  at: { readonly checksumURL: string; readonly url: string },
): Promise<string> {
  const text = await http.retry(at.checksumURL, async () => {
    const response = await http.ask(at.checksumURL);
    return (await expectStatus(response, at.checksumURL, [200])).text();
  });
  const sum = checksumIn(text, basename(new URL(at.url).pathname));
  if (sum === undefined) throw new ArtifactError(`${at.checksumURL} has no SHA-256 of ${at.url}`);
  return sum;
}

/** From a file with nothing but a sum, or with lines such as sha256sum writes. */
export function checksumIn(text: string, name: string): string | undefined {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const [only, second] = lines.filter(([sum = '']) => SUM.test(sum));
  if (only?.length === 1 && second === undefined) return only[0]!.toLowerCase();
  const line = lines.find(
    ([sum = '', file = '']) => SUM.test(sum) && basename(file.replace(/^\*/, '')) === name,
  );
  return line?.[0]?.toLowerCase();
}

const SUM = /^[0-9a-fA-F]{64}$/;
