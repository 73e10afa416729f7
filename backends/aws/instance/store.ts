// SPDX-License-Identifier: Apache-2.0
// What is known of the instances of one account and region, from every answer that told of them.
import type { Clock } from '../../../runtime/clock.ts';
import { CLUSTER_TAG, MACHINE_UID_TAG, TOKEN_TAG } from '../tags.ts';
import { type InstanceRecord, isEnding, isInMotion, isLiving } from './record.ts';

/** EC2 is eventually consistent: what was made may be invisible, and what has changed look as before, for so long at most. */
export const CONSISTENCY_WINDOW_MS = 60_000;

/** An instance in motion is looked at every 1.5 s, a resting one every 30 s; what is older was missed by these. */
const FRESH_MOVING_MS = 10_000;
const FRESH_RESTING_MS = 45_000;
/** EC2 shows a terminated instance for about an hour; we need it for no longer than a machine is deleted. */
const FORGET_TERMINATED_MS = 15 * 60_000;

interface Entry {
  record: InstanceRecord;
  /** When an answer last told of it. */
  seenMs: number;
}

/** Whether a look that did not show an instance proves that there is none. */
export type Missing = 'gone' | 'unproven';

/** Written by observation.ts and by whoever makes or ends instances; read by everybody. */
export interface InstanceStore {
  byID(id: string): InstanceRecord | undefined;
  /** Every instance with this token, those that are terminated included. */
  byToken(token: string): readonly InstanceRecord[];
  /** Every instance that was made for the TSMachine of this UID, in any cluster. */
  byUID(uid: string): readonly InstanceRecord[];
  /** Every instance that carries the tag of a cluster. */
  all(): readonly InstanceRecord[];
  /** Whether the record is as new as looking again would make it. */
  isFresh(id: string): boolean;
  /** An answer has told of it. */
  put(record: InstanceRecord): void;
  /** A look by id has not shown it. Forgets it once that is proof. */
  missed(id: string): Missing;
  /** A complete list was this: what is not in it is to be looked at by id. */
  swept(ids: ReadonlySet<string>): void;
  /** Instances that change by themselves, and those that the last list did not show. */
  toWatch(): readonly string[];
}

export interface StoreOptions {
  readonly clock: Clock;
  readonly windowMs: number;
  /** Told of every record that has changed, and of those that are gone. */
  readonly changed: (record: InstanceRecord) => void;
}

/** An empty store. */
export function createInstanceStore(options: StoreOptions): InstanceStore {
  const { clock, windowMs } = options;
  const entries = new Map<string, Entry>();
  const indexes = [createIndex(TOKEN_TAG), createIndex(MACHINE_UID_TAG)] as const;
  /** Ids that were asked for and never seen: since when. */
  const askedMs = new Map<string, number>();
  const doubtful = new Set<string>();
  const now = () => clock.now().getTime();
  const recordsOf = (ids: Iterable<string>) =>
    [...ids].flatMap((id) => entries.get(id)?.record ?? []).sort((a, b) => (a.id < b.id ? -1 : 1));

  const forget = (id: string) => {
    const record = entries.get(id)?.record;
    entries.delete(id);
    doubtful.delete(id);
    if (record !== undefined) indexes.forEach((index) => index.remove(record));
  };

  return {
    byID: (id) => entries.get(id)?.record,
    byToken: (token) => recordsOf(indexes[0].ids(token)),
    byUID: (uid) => recordsOf(indexes[1].ids(uid)),
    all: () => recordsOf(entries.keys()).filter(({ tags }) => tags[CLUSTER_TAG] !== undefined),

    isFresh(id) {
      const entry = entries.get(id);
      if (entry === undefined) return false;
      if (!isLiving(entry.record)) return true;
      const age = now() - entry.seenMs;
      return age >= 0 && age <= (isInMotion(entry.record) ? FRESH_MOVING_MS : FRESH_RESTING_MS);
    },

    put(told) {
      const known = entries.get(told.id)?.record;
      const record = known === undefined ? told : newest(known, told);
      askedMs.delete(told.id);
      doubtful.delete(told.id);
      if (known !== undefined) indexes.forEach((index) => index.remove(known));
      indexes.forEach((index) => index.add(record));
      entries.set(told.id, { record, seenMs: now() });
      if (known === undefined || JSON.stringify(known) !== JSON.stringify(record)) options.changed(record);
    },

    missed(id) {
      const entry = entries.get(id);
      // What we have seen terminated is proof enough, however soon EC2 forgets it.
      if (entry !== undefined && !isLiving(entry.record)) return 'gone';
      const sinceMs = entry?.seenMs ?? askedMs.get(id) ?? now();
      if (entry === undefined) askedMs.set(id, sinceMs);
      // A clock that was set back makes the wait longer, never shorter.
      if (now() - sinceMs < windowMs) return 'unproven';
      if (entry !== undefined) options.changed(entry.record);
      forget(id);
      return 'gone';
    },

    swept(ids) {
      for (const [id, { record, seenMs }] of entries) {
        if (ids.has(id)) continue;
        if (isLiving(record)) doubtful.add(id);
        else if (now() - seenMs > FORGET_TERMINATED_MS) forget(id);
      }
      for (const [id, sinceMs] of askedMs) if (now() - sinceMs > FORGET_TERMINATED_MS) askedMs.delete(id);
    },

    toWatch() {
      const moving = [...entries.values()].filter(({ record }) => isInMotion(record));
      return [...new Set([...moving.map(({ record }) => record.id), ...doubtful])];
    },
  };
}

/**
 * Of two records of one instance the one to believe: answers come late and from servers that are behind. An end that has begun is not
 * taken back, a running instance is not pending again unless it was started anew, and the tags of the launch are not lost.
 */
function newest(known: InstanceRecord, told: InstanceRecord): InstanceRecord {
  if (known.state === 'terminated') return known;
  if (isEnding(known) && !isEnding(told)) return known;
  const isBehind =
    known.state === 'running' && told.state === 'pending' && known.launchedMs === told.launchedMs;
  if (isBehind) return known;
  // Tags come with the instance in our requests; a list without any of them is one of before they were visible.
  return Object.keys(told.tags).length === 0 ? { ...told, tags: known.tags } : told;
}

interface Index {
  ids(value: string): ReadonlySet<string>;
  add(record: InstanceRecord): void;
  remove(record: InstanceRecord): void;
}

const NONE: ReadonlySet<string> = new Set();

/** Ids of instances by the value of a tag. */
function createIndex(tag: string): Index {
  const values = new Map<string, Set<string>>();
  return {
    ids: (value) => values.get(value) ?? NONE,
    add({ id, tags }) {
      const value = tags[tag];
      if (value === undefined) return;
      const ids = values.get(value) ?? new Set();
      values.set(value, ids.add(id));
    },
    remove({ id, tags }) {
      const value = tags[tag];
      const ids = value === undefined ? undefined : values.get(value);
      ids?.delete(id);
      if (value !== undefined && ids?.size === 0) values.delete(value);
    },
  };
}
