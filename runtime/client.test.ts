// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createClient, isKindNotServed, kubeConfigFromString, loadKubeConfig } from './client.ts';
import type { Clock } from './clock.ts';
import { errorMessage } from './errors.ts';
import {
  type FakeApiServer,
  kubeConfigText,
  sendJson,
  sendStatus,
  startFakeApiServer,
  watchLine,
} from './fake-api-server.ts';
import { FakeClock } from './fake-clock.ts';
import { createMetrics } from './metrics.ts';
import type { Kind, KubeObject } from './object.ts';

interface Thing extends KubeObject {
  spec?: { size: number };
}
const THING: Kind<Thing> = {
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
};
const NODE: Kind = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const NAME = { namespace: 'ns', name: 'a' };
const thing = (resourceVersion = '1'): Thing => ({
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  metadata: { namespace: 'ns', name: 'a', resourceVersion },
});

/** Every wait is over at once and remembered. */
function impatientClock(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  return {
    waits,
    now: () => new Date(nowMs),
    schedule(fn, ms) {
      waits.push(ms);
      const timer = setImmediate(() => {
        nowMs += ms;
        fn();
      });
      return () => clearImmediate(timer);
    },
  };
}

let server: FakeApiServer;
beforeEach(async () => void (server = await startFakeApiServer()));
afterEach(() => server.close());

function setup() {
  const clock = impatientClock();
  const metrics = createMetrics();
  return { clock, metrics, client: createClient({ kubeConfig: server.kubeConfig, clock, metrics }) };
}

/** The first answers in their order; the last one again and again. */
function answerWith(...answers: ((response: ServerResponse) => void)[]): void {
  let next = 0;
  server.answer((_request, response) => answers[Math.min(next++, answers.length - 1)]?.(response));
}

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('no error'),
    (error: Error) => error,
  );

describe('requests', () => {
  beforeEach(() => server.answer((_request, response) => sendJson(response, 200, thing())));

  it.each<[string, (client: ReturnType<typeof createClient>) => Promise<unknown>, object]>([
    [
      'get',
      (c) => c.get(THING, NAME),
      { method: 'GET', path: '/apis/example.org/v1/namespaces/ns/things/a' },
    ],
    [
      'get of a cluster-scoped kind',
      (c) => c.get(NODE, { namespace: '', name: 'n' }),
      { method: 'GET', path: '/api/v1/nodes/n' },
    ],
    [
      'create',
      (c) => c.create(THING, thing()),
      { method: 'POST', path: '/apis/example.org/v1/namespaces/ns/things', body: thing() },
    ],
    [
      'merge patch',
      (c) => c.patch(THING, NAME, { a: 1 }),
      { method: 'PATCH', body: { a: 1 }, type: 'application/merge-patch+json' },
    ],
    [
      'status patch',
      (c) => c.patch(THING, NAME, {}, { subresource: 'status' }),
      { path: '/apis/example.org/v1/namespaces/ns/things/a/status' },
    ],
    [
      'json patch',
      (c) => c.patch(THING, NAME, [], { type: 'json' }),
      { type: 'application/json-patch+json' },
    ],
    [
      'apply',
      (c) => c.patch(THING, NAME, {}, { type: 'apply' }),
      { type: 'application/apply-patch+yaml', force: 'true' },
    ],
    [
      'delete',
      (c) => c.delete(THING, NAME, { uid: 'u1' }),
      { method: 'DELETE', body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'u1' } } },
    ],
  ])('%s', async (_name, act, want) => {
    await act(setup().client);
    const [seen] = server.requests;
    expect({ ...seen, type: seen?.headers['content-type'], force: seen?.query.get('force') }).toMatchObject(
      want,
    );
    expect(seen?.headers.authorization).toBe('Bearer a-token');
    const writes = seen?.method === 'POST' || seen?.method === 'PATCH';
    expect(seen?.query.get('fieldManager')).toBe(writes ? 'ts-provider' : null);
  });

  it('refuses a name without its namespace before any request', async () => {
    expect(await failure(setup().client.get(THING, { namespace: '', name: 'a' }))).toMatchObject({
      message: /needs a namespace/,
    });
    expect(server.requests).toEqual([]);
  });

  it('keeps its connection', async () => {
    const { client } = setup();
    for (let i = 0; i < 20; i++) await client.get(THING, NAME);
    // A pool may open a second one while the first is just being given back; it never opens one per request.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it('counts by code and by verb', async () => {
    const { client, metrics } = setup();
    await client.patch(THING, NAME, {}, { subresource: 'status' });
    const text = await metrics.metrics();
    expect(text).toContain('rest_client_requests_total{code="200",method="PATCH",target="management"} 1');
    expect(text).toContain(
      'ts_provider_api_requests_total{verb="patch_status",resource="things",target="management"} 1',
    );
  });
});

