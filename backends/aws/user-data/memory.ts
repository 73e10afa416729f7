// SPDX-License-Identifier: Apache-2.0
import type { Service } from './form.ts';

/** Data that were left for one attempt. */
export interface Stash {
  readonly service: Service;
  readonly clientToken: string;
  /** What the names of the parts have in common. */
  readonly path: string;
  readonly names: readonly string[];
}

/** What this process has stored, by UID of the machine, and for which client tokens it has deleted all of it. */
export interface Memory {
  of(uid: string): readonly Stash[];
  isComplete(uid: string, stash: Stash): boolean;
  begin(uid: string, stash: Stash): void;
  complete(uid: string, stash: Stash): void;
  drop(uid: string, stash: Stash): void;
  removed(uid: string, clientToken: string): void;
  wasRemoved(clientToken: string): boolean;
}

interface Entry {
  readonly stash: Stash;
  /** All parts are there. */
  readonly complete: boolean;
}

/** Forgetting one costs a call when its machine goes. */
const MOST_REMOVED = 20_000;

export function createMemory(): Memory {
  const stashes = new Map<string, Map<string, Entry>>();
  const removedTokens = new Set<string>();

  const set = (uid: string, stash: Stash, complete: boolean): void => {
    const own = stashes.get(uid) ?? new Map<string, Entry>();
    stashes.set(uid, own.set(stash.path, { stash, complete }));
    removedTokens.delete(stash.clientToken);
  };
  return {
    of: (uid) => [...(stashes.get(uid)?.values() ?? [])].map(({ stash }) => stash),
    isComplete: (uid, { path }) => stashes.get(uid)?.get(path)?.complete === true,
    begin: (uid, stash) => set(uid, stash, false),
    complete: (uid, stash) => set(uid, stash, true),
    drop: (uid, { path }) => void stashes.get(uid)?.delete(path),
    removed(uid, clientToken) {
      stashes.delete(uid);
      if (removedTokens.size >= MOST_REMOVED) removedTokens.clear();
      removedTokens.add(clientToken);
    },
    wasRemoved: (clientToken) => removedTokens.has(clientToken),
  };
}
