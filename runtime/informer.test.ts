// SPDX-License-Identifier: Apache-2.0
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient } from './client.ts';
import type { Clock } from './clock.ts';
import {
  type FakeApiServer,
  type SeenRequest,
  sendJson,
  sendStatus,
  startFakeApiServer,
  watchLine,
} from './fake-api-server.ts';
import { createInformers, type InformerEvent } from './informer.ts';
import type { Logger } from './logger.ts';
import type { Kind, KubeObject, ObjectMeta } from './object.ts';

interface Thing extends KubeObject {
  data?: Record<string, string>;
}
const THING: Kind<Thing> = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const OTHER: Kind = { apiVersion: 'v1', kind: 'Other', plural: 'others', namespaced: true };

function thing(
  name: string,
  version: number,
  over: Partial<ObjectMeta> & { managedFields?: unknown } = {},
): Thing {
  const metadata = { namespace: 'ns', name, uid: `u-${name}`, ...over, resourceVersion: String(version) };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

const list = (version: number, ...items: Thing[]) => ({
  metadata: { resourceVersion: String(version) },
  items,
});

type Step = (response: ServerResponse, request: SeenRequest) => void;

/** Every wait is over at once and remembered. */
function impatientClock(waits: number[]): Clock {
  let nowMs = 0;
  return {
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
let stop: AbortController;
beforeEach(async () => {
  server = await startFakeApiServer();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await server.close();
});

/**
 * Lists, watches, and what is asked before a watch is resumed, answer by their own scripts. After the last watch of the script the
 * connection stays open and silent; without a script of its own the newest version is one of the far future.
 */
function setup(
  script: { lists: Step[]; watches?: Step[]; newest?: Step[] },
  options: { namespace?: string } = {},
) {
  const waits: number[] = [];
  const logged: { level: string; message: string; fields: object }[] = [];
  const log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (fields: object, message: string) => logged.push({ level, message, fields }),
    ]),
  ) as unknown as Logger;
  const lists = [...script.lists];
  const watches = [...(script.watches ?? [])];
  const newest = [...(script.newest ?? [])];
  const seen = { lists: [] as SeenRequest[], watches: [] as SeenRequest[], newest: [] as SeenRequest[] };
  const next = {
    lists: () => (lists.length > 1 ? lists.shift() : lists[0]),
    watches: () => watches.shift(),
    newest: () => newest.shift() ?? answerList(1_000_000),
  };
  server.answer((request, response) => {
    const what = whatIsAsked(request);
    seen[what].push(request);
    const step = next[what]();
    if (step === undefined) response.writeHead(200).flushHeaders();
    else step(response, request);
  });
  const clock = impatientClock(waits);
  const client = createClient({ kubeConfig: server.kubeConfig, clock });
  const informers = createInformers({ client, log, clock, random: () => 1, ...options });
  const told: string[] = [];
  const tell = (event: InformerEvent<KubeObject>) =>
    void told.push(`${event.type} ${event.object.metadata.name}`);
  return { informers, client, waits, logged, seen, told, tell };
}

function whatIsAsked({ query }: SeenRequest): 'lists' | 'watches' | 'newest' {
  if (query.get('watch') === 'true') return 'watches';
  return query.get('limit') === '1' ? 'newest' : 'lists';
}

const answerList =
  (version: number, ...items: Thing[]): Step =>
  (response) =>
    sendJson(response, 200, list(version, ...items));
const openWith =
  (...lines: string[]): Step =>
  (response) =>
    void response.writeHead(200).write(lines.join(''));
const endWith =
  (...lines: string[]): Step =>
  (response) =>
    void response.writeHead(200).end(lines.join(''));
const dropAfter =
  (text: string): Step =>
  (response) =>
    response.writeHead(200).write(text, () => response.destroy());

