// SPDX-License-Identifier: Apache-2.0
// What is known of the instances of one account and region, from every answer that told of them.
import type { Clock } from '../../../runtime/clock.ts';
import { CLUSTER_TAG, MACHINE_TAG, MACHINE_UID_TAG, TOKEN_TAG } from '../tags.ts';
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
  isEndedByUs?: boolean;
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
  /** Every instance that was made for a TSMachine of this `<namespace>/<name>`, in any cluster. */
  byMachine(name: string): readonly InstanceRecord[];
  /** Every instance that carries the tag of a cluster. */
  all(): readonly InstanceRecord[];
  /** Whether the record is as new as looking again would make it. */
  isFresh(id: string): boolean;
  /** An answer has told of it. */
  put(record: InstanceRecord): void;
  /** We have asked EC2 to end it, and it has said in which state it is. */
  ended(id: string, state: InstanceRecord['state']): void;
  /** This process has ended it. */
  isEndedByUs(id: string): boolean;
  /** A look by id has not shown it. Forgets it once that is proof. */
  missed(id: string): Missing;
  /** Something else than an answer tells that it has changed: it is looked at by id. */
  suspect(id: string): void;
  /** A complete list was this: what is not in it is to be looked at by id. */
  swept(ids: ReadonlySet<string>): void;
  /** Instances that change by themselves, those that the last list did not show, and those that are suspected. */
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
  return new Store(options);
}

class Store implements InstanceStore {
  readonly #options: StoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #tokens = createIndex(TOKEN_TAG);
  readonly #uids = createIndex(MACHINE_UID_TAG);
  readonly #machines = createIndex(MACHINE_TAG);
  readonly #indexes = [this.#tokens, this.#uids, this.#machines];
  /** Ids that were asked for and never seen: since when. */
  readonly #askedMs = new Map<string, number>();
  /** Ids that the last list did not show, or that are suspected. */
  readonly #doubtful = new Set<string>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  byID(id: string): InstanceRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  byToken(token: string): readonly InstanceRecord[] {
    return this.#recordsOf(this.#tokens.ids(token));
  }

  byUID(uid: string): readonly InstanceRecord[] {
    return this.#recordsOf(this.#uids.ids(uid));
  }

  byMachine(name: string): readonly InstanceRecord[] {
    return this.#recordsOf(this.#machines.ids(name));
  }

  all(): readonly InstanceRecord[] {
    return this.#recordsOf(this.#entries.keys()).filter(({ tags }) => tags[CLUSTER_TAG] !== undefined);
  }

  isFresh(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    if (!isLiving(entry.record)) return true;
    const age = this.#now() - entry.seenMs;
    return age >= 0 && age <= (isInMotion(entry.record) ? FRESH_MOVING_MS : FRESH_RESTING_MS);
  }

  put(told: InstanceRecord): void {
    const known = this.#entries.get(told.id);
    const record = known === undefined ? told : newest(known.record, told);
    this.#forgetDoubt(told.id);
    this.#unindex(known?.record);
    for (const index of this.#indexes) index.add(record);
    this.#entries.set(told.id, { ...known, record, seenMs: this.#now() });
    if (JSON.stringify(known?.record) !== JSON.stringify(record)) this.#options.changed(record);
  }

  ended(id: string, state: InstanceRecord['state']): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.isEndedByUs = true;
    this.put({ ...entry.record, state });
  }

  isEndedByUs(id: string): boolean {
    return this.#entries.get(id)?.isEndedByUs ?? false;
  }

  missed(id: string): Missing {
    const entry = this.#entries.get(id);
    // What we have seen terminated is proof enough, however soon EC2 forgets it.
    if (entry !== undefined && !isLiving(entry.record)) return 'gone';
    const sinceMs = entry?.seenMs ?? this.#askedMs.get(id) ?? this.#now();
    if (entry === undefined) this.#askedMs.set(id, sinceMs);
    // A clock that was set back makes the wait longer, never shorter.
    if (this.#now() - sinceMs < this.#options.windowMs) return 'unproven';
    if (entry !== undefined) this.#options.changed(entry.record);
    this.#forget(id);
    return 'gone';
  }

  suspect(id: string): void {
    if (this.#entries.has(id)) this.#doubtful.add(id);
  }

  swept(ids: ReadonlySet<string>): void {
    for (const [id, { record, seenMs }] of this.#entries) {
      if (ids.has(id)) continue;
      if (isLiving(record)) this.#doubtful.add(id);
      else if (this.#now() - seenMs > FORGET_TERMINATED_MS) this.#forget(id);
    }
    for (const [id, sinceMs] of this.#askedMs)
      if (this.#now() - sinceMs > FORGET_TERMINATED_MS) this.#askedMs.delete(id);
  }

  toWatch(): readonly string[] {
    const moving = [...this.#entries.values()].filter(({ record }) => isInMotion(record));
    return [...new Set([...moving.map(({ record }) => record.id), ...this.#doubtful])];
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }

  #recordsOf(ids: Iterable<string>): InstanceRecord[] {
    return [...ids]
      .flatMap((id) => this.#entries.get(id)?.record ?? [])
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #forgetDoubt(id: string): void {
    this.#askedMs.delete(id);
    this.#doubtful.delete(id);
  }

  #unindex(record: InstanceRecord | undefined): void {
    if (record !== undefined) for (const index of this.#indexes) index.remove(record);
  }

  #forget(id: string): void {
    this.#unindex(this.#entries.get(id)?.record);
    this.#entries.delete(id);
    this.#doubtful.delete(id);
  }
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