describe('errors', () => {
  it('an object that does not exist is undefined, and deleting it a success', async () => {
    answerWith((response) => sendStatus(response, 404, 'NotFound'));
    expect(await setup().client.get(THING, NAME)).toBeUndefined();
    await setup().client.delete(THING, NAME);
  });

  it('a kind that does not exist is an error, never an object that is gone', async () => {
    answerWith((response) =>
      response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n'),
    );
    for (const act of [setup().client.get(THING, NAME), setup().client.delete(THING, NAME)]) {
      expect(isKindNotServed(await failure(act))).toBe(true);
    }
  });

  it.each([
    [409, 'Conflict'],
    [422, 'Invalid'],
    [500, 'InternalError'],
  ])('%i carries code, reason and message of the Status', async (code, reason) => {
    answerWith((response) => sendStatus(response, code, reason));
    const error = await failure(setup().client.create(THING, thing()));
    expect(error).toMatchObject({ name: 'ApiError', code, reason, message: `the message of ${reason}` });
  });

  it('a page of a proxy is not quoted', async () => {
    answerWith((response) =>
      response.writeHead(502, { 'content-type': 'text/html' }).end('<html>CANARY</html>'),
    );
    const error = await failure(setup().client.get(THING, NAME));
    expect(error).toMatchObject({ name: 'ApiError', code: 502 });
    expect(error.message).not.toContain('CANARY');
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['no answer', (response) => response.destroy()],
    [
      'half an answer',
      (response) =>
        response.writeHead(200, { 'content-length': '100' }).write('{"a":', () => response.destroy()),
    ],
    ['an answer that is not JSON', (response) => response.writeHead(200).end('CANARY')],
  ])('%s may heal alone', async (_name, answer) => {
    answerWith(answer);
    const error = await failure(setup().client.get(THING, NAME));
    expect(error).toMatchObject({ name: 'TransientError' });
    expect(errorMessage(error)).not.toContain('CANARY');
  });

  it('tells the cause when nobody listens', async () => {
    const { client } = setup();
    await server.close();
    expect(errorMessage(await failure(client.get(THING, NAME)))).toMatch(
      /No answer from the API server at http.*ECONNREFUSED/,
    );
  });

  it.each([
    [429, '2', 2000],
    [503, '7', 7000],
    [429, '0', 100],
    [503, 'Fri, 31 Dec 9999 23:59:59 GMT', 60_000],
    [429, '99999999999999999999', 60_000],
    [503, 'Thu, 01 Jan 1970 00:00:00 GMT', 100],
  ])('%i with Retry-After %s is waited for', async (code, header, wantMs) => {
    const busy = (response: ServerResponse) =>
      sendStatus(response, code, 'TooManyRequests', { 'retry-after': header });
    answerWith(busy, busy, (response) => sendJson(response, 200, thing()));
    const { client, clock } = setup();
    expect(await client.create(THING, thing())).toEqual(thing());
    expect(clock.waits).toEqual([wantMs, wantMs]);
  });

  it('503 without Retry-After is not', async () => {
    answerWith((response) => sendStatus(response, 503, 'ServiceUnavailable'));
    expect(await failure(setup().client.get(THING, NAME))).toMatchObject({ name: 'ApiError', code: 503 });
    expect(server.requests).toHaveLength(1);
  });

  it('the signal ends a wait for Retry-After with the error that it waited for', async () => {
    const stop = new AbortController();
    answerWith((response) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '9' }));
    const clock: Clock = {
      now: () => new Date(),
      schedule: () => (setImmediate(() => stop.abort()), () => {}),
    };
    const client = createClient({ kubeConfig: server.kubeConfig, clock });
    expect(await failure(client.get(THING, NAME, stop.signal))).toMatchObject({
      name: 'ApiError',
      code: 429,
      retryAfterMs: 9000,
    });
  });

  it('the signal ends a request that has no connection yet', async () => {
    const stop = new AbortController();
    let held: Socket | undefined;
    const mute = createServer((socket) => {
      held = socket.on('error', () => undefined).resume();
      stop.abort(new Error('deadline'));
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as AddressInfo;
    const kubeConfig = kubeConfigFromString(kubeConfigText({ server: `https://127.0.0.1:${port}` }));
    const error = await failure(createClient({ kubeConfig }).get(THING, NAME, stop.signal));
    held?.destroy();
    mute.close();
    expect(error).toMatchObject({ name: 'TransientError', cause: { message: 'deadline' } });
  });

  it('the signal ends a request that is under way', async () => {
    const stop = new AbortController();
    server.answer(() => stop.abort(new Error('deadline')));
    const error = await failure(setup().client.get(THING, NAME, stop.signal));
    expect(error).toMatchObject({ name: 'TransientError', cause: { message: 'deadline' } });
  });
});

