// SPDX-License-Identifier: Apache-2.0
import type { ApiClient, SnapshotOptions } from './client.ts';
import { isKindNotServed } from './client.ts';
import { type Clock, hasPassed } from './clock.ts';
import { ApiError, errorMessage, isGone, TransientError } from './errors.ts';
import { compareResourceVersions, type InformerStore } from './informer-store.ts';
import type { Logger } from './logger.ts';
import type { Kind, KubeObject } from './object.ts';
import { sleep } from './sleep.ts';

export interface ReflectorDeps {
  readonly client: ApiClient;
  readonly kind: Kind;
  readonly selection: SnapshotOptions;
  readonly store: InformerStore;
  /** What is kept of an object that the server sent. */
  readonly prepare: (object: KubeObject) => KubeObject;
  /** Called after each whole list. */
  readonly onListed: () => void;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

const BACKOFF_BASE_MS = 200;
const BACKOFF_MAX_MS = 30_000;
/** The server ends a watch after 5 to 10 minutes; the jitter keeps watches of many processes from returning together. */
const WATCH_SECONDS = 300;
/** A watch that ends sooner than this and told nothing is a failure: something on the way does not like watches. */
const SHORT_WATCH_MS = 1_000;
/** Failures in a row after which a person should know; a restart of the API server takes fewer. */
const WARN_AFTER = 5;

/**
 * Keeps `store` equal to the server until `signal` is aborted: list, watch, resume where the watch ended or broke, list again on
 * 410 and when the server went back in time.
 */
export async function runReflector(deps: ReflectorDeps, signal: AbortSignal): Promise<void> {
  const streak = createStreak(deps);
  let listed = false;
  while (!signal.aborted) {
    try {
      if (!listed || (await wentBack(deps, signal))) await list(deps, signal);
      listed = true;
      await follow(deps, { signal, onProgress: streak.end });
    } catch (error) {
      if (signal.aborted) return;
      if (!canResume(error)) listed = false;
      await sleep(deps.clock, streak.failed(error), signal);
    }
  }
}

async function list(deps: ReflectorDeps, signal: AbortSignal): Promise<void> {
  const { items, resourceVersion } = await deps.client.snapshot(deps.kind, deps.selection, signal);
  deps.store.replace(items.map(deps.prepare), resourceVersion);
  deps.onListed();
}

/**
 * Whether the server was restored from a backup that is older than what the watch told. Asked before a watch is resumed, because
 * kube-apiserver takes a watch from a version of the future without a word and then tells nothing, not even bookmarks. One that
 * was restored and has passed our version before we ask looks as if it had never been away; then the next list puts it right.
 */
async function wentBack(deps: ReflectorDeps, signal: AbortSignal): Promise<boolean> {
  const { client, kind, selection, store, log } = deps;
  const newest = await client.newestVersion(kind, selection, signal);
  if (compareResourceVersions(newest, store.resourceVersion) >= 0) return false;
  log.warn(
    { kind: kind.kind, newest, known: store.resourceVersion },
    'The API server knows less than it told before, as after a restore from a backup. Listing again',
  );
  return true;
}

async function follow(
  deps: ReflectorDeps,
  options: { signal: AbortSignal; onProgress: () => void },
): Promise<void> {
  const startedAt = deps.clock.now().getTime();
  const timeoutSeconds = WATCH_SECONDS + Math.floor(deps.random() * WATCH_SECONDS);
  const from = { ...deps.selection, resourceVersion: deps.store.resourceVersion, timeoutSeconds };
  let told = false;
  for await (const event of deps.client.watch(deps.kind, from, options.signal)) {
    told = true;
    options.onProgress();
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        deps.store.upsert(deps.prepare(event.object));
        break;
      case 'DELETED':
        deps.store.remove(deps.prepare(event.object));
        break;
      case 'BOOKMARK':
        deps.store.bookmark(event.object.metadata.resourceVersion);
        break;
    }
  }
  if (!told && !hasPassed(deps.clock, startedAt, SHORT_WATCH_MS)) {
    throw new TransientError('The API server ended the watch at once');
  }
  options.onProgress();
}

/**
 * Where the server could not be asked, or had no time, the watch goes on from the last version. Any other word of it (410, 404
 * after a CRD was made anew) asks for a new list.
 */
function canResume(error: unknown): boolean {
  return !(error instanceof ApiError) || [401, 403, 429, 500, 502, 503].includes(error.code);
}

/** Failures in a row: how long to wait after each, and what to say. One warning per streak, however long. */
function createStreak({ kind, log, random }: ReflectorDeps) {
  let failures = 0;
  let warned = false;
  let gone = false;

  return {
    end: (): void => {
      if (warned) log.info({ kind: kind.kind }, 'The watch is back');
      failures = 0;
      warned = false;
      gone = false;
    },
    /** The wait in milliseconds. */
    failed: (error: unknown): number => {
      failures++;
      const serious = isKindNotServed(error) || isRefusal(error) || failures >= WARN_AFTER;
      const level = serious && !warned ? 'warn' : 'debug';
      warned ||= serious;
      log[level](
        { kind: kind.kind, apiVersion: kind.apiVersion, failures, error: errorMessage(error) },
        sentence(error),
      );
      if (isGone(error) && !gone) {
        // The server is there and told us what to do; only a 410 that follows a 410 is a reason to be slow.
        gone = true;
        return 0;
      }
      return Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (failures - 1)) * (0.5 + random() / 2);
    },
  };

  function sentence(error: unknown): string {
    if (isKindNotServed(error))
      return `The API server does not serve ${kind.kind}; install its CRD. Trying again`;
    if (isRefusal(error)) return `Not allowed to list and watch ${kind.plural}; check the role. Trying again`;
    return `Cannot list or watch ${kind.plural}. Trying again`;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 401 || error.code === 403);
}
