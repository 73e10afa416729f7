// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Client, PatchOptions } from './client.ts';
import { ApiError, errorMessage, TransientError } from './errors.ts';
import { createEventRecorder, type EventContent } from './events.ts';
import { FakeClock } from './fake-clock.ts';
import { createMetrics } from './metrics.ts';
import type { KubeObject, ObjectName } from './object.ts';

const MINUTE = 60_000;
const content: EventContent = { type: 'Normal', reason: 'Made', action: 'Make', note: 'Made it' };
const object = (metadata: Partial<KubeObject['metadata']> = {}): KubeObject => ({
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  metadata: { namespace: 'ns', name: 'a', uid: 'u1', resourceVersion: '7', ...metadata },
});

interface Created {
  readonly metadata: ObjectName;
  readonly note: string;
}

let clock: FakeClock;
let created: Created[];
let patched: { name: ObjectName; body: unknown }[];
let failure: Error | undefined;
/** The server takes requests and does not answer; whether the client listens to its signal is its own affair. */
let hanging: 'no' | 'until aborted' | 'for ever';
let aborted: string[];
const answer = async (signal: AbortSignal | undefined): Promise<void> => {
  if (failure !== undefined) throw failure;
  if (hanging === 'no') return;
  await new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => {
      aborted.push(errorMessage(signal.reason));
      if (hanging === 'until aborted') reject(signal.reason as Error);
    });
  });
};
beforeEach(() => {
  clock = new FakeClock();
  created = [];
  patched = [];
  failure = undefined;
  hanging = 'no';
  aborted = [];
});

function setup() {
  const metrics = createMetrics();
  const client = {
    async create(_kind: unknown, event: Created, signal?: AbortSignal) {
      await answer(signal);
      created.push(event);
    },
    async patch(_kind: unknown, name: ObjectName, body: unknown, { signal }: PatchOptions = {}) {
      await answer(signal);
      patched.push({ name, body });
    },
  } as unknown as Client;
  const recorder = createEventRecorder({
    client,
    clock,
    metrics,
    component: 'example.org/manager',
    instance: 'pod-1',
  });
  return { recorder, metrics };
}

const dropped = async (metrics: ReturnType<typeof createMetrics>) =>
  (await metrics.getSingleMetric('ts_provider_events_dropped_total')?.get())?.values[0]?.value;

describe('event', () => {
  it("becomes one Event in the object's namespace", async () => {
    const { recorder } = setup();
    recorder.event(object(), content);
    await recorder.flush();
    expect(created).toMatchObject([
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) as string, namespace: 'ns' },
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'example.org/manager',
        reportingInstance: 'pod-1',
        regarding: {
          apiVersion: 'example.org/v1',
          kind: 'Thing',
          namespace: 'ns',
          name: 'a',
          uid: 'u1',
          resourceVersion: '7',
        },
        ...content,
      },
    ]);
    expect(created[0]).not.toHaveProperty('series');
  });

  it('of a cluster-scoped object lives in default; a long name leaves room', async () => {
    const { recorder } = setup();
    recorder.event({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n'.repeat(253) } }, content);
    await recorder.flush();
    expect(created[0]?.metadata.namespace).toBe('default');
    expect(created[0]?.metadata.name).toHaveLength(253);
  });

  it.each([
    ['short', 'x'.repeat(1024), 'x'.repeat(1024)],
    ['long', 'x'.repeat(1025), `${'x'.repeat(1021)}...`],
    ['long, never half a character', 'ä'.repeat(600), `${'ä'.repeat(510)}...`],
  ])('a %s note fits', async (_name, note, want) => {
    const { recorder } = setup();
    recorder.event(object(), { ...content, note });
    await recorder.flush();
    expect(created[0]?.note).toBe(want);
    expect(Buffer.byteLength(created[0]?.note ?? '')).toBeLessThanOrEqual(1024);
  });
});