describe('credentials', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'client-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Accepts one token only; the file holds another one, until the server has said no once. */
  function rotated(fileNow: string, fileAfterRefusal: string) {
    const tokenFile = path.join(folder, 'token');
    writeFileSync(tokenFile, fileNow);
    const kubeconfig = path.join(folder, 'config');
    writeFileSync(kubeconfig, kubeConfigText({ server: server.kubeConfig.server, user: { tokenFile } }));
    server.answer((request, response) => {
      writeFileSync(tokenFile, fileAfterRefusal);
      if (request.headers.authorization === 'Bearer new') sendJson(response, 200, thing());
      else sendStatus(response, 401, 'Unauthorized');
    });
    return createClient({ kubeConfig: loadKubeConfig({ path: kubeconfig }), clock: impatientClock() });
  }

  /** Accepts the token that it is told to; the clock stands still. */
  function rotating() {
    const clock = new FakeClock();
    const tokenFile = path.join(folder, 'token');
    const write = (token: string) => writeFileSync(tokenFile, token);
    const kubeconfig = path.join(folder, 'config');
    writeFileSync(kubeconfig, kubeConfigText({ server: server.kubeConfig.server, user: { tokenFile } }));
    let accepted = '';
    server.answer((request, response) => {
      if (request.headers.authorization === `Bearer ${accepted}`) sendJson(response, 200, thing());
      else sendStatus(response, 401, 'Unauthorized');
    });
    const client = createClient({ kubeConfig: loadKubeConfig({ path: kubeconfig }), clock });
    return { client, clock, write, accept: (token: string) => (accepted = token) };
  }

  it('an expired token is read again, once', async () => {
    const client = rotated('old\n', 'new\n');
    expect(await client.get(THING, NAME)).toEqual(thing());
    expect(server.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer old',
      'Bearer new',
    ]);
  });

  it('files are looked at again after a minute, and when the clock was set back', async () => {
    const clock = new FakeClock();
    const config = server.kubeConfig.load();
    const look = vi.spyOn(config, 'applyToHTTPSOptions');
    const client = createClient({ kubeConfig: { ...server.kubeConfig, load: () => config }, clock });
    server.answer((_request, response) => sendJson(response, 200, thing()));
    const looks = async () => (await client.get(THING, NAME), look.mock.calls.length);
    expect(await looks()).toBe(1);
    await clock.advance(59_999);
    expect(await looks()).toBe(1);
    await clock.advance(1);
    expect(await looks()).toBe(2);
    clock.setTime(new Date(clock.now().getTime() - 1));
    expect([await looks(), await looks()]).toEqual([3, 3]);
  });

  it('a token that is rotated again after the clock was set back is read again', async () => {
    const { client, clock, accept, write } = rotating();
    for (const token of ['first', 'second']) {
      write(token);
      accept(token);
      expect(await client.get(THING, NAME)).toEqual(thing());
    }
    clock.setTime(new Date(clock.now().getTime() - 5 * 3_600_000));
    write('third');
    accept('third');
    expect(await client.get(THING, NAME)).toEqual(thing());
  });

  it('a kubeconfig file whose server no longer speaks TLS as it says is read again, once a second at most', async () => {
    const kubeconfig = path.join(folder, 'config');
    const write = (url: string) => writeFileSync(kubeconfig, kubeConfigText({ server: url }));
    const plain = server.kubeConfig.server;
    const clock = new FakeClock();
    server.answer((_request, response) => sendJson(response, 200, thing()));
    write(plain.replace('http:', 'https:'));
    const source = loadKubeConfig({ path: kubeconfig });
    let loads = 0;
    const load = () => (loads++, source.load());
    const client = createClient({ kubeConfig: { ...source, load }, clock });

    for (let i = 0; i < 5; i++)
      expect(await failure(client.get(THING, NAME))).toMatchObject({ name: 'TransientError' });
    expect(loads).toBe(2);
    write(plain);
    await clock.advance(1_000);
    expect(await failure(client.get(THING, NAME))).toMatchObject({ name: 'TransientError' });
    expect(await client.get(THING, NAME)).toEqual(thing());
    expect(loads).toBe(3);
  });

  it('a token that stays wrong is an error after the second try', async () => {
    expect(await failure(rotated('old', 'other').get(THING, NAME))).toMatchObject({
      name: 'ApiError',
      code: 401,
    });
    expect(server.requests).toHaveLength(2);
  });

  it('a 401 for many at once is survived by all', async () => {
    const client = rotated('old', 'new');
    const all = await Promise.all(Array.from({ length: 20 }, () => client.get(THING, NAME)));
    expect(all).toHaveLength(20);
  });
});