describe('list and watch', () => {
  it('is synced after the first list and follows the watch', async () => {
    const watch = openWith(
      watchLine('MODIFIED', thing('a', 6)),
      watchLine('ADDED', thing('c', 7)),
      watchLine('DELETED', thing('b', 8)),
    );
    const { informers, told, tell, seen } = setup({
      lists: [answerList(5, thing('a', 1), thing('b', 2))],
      watches: [watch],
    });
    informers.addHandler(THING, tell);
    expect(informers.synced()).toBe(false);
    expect(informers.unsynced()).toEqual(['Thing']);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(informers.synced()).toBe(true);
    await expect.poll(() => told).toEqual(['add a', 'add b', 'update a', 'add c', 'delete b']);
    expect(informers.cache.list(THING).map((object) => object.metadata.name)).toEqual(['a', 'c']);
    expect(seen.watches[0]?.query.get('resourceVersion')).toBe('5');
    expect(seen.newest).toEqual([]);
    const seconds = Number(seen.watches[0]?.query.get('timeoutSeconds'));
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(seconds).toBeLessThanOrEqual(600);
  });

  it('lists once and watches on when the server ends the watch', async () => {
    const { informers, seen, logged } = setup({
      lists: [answerList(5, thing('a', 1))],
      watches: [endWith(watchLine('MODIFIED', thing('a', 6))), endWith(watchLine('BOOKMARK', thing('', 9)))],
    });
    informers.add(THING);
    informers.start(stop.signal);
    await expect
      .poll(() => seen.watches.map((request) => request.query.get('resourceVersion')))
      .toEqual(['5', '6', '9']);
    expect(seen.lists).toHaveLength(1);
    expect(seen.newest).toHaveLength(2);
    expect(logged).toEqual([]);
  });

  it.each<[string, Step]>([
    ['ended', endWith(watchLine('BOOKMARK', thing('', 511)))],
    ['was dropped', dropAfter(watchLine('BOOKMARK', thing('', 511)))],
  ])(
    'a server that was restored from an older backup while the watch %s is listed again',
    async (_how, end) => {
      const { informers, told, tell, seen, logged } = setup({
        lists: [
          answerList(500, thing('kept', 499), thing('made-since', 400)),
          answerList(204, thing('kept', 203), thing('deleted-since', 202)),
        ],
        watches: [end],
        newest: [answerList(204)],
      });
      informers.addHandler(THING, tell);
      informers.start(stop.signal);
      await expect
        .poll(() => seen.watches.map((request) => request.query.get('resourceVersion')))
        .toEqual(['500', '204']);
      expect(told.slice(2)).toEqual(['delete made-since', 'update kept', 'add deleted-since']);
      expect([seen.lists.length, seen.newest.length]).toEqual([2, 1]);
      expect(logged.filter(({ level }) => level === 'warn')).toMatchObject([
        { message: /restore from a backup/, fields: { newest: '204', known: '511' } },
      ]);
    },
  );

  it('does not resume before it knows whether the server went back', async () => {
    const broken: Step = (response) => sendStatus(response, 500, 'InternalError');
    const { informers, seen } = setup({
      lists: [answerList(500, thing('a', 499)), broken, answerList(204)],
      watches: [endWith(watchLine('BOOKMARK', thing('', 511)))],
      newest: [broken, answerList(204), answerList(204)],
    });
    informers.add(THING);
    informers.start(stop.signal);
    await expect
      .poll(() => seen.watches.map((request) => request.query.get('resourceVersion')))
      .toEqual(['500', '204']);
    expect(informers.cache.list(THING)).toEqual([]);
  });

  it('resumes from the last whole event when the connection is dropped in the middle of one', async () => {
    const half = watchLine('MODIFIED', thing('a', 7)).slice(0, 30);
    const { informers, seen, told, tell } = setup({
      lists: [answerList(5, thing('a', 1))],
      watches: [
        dropAfter(watchLine('MODIFIED', thing('a', 6)) + half),
        openWith(watchLine('MODIFIED', thing('a', 7))),
      ],
    });
    informers.addHandler(THING, tell);
    informers.start(stop.signal);
    await expect.poll(() => told).toEqual(['add a', 'update a', 'update a']);
    expect(seen.watches.map((request) => request.query.get('resourceVersion'))).toEqual(['5', '6']);
    expect(seen.lists).toHaveLength(1);
  });

  it.each<[string, Step]>([
    ['as status', (response) => sendStatus(response, 410, 'Expired')],
    [
      'as event',
      endWith(watchLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })),
    ],
  ])('410 %s: lists again at once and tells only what differs', async (_name, gone) => {
    const second = answerList(20, thing('a', 1), thing('b', 15), thing('d', 16));
    const { informers, told, tell, seen, waits } = setup({
      lists: [answerList(5, thing('a', 1), thing('b', 2), thing('c', 3)), second],
      watches: [gone],
    });
    informers.addHandler(THING, tell);
    informers.start(stop.signal);
    await expect.poll(() => told).toEqual(['add a', 'add b', 'add c', 'delete c', 'update b', 'add d']);
    await expect.poll(() => seen.watches.at(-1)?.query.get('resourceVersion')).toBe('20');
    expect(waits).toEqual([0]);
  });

  it('410 after 410 is not a hot loop', async () => {
    const gone: Step = (response) => sendStatus(response, 410, 'Expired');
    const { informers, waits } = setup({ lists: [answerList(5)], watches: [gone, gone, gone] });
    informers.add(THING);
    informers.start(stop.signal);
    await expect.poll(() => waits).toEqual([0, 400, 800]);
  });
});

