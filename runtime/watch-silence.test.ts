// SPDX-License-Identifier: Apache-2.0
// In a file of its own: undici measures silence with one timer for all, and here time has to be ours before it is made.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type ApiClient, createClient, type WatchEvent } from './client.ts';
import { type FakeApiServer, startFakeApiServer, watchLine } from './fake-api-server.ts';
import type { Kind } from './object.ts';

const THING: Kind = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const MINUTE = 60_000;

let server: FakeApiServer;
let client: ApiClient;
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  server = await startFakeApiServer();
  client = createClient({ kubeConfig: server.kubeConfig });
});
afterAll(async () => {
  await server.close();
  vi.useRealTimers();
});

it('a watch lives on bookmarks that come late, and ends when two of them do not come', async () => {
  let say: (version: string) => void = () => {};
  server.answer((_request, response) => {
    response.writeHead(200);
    say = (resourceVersion) => void response.write(watchLine('BOOKMARK', { metadata: { resourceVersion } }));
    say('6');
  });
  const from = { resourceVersion: '5', timeoutSeconds: 600 };
  const watch = client.watch(THING, from, new AbortController().signal);
  expect(versionOf(await watch.next())).toBe('6');

  const late = watch.next();
  await vi.advanceTimersByTimeAsync(2 * MINUTE);
  say('7');
  expect(versionOf(await late)).toBe('7');

  let ended = false;
  const missing = watch.next().finally(() => (ended = true));
  await vi.advanceTimersByTimeAsync(2 * MINUTE);
  expect(ended).toBe(false);
  await vi.advanceTimersByTimeAsync(MINUTE);
  // No error: the server may be one that sends no bookmarks, and the next request tells whether it is there.
  expect(await missing).toEqual({ done: true, value: undefined });
});

function versionOf({ value }: IteratorResult<WatchEvent>): string | undefined {
  return (value as WatchEvent | undefined)?.object.metadata.resourceVersion;
}