describe('lists', () => {
  const page = (names: string[], next = '') => ({
    metadata: { resourceVersion: '7', ...(next && { continue: next }) },
    items: names.map((name) => ({ metadata: { namespace: 'ns', name } })),
  });

  it('reads all pages and says what each item is', async () => {
    server.answer((request, response) =>
      sendJson(
        response,
        200,
        request.query.get('continue') === 'next' ? page(['c']) : page(['a', 'b'], 'next'),
      ),
    );
    const { items, resourceVersion } = await setup().client.snapshot(THING, {
      namespace: 'ns',
      labelSelector: 'x=y',
    });
    expect(items.map((item) => [item.kind, item.apiVersion, item.metadata.name])).toEqual(
      ['a', 'b', 'c'].map((name) => ['Thing', 'example.org/v1', name]),
    );
    expect(resourceVersion).toBe('7');
    expect(server.requests[0]?.path).toBe('/apis/example.org/v1/namespaces/ns/things');
    expect(server.requests.map((request) => request.query.get('limit'))).toEqual(['500', '500']);
    expect(server.requests.map((request) => request.query.get('labelSelector'))).toEqual(['x=y', 'x=y']);
  });

  it('begins again when the server forgot its place', async () => {
    answerWith(
      (response) => sendJson(response, 200, page(['a'], 'next')),
      (response) => sendStatus(response, 410, 'Expired'),
      (response) => sendJson(response, 200, page(['b'])),
    );
    expect((await setup().client.list(THING)).map((item) => item.metadata.name)).toEqual(['b']);
  });

  it('the newest version costs the metadata of one object, and no cache that is behind may tell it', async () => {
    server.answer((_request, response) => sendJson(response, 200, page(['a'], 'next')));
    expect(await setup().client.newestVersion(THING, { namespace: 'ns', labelSelector: 'x=y' })).toBe('7');
    const [seen, ...more] = server.requests;
    expect(more).toEqual([]);
    expect(seen?.path).toBe('/apis/example.org/v1/namespaces/ns/things');
    expect(Object.fromEntries(seen?.query ?? [])).toEqual({ labelSelector: 'x=y', limit: '1' });
    expect(seen?.headers.accept).toMatch(/as=PartialObjectMetadataList;/);
  });

  it('takes the null of an empty list of metadata for no items', async () => {
    server.answer((_request, response) =>
      sendJson(response, 200, { metadata: { resourceVersion: '7' }, items: null }),
    );
    const snapshot = await setup().client.snapshot(THING, { metadataOnly: true });
    expect(snapshot).toEqual({ items: [], resourceVersion: '7' });
  });

  it('asks for metadata only', async () => {
    server.answer((_request, response) => sendJson(response, 200, page(['a'])));
    await setup().client.snapshot(THING, { metadataOnly: true });
    expect(server.requests[0]?.headers.accept).toMatch(/as=PartialObjectMetadataList;g=meta.k8s.io;v=v1/);
  });
});

describe('watch', () => {
  it('asks for bookmarks from a version on, and ends when the server ends it', async () => {
    answerWith((response) => response.writeHead(200).end(watchLine('ADDED', { metadata: { name: 'a' } })));
    const events = [];
    const watch = setup().client.watch(
      THING,
      { resourceVersion: '5', timeoutSeconds: 300 },
      AbortSignal.timeout(5000),
    );
    for await (const event of watch) events.push(event);
    expect(events).toEqual([
      { type: 'ADDED', object: { apiVersion: 'example.org/v1', kind: 'Thing', metadata: { name: 'a' } } },
    ]);
    expect(Object.fromEntries(server.requests[0]?.query ?? [])).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '5',
      timeoutSeconds: '300',
    });
  });

  it('ends at once with the signal', async () => {
    const stop = new AbortController();
    answerWith((response) => response.writeHead(200).write(watchLine('ADDED', { metadata: { name: 'a' } })));
    const seen = failure(
      (async () => {
        const from = { resourceVersion: '5', timeoutSeconds: 300 };
        const watch = setup().client.watch(THING, from, stop.signal);
        await watch.next();
        stop.abort();
        await watch.next();
      })(),
    );
    expect(await seen).toMatchObject({ name: 'TransientError' });
  });
});