describe('failures', () => {
  const broken: Step = (response) => sendStatus(response, 500, 'InternalError');

  it('backs off up to 30 s, warns once, and says when it is over', async () => {
    const { informers, waits, logged } = setup({
      lists: [...Array.from({ length: 10 }, () => broken), answerList(5)],
      watches: [openWith(watchLine('BOOKMARK', thing('', 6)))],
    });
    informers.add(THING);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(waits).toEqual([200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    await expect
      .poll(() => logged.filter((line) => line.level !== 'debug').map((line) => line.level))
      .toEqual(['warn', 'info']);
  });

  it('begins small again after a success', async () => {
    const { informers, waits } = setup({
      lists: [broken, broken, answerList(5)],
      watches: [endWith(watchLine('BOOKMARK', thing('', 6))), broken],
    });
    informers.add(THING);
    informers.start(stop.signal);
    await expect.poll(() => waits).toEqual([200, 400, 200]);
  });

  it('a watch that ends at once without a word counts as a failure', async () => {
    const { informers, waits } = setup({ lists: [answerList(5)], watches: [endWith(), endWith()] });
    informers.add(THING);
    informers.start(stop.signal);
    await expect.poll(() => waits).toEqual([200, 400]);
  });

  it('a kind without a CRD is named once, keeps nobody else, and is found when it comes', async () => {
    const missing: Step = (response) =>
      response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
    const { informers, logged } = setup({
      lists: [missing, missing, missing, answerList(5)],
    });
    informers.add(THING);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(logged.filter((line) => line.level === 'warn').map((line) => line.message)).toEqual([
      expect.stringMatching(/does not serve Thing; install its CRD/),
    ]);
  });

  it('waits as long as the server asks for', async () => {
    const busy: Step = (response) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '3' });
    const { informers, waits, logged } = setup({ lists: [busy, answerList(5)] });
    informers.add(THING);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(waits).toEqual([3000]);
    expect(logged).toEqual([]);
  });

  it('a handler that throws is logged; the others and the informer go on', async () => {
    const { informers, told, tell, logged } = setup({
      lists: [answerList(5, thing('a', 1))],
      watches: [openWith(watchLine('MODIFIED', thing('a', 6)))],
    });
    informers.addHandler(THING, () => {
      throw new Error('bug');
    });
    informers.addHandler(THING, tell);
    informers.start(stop.signal);
    await expect.poll(() => told).toEqual(['add a', 'update a']);
    expect(logged.filter((line) => line.level === 'error')).toHaveLength(2);
  });

  it('an index function that throws finds nothing and breaks nothing', async () => {
    const { informers } = setup({ lists: [answerList(5, thing('a', 1))] });
    const bad = (): string[] => {
      throw new Error('bug');
    };
    informers.add(THING, { indexes: { bad, name: (object) => [object.metadata.name] } });
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(informers.cache.byIndex(THING, 'bad', 'a')).toEqual([]);
    expect(informers.cache.byIndex(THING, 'name', 'a')).toHaveLength(1);
  });
});

