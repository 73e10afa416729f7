// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import type { Client } from './client.ts';
import type { Clock } from './clock.ts';
import { errorMessage, isNotFound, TransientError } from './errors.ts';
import type { Logger } from './logger.ts';
import { counter, type Metrics } from './metrics.ts';
import type { Kind, KubeObject } from './object.ts';
import { sleep } from './sleep.ts';

/** What happened to an object, for `kubectl describe`. */
export interface EventContent {
  readonly type: 'Normal' | 'Warning';
  /** Why, CamelCase, at most 128 characters. */
  readonly reason: string;
  /** What the controller did, CamelCase, at most 128 characters. */
  readonly action: string;
  /** One line for people, cut at 1,024 bytes. No secrets. */
  readonly note: string;
}

/** Records `events.k8s.io/v1` Events. Needs the verbs create and patch on them. */
export interface EventRecorder {
  /** Never waits and never throws. What was said within the last ten minutes already becomes a count on the first Event. */
  event(object: KubeObject, content: EventContent): void;
}

/** The recorder as the manager holds it. */
export interface EventWriter extends EventRecorder {
  /** Until everything said so far, counts included, is written; what is not within 5 s is dropped: the lease waits for us. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Client;
  readonly clock: Clock;
  /** `reportingController`, a qualified name: `infrastructure.example.org/ts-provider`. */
  readonly component: string;
  /** `reportingInstance`: this process. */
  readonly instance: string;
  readonly log?: Logger;
  readonly metrics?: Metrics | undefined;
}

interface K8sEvent extends KubeObject {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly regarding: Record<string, string>;
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

const EVENT: Kind<K8sEvent> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};
const MAX_NOTE_BYTES = 1024;
const MAX_NAME = 253;
/** Waiting to be written. More than this means that the API server is not answering. */
const MAX_QUEUE = 1000;
/** Different things said in the last ten minutes. */
const MAX_SERIES = 5000;
const SERIES_MS = 10 * 60_000;
/** A count is written at most this often. */
const PATCH_MS = 60_000;
/** One write, its wait for Retry-After included. */
const WRITE_MS = 30_000;
/** A part of the 30 s that Kubernetes gives a Pod to end; most of them belong to the reconciles. */
const FLUSH_MS = 5_000;

interface Series {
  readonly event: K8sEvent;
  count: number;
  lastMs: number;
  written: number;
  cancelPatch: (() => void) | undefined;
}