describe('the same again', () => {
  it('becomes a count on the first Event, written once a minute', async () => {
    const { recorder } = setup();
    for (let i = 0; i < 5; i++) recorder.event(object({ resourceVersion: String(i) }), content);
    await clock.advance(MINUTE - 1);
    expect([created.length, patched.length]).toEqual([1, 0]);
    await clock.advance(1);
    for (let i = 0; i < 5; i++) recorder.event(object(), content);
    await clock.advance(MINUTE);
    expect(created).toHaveLength(1);
    expect(patched.map((patch) => patch.body)).toEqual([
      { series: { count: 5, lastObservedTime: '2026-01-01T00:00:00.000000Z' } },
      { series: { count: 10, lastObservedTime: '2026-01-01T00:01:00.000000Z' } },
    ]);
    expect(patched[0]?.name.name).toBe(created[0]?.metadata.name);
  });

  it('costs nothing while it is quiet', async () => {
    const { recorder } = setup();
    recorder.event(object(), content);
    await clock.advance(60 * MINUTE);
    expect([created.length, patched.length, clock.armed]).toEqual([1, 0, 0]);
  });

  it.each<[string, Partial<KubeObject['metadata']>, Partial<EventContent>]>([
    ['another object', { uid: 'u2' }, {}],
    ['another reason', {}, { reason: 'Other' }],
    ['another note', {}, { note: 'Other' }],
  ])('%s is another Event', async (_name, metadata, other) => {
    const { recorder } = setup();
    recorder.event(object(), content);
    recorder.event(object(metadata), { ...content, ...other });
    await recorder.flush();
    expect(created).toHaveLength(2);
  });

  it('after ten quiet minutes is a new Event', async () => {
    const { recorder } = setup();
    recorder.event(object(), content);
    await clock.advance(10 * MINUTE + 1);
    recorder.event(object(), content);
    await recorder.flush();
    expect(created).toHaveLength(2);
  });

  it('flush writes the counts at once', async () => {
    const { recorder } = setup();
    recorder.event(object(), content);
    recorder.event(object(), content);
    await recorder.flush();
    expect(patched).toHaveLength(1);
    expect(clock.armed).toBe(0);
  });

  it('goes on in a new Event when the server forgot the first', async () => {
    const { recorder } = setup();
    recorder.event(object(), content);
    await recorder.flush();
    recorder.event(object(), content);
    failure = new ApiError(404, 'NotFound', 'gone');
    const flushed = recorder.flush();
    failure = undefined;
    await flushed;
    expect(patched).toEqual([]);
    expect(created[1]).toMatchObject({ metadata: created[0]?.metadata, series: { count: 2 } });
  });
});

describe('trouble', () => {
  it('is counted and never thrown', async () => {
    const { recorder, metrics } = setup();
    failure = new TransientError('no answer');
    recorder.event(object(), content);
    await recorder.flush();
    expect(await dropped(metrics)).toBe(1);
    failure = undefined;
    recorder.event(object(), { ...content, reason: 'Other' });
    await recorder.flush();
    expect(created).toHaveLength(1);
  });

  it.each(['until aborted', 'for ever'] as const)(
    'a server that does not answer (%s) holds the stop for five seconds, and the rest is dropped and counted',
    async (how) => {
      hanging = how;
      const { recorder, metrics } = setup();
      for (const uid of ['u1', 'u2', 'u3']) recorder.event(object({ uid }), content);
      let flushed = false;
      const flush = recorder.flush().then(() => (flushed = true));
      await clock.advance(4_999);
      expect(flushed).toBe(false);
      await clock.advance(1);
      await flush;
      await clock.settle();
      expect(aborted).toEqual(['the manager stops']);
      // The one under way is lost when its client says so.
      expect(await dropped(metrics)).toBe(how === 'until aborted' ? 3 : 2);
    },
  );

  it('one that is not answered within half a minute makes room for the next', async () => {
    hanging = 'until aborted';
    const { recorder, metrics } = setup();
    recorder.event(object(), content);
    await clock.advance(30_000);
    expect([aborted, await dropped(metrics)]).toEqual([['no answer in time'], 1]);
    hanging = 'no';
    recorder.event(object({ uid: 'u2' }), content);
    await recorder.flush();
    expect(created).toHaveLength(1);
    expect(clock.armed).toBe(0);
  });

  it('more than the queue holds is dropped, the first ones are written', async () => {
    const { recorder, metrics } = setup();
    for (let i = 0; i < 1500; i++) recorder.event(object({ uid: `u${i}` }), content);
    await recorder.flush();
    expect(created.length + ((await dropped(metrics)) ?? 0)).toBe(1500);
    expect(created.length).toBeGreaterThanOrEqual(1000);
    expect(created.length).toBeLessThan(1010);
  });
});