describe('what is kept', () => {
  it("drops managedFields and kubectl's copy, then transforms", async () => {
    const fat = thing('a', 1, {
      managedFields: [{}],
      annotations: { keep: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    });
    const { informers } = setup({ lists: [answerList(5, { ...fat, data: { big: 'x' } })] });
    informers.add(THING, { transform: ({ data: _dropped, ...rest }) => rest });
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(informers.cache.get(THING, { namespace: 'ns', name: 'a' })).toEqual(
      thing('a', 1, { annotations: { keep: 'x' } }),
    );
  });

  it('metadata only, over the wire and of absorbed writes', async () => {
    const { informers, seen } = setup({ lists: [answerList(5, thing('a', 1))] });
    informers.add(THING, { metadataOnly: true });
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    await expect.poll(() => seen.watches).toHaveLength(1);
    expect(seen.lists[0]?.headers.accept).toMatch(/as=PartialObjectMetadataList/);
    expect(seen.watches[0]?.headers.accept).toMatch(/as=PartialObjectMetadata;/);
    informers.cache.absorb(THING, { ...thing('a', 9), data: { secret: 'x' } });
    expect(informers.cache.get(THING, { namespace: 'ns', name: 'a' })).toEqual(thing('a', 9));
  });
});

describe('cache', () => {
  async function running(options: Parameters<typeof setup>[1] = {}, add: { labelSelector?: string } = {}) {
    const all = setup(
      { lists: [answerList(5, thing('a', 1, { labels: { x: 'y' } }), thing('b', 2))] },
      options,
    );
    all.informers.add(THING, add);
    all.informers.start(stop.signal);
    await all.informers.waitForSync(stop.signal);
    return all;
  }

  it('get gives a copy, list gives what nobody may change', async () => {
    const { cache } = (await running()).informers;
    const copy = cache.get(THING, { namespace: 'ns', name: 'a' });
    if (copy !== undefined) copy.metadata.labels = { changed: 'yes' };
    expect(cache.get(THING, { namespace: 'ns', name: 'a' })?.metadata.labels).toEqual({ x: 'y' });
    expect(() => Object.assign(cache.list(THING)[0] ?? {}, { data: {} })).toThrow(TypeError);
  });

  it("an absorbed object stays the writer's own", async () => {
    const { cache } = (await running()).informers;
    const ours = thing('a', 9);
    cache.absorb(THING, ours);
    ours.metadata.labels = { changed: 'yes' };
    expect(cache.get(THING, { namespace: 'ns', name: 'a' })).toEqual(thing('a', 9));
  });

  it('a kind or index that nobody added is a programming error; absorbing it is not', async () => {
    const { cache } = (await running()).informers;
    expect(() => cache.list(OTHER)).toThrow(/Other is not watched/);
    expect(() => cache.byIndex(THING, 'nope', 'x')).toThrow(/no index "nope"/);
    cache.absorb(OTHER, { apiVersion: 'v1', kind: 'Other', metadata: { name: 'x' } });
  });

  it("with a selector only known objects are absorbed: whether a new one matches is the server's to say", async () => {
    const { informers, seen } = await running({}, { labelSelector: 'x=y' });
    expect(seen.lists[0]?.query.get('labelSelector')).toBe('x=y');
    informers.cache.absorb(THING, thing('new', 9));
    informers.cache.absorb(THING, thing('a', 9));
    expect(informers.cache.list(THING).map((object) => object.metadata.resourceVersion)).toEqual(['9', '2']);
  });

  it('with a namespace nothing else is asked for or absorbed', async () => {
    const { informers, seen } = await running({ namespace: 'ns' });
    expect(seen.lists[0]?.path).toBe('/api/v1/namespaces/ns/things');
    informers.cache.absorb(THING, thing('new', 9, { namespace: 'elsewhere' }));
    expect(informers.cache.list(THING)).toHaveLength(2);
  });
});

describe('the set', () => {
  it('one informer per kind: asking twice adds indexes, another selection is refused', async () => {
    const { informers, seen } = setup({ lists: [answerList(5, thing('a', 1))] });
    informers.add(THING, { indexes: { one: (object) => [object.metadata.name] } });
    informers.add(THING, { indexes: { two: (object) => [object.metadata.name] } });
    expect(() => informers.add(THING, { labelSelector: 'x' })).toThrow(/another selection/);
    informers.start(stop.signal);
    await informers.waitForSync(stop.signal);
    expect(informers.cache.byIndex(THING, 'two', 'a')).toHaveLength(1);
    expect(seen.lists).toHaveLength(1);
  });

  it('a kind and a handler that come late are served', async () => {
    const { informers, told, tell } = setup({ lists: [answerList(5, thing('a', 1))] });
    informers.start(stop.signal);
    informers.add(THING);
    await informers.waitForSync(stop.signal);
    informers.addHandler(THING, tell);
    expect(told).toEqual(['add a']);
  });

  it('waitForSync ends with its signal', async () => {
    const { informers } = setup({ lists: [(response) => response.flushHeaders()] });
    informers.add(THING);
    informers.start(stop.signal);
    await informers.waitForSync(AbortSignal.abort(new Error('enough')));
    expect(informers.synced()).toBe(false);
  });

  it('stop ends all watches', async () => {
    const { informers, seen } = setup({ lists: [answerList(5)] });
    informers.add(THING);
    informers.start(stop.signal);
    await expect.poll(() => seen.watches).toHaveLength(1);
    await informers.stop();
    expect(seen.watches).toHaveLength(1);
  });
});