/** Makes a recorder. One request is under way at a time: events are the least important thing that we write. */
export function createEventRecorder(options: EventRecorderOptions): EventWriter {
  const { client, clock } = options;
  const seriesByKey = new Map<string, Series>();
  const writes = createWriteQueue(options);

  function begin(key: string, event: K8sEvent): void {
    const nowMs = clock.now().getTime();
    seriesByKey.delete(key);
    seriesByKey.set(key, { event, count: 1, lastMs: nowMs, written: 1, cancelPatch: undefined });
    forgetOld(nowMs);
    writes.add((signal) => client.create(EVENT, event, signal));
  }

  function forgetOld(nowMs: number): void {
    for (const [key, series] of seriesByKey) {
      const old = nowMs - series.lastMs > SERIES_MS && series.cancelPatch === undefined;
      if (!old && seriesByKey.size <= MAX_SERIES) return;
      series.cancelPatch?.();
      seriesByKey.delete(key);
    }
  }

  function again(key: string, series: Series): void {
    series.count++;
    series.lastMs = clock.now().getTime();
    // Last in the map is last said.
    seriesByKey.delete(key);
    seriesByKey.set(key, series);
    series.cancelPatch ??= clock.schedule(() => writeCount(series), PATCH_MS);
  }

  function writeCount(series: Series): void {
    series.cancelPatch?.();
    series.cancelPatch = undefined;
    if (series.written === series.count) return;
    series.written = series.count;
    writes.add((signal) => patchCount(series, signal));
  }

  async function patchCount({ event, count, lastMs }: Series, signal: AbortSignal): Promise<void> {
    const series = { count, lastObservedTime: microTime(new Date(lastMs)) };
    const { name, namespace = '' } = event.metadata;
    try {
      await client.patch(EVENT, { namespace, name }, { series }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // The API server forgets Events after an hour: the count goes on in a new one.
      await client.create(EVENT, { ...event, series }, signal);
    }
  }

  return {
    event(object, content) {
      const note = cut(content.note, MAX_NOTE_BYTES);
      const key = [object.metadata.uid, content.type, content.reason, content.action, note].join('\0');
      const series = seriesByKey.get(key);
      const nowMs = clock.now().getTime();
      if (series !== undefined && nowMs - series.lastMs <= SERIES_MS) again(key, series);
      else begin(key, toEvent(options, object, { ...content, note }));
    },
    async flush() {
      for (const series of seriesByKey.values()) writeCount(series);
      await writes.empty(FLUSH_MS);
    },
  };
}

type Write = (signal: AbortSignal) => Promise<unknown>;

interface WriteQueue {
  add(write: Write): void;
  /** Resolves when nothing is left, at the latest after `withinMs`: the rest is dropped then. */
  empty(withinMs: number): Promise<void>;
}

/** One write after the other; what fails or does not fit is counted and forgotten. */
function createWriteQueue({ clock, log, metrics }: EventRecorderOptions): WriteQueue {
  const queue: Write[] = [];
  let abort = new AbortController();
  let working: Promise<void> | undefined;
  const definition = { name: 'ts_provider_events_dropped_total', help: 'Events that could not be written.' };
  const dropped = metrics && counter(metrics, definition);

  function drop(error: string): void {
    dropped?.inc();
    log?.debug({ error }, 'An event was dropped');
  }

  async function work(): Promise<void> {
    for (let write = queue.shift(); write !== undefined; write = queue.shift()) {
      abort = new AbortController();
      const cancel = clock.schedule(() => abort.abort(new TransientError('no answer in time')), WRITE_MS);
      try {
        await write(abort.signal);
      } catch (error) {
        drop(errorMessage(error));
      } finally {
        cancel();
      }
    }
    working = undefined;
  }

  return {
    add(write) {
      if (queue.length >= MAX_QUEUE) return drop('the queue is full');
      queue.push(write);
      working ??= work();
    },
    async empty(withinMs) {
      const emptied = new AbortController();
      await Promise.race([working, sleep(clock, withinMs, emptied.signal)]);
      emptied.abort();
      if (working === undefined) return;
      for (const _write of queue.splice(0)) drop('the manager stops');
      abort.abort(new TransientError('the manager stops'));
    },
  };
}

function toEvent(options: EventRecorderOptions, object: KubeObject, content: EventContent): K8sEvent {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const suffix = `.${randomBytes(8).toString('hex')}`;
  return {
    apiVersion: EVENT.apiVersion,
    kind: EVENT.kind,
    // Events of cluster-scoped objects live in "default": the API server asks for it.
    metadata: {
      name: name.slice(0, MAX_NAME - suffix.length).replace(/[^a-z0-9]+$/, '') + suffix,
      namespace: namespace || 'default',
    },
    eventTime: microTime(options.clock.now()),
    reportingController: options.component,
    reportingInstance: options.instance.slice(0, 128),
    regarding: {
      apiVersion: object.apiVersion,
      kind: object.kind,
      name,
      ...(namespace ? { namespace } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
    },
    ...content,
  };
}

/** `metav1.MicroTime`. */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}

/** At most `max` bytes of UTF-8, never half a character. */
function cut(text: string, max: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= max) return text;
  const dots = '...';
  // A decoder in stream mode keeps an unfinished character to itself.
  return new TextDecoder().decode(bytes.subarray(0, max - dots.length), { stream: true }) + dots;
}
