// SPDX-License-Identifier: Apache-2.0
import { ApiError, TransientError } from './errors.ts';
import type { KubeObject } from './object.ts';

/** One event of a watch. A BOOKMARK's object carries a resourceVersion and nothing else. */
export interface WatchEvent<T extends KubeObject = KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

const NEWLINE = 0x0a;

/**
 * Events from newline-delimited JSON. Ends when the server ends the watch between two events. An ERROR event is thrown as
 * ApiError (410 among them), half an event at the end as TransientError: the connection was dropped.
 */
export async function* readWatchEvents<T extends KubeObject>(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<WatchEvent<T>> {
  for await (const line of readLines(chunks)) {
    if (line.length > 0) yield parseEvent<T>(line);
  }
}

/** Chunks are joined only when a line spans several: a long event never costs a copy per chunk. */
async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let open: Buffer[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const tail = chunk.subarray(start, end);
      yield open.length === 0 ? tail.toString('utf8') : Buffer.concat([...open, tail]).toString('utf8');
      open = [];
      start = end + 1;
    }
    if (start < chunk.length) open.push(chunk.subarray(start));
  }
  if (open.length > 0) throw new TransientError('The API server dropped the watch in the middle of an event');
}

interface RawEvent<T> {
  readonly type: string;
  readonly object: T & { readonly code?: number; readonly reason?: string; readonly message?: string };
}

function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  const { type, object } = parseJson<T>(line);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object };
    case 'ERROR':
      throw new ApiError(
        object.code ?? 500,
        object.reason ?? '',
        object.message ?? 'The API server ended the watch',
      );
    default:
      throw new TransientError(`The watch told an event of the unknown type ${JSON.stringify(type)}`);
  }
}

function parseJson<T>(line: string): RawEvent<T> {
  try {
    return JSON.parse(line) as RawEvent<T>;
  } catch (error) {
    // The message of a JSON error quotes the text, and the text may be a Secret.
    throw new TransientError(
      `The watch told something that is not JSON (${(error as Error).name}, ${line.length} characters)`,
    );
  }
}
