// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { readWatchEvents, type WatchEvent } from './watch-stream.ts';

const EVENT = { type: 'ADDED', object: { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'ä😀' } } };
const LINE = `${JSON.stringify(EVENT)}\n`;

async function* chunksOf(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text, 'utf8');
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function read(text: string, size = text.length * 4): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of readWatchEvents(chunksOf(text, size))) events.push(event);
  return events;
}

describe('readWatchEvents', () => {
  it.each([1, 2, 3, 7, 64, 100_000])(
    'finds the events in chunks of %i bytes, also through characters',
    async (size) => {
      expect(await read(LINE + LINE + LINE, size)).toEqual([EVENT, EVENT, EVENT]);
    },
  );

  it('skips empty lines and ends in order', async () => expect(await read(`\n${LINE}\n`)).toEqual([EVENT]));

  it.each([
    ['half an event', LINE + LINE.slice(0, 20), { name: 'TransientError', message: /middle of an event/ }],
    ['a whole event without its end of line', LINE.trim(), { name: 'TransientError' }],
    [
      '410 as an event',
      errorLine({ code: 410, reason: 'Expired', message: 'too old' }),
      { name: 'ApiError', code: 410, reason: 'Expired', message: /too old/ },
    ],
    ['an error without words', errorLine({}), { name: 'ApiError', code: 500 }],
    ['an unknown type', '{"type":"ODD","object":{}}\n', { name: 'TransientError', message: /"ODD"/ }],
  ])('%s is an error', async (_name, text, want) => {
    const error = await read(text).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      ...want,
      ...('message' in want ? { message: expect.stringMatching(want.message) as string } : {}),
    });
  });

  it('does not quote what is not JSON', async () => {
    const error = await read('SECRET-CANARY{\n').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'TransientError' });
    expect(String(error)).not.toContain('CANARY');
  });
});

function errorLine(status: object): string {
  return `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', ...status } })}\n`;
}
