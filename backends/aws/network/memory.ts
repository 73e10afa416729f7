// SPDX-License-Identifier: Apache-2.0
// What this process knows of a network that a look may not show yet. AWS shows what was made after a while only.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Kind, Part, Parts, PartsByKind } from './parts.ts';
import { createPauses, type Pauses } from './pauses.ts';

/** After so long a look shows everything that was made before. */
export const CONSISTENCY_WINDOW_MS = 60_000;

interface Made {
  readonly kind: Kind;
  readonly part: Part;
  readonly atMs: number;
  /** A look has shown it. */
  isShown: boolean;
}

/** Of one cluster. It can be lost: then a second one may be made of what has no token, which is seen later and settled. */
export interface NetworkMemory {
  /** AWS has answered that it made this. */
  remember<K extends Kind>(kind: K, part: Parts[K]): void;
  /** AWS has answered that it deleted this. */
  forget(id: string): void;
  /** What was looked at, and what was made since a window ago and is not yet shown. */
  complete(seen: PartsByKind): PartsByKind;
  /** Something was made within the window: who says that it does not exist may not know it yet. */
  hasFresh(): boolean;
  /** A call to make `what` may have had an effect that is not seen yet. */
  doubt(what: string): void;
  trust(what: string): void;
  /** `clear`: never doubted; `open`: within the window; `over`: what is not seen by now was not made. */
  doubtOf(what: string): 'clear' | 'open' | 'over';
  /** Looks have shown everything that this process made. */
  isShown(): boolean;
  /** A look of now shows everything that is there, also what a process before this one made. */
  isSettled(): boolean;
  /** Of what is tried again and again. */
  readonly pauses: Pauses;
}

/** An empty one. */
export function createNetworkMemory(clock: Clock, windowMs: number = CONSISTENCY_WINDOW_MS): NetworkMemory {
  const made = new Map<string, Made>();
  const doubts = new Map<string, number>();
  const now = () => clock.now().getTime();
  const isOver = (sinceMs: number) => hasPassed(clock, sinceMs, windowMs);
  const bornMs = now();
  const isShown = () => [...made.values()].every((one) => one.isShown || isOver(one.atMs));
  return {
    remember: (kind, part) => void made.set(part.id, { kind, part, atMs: now(), isShown: false }),
    forget: (id) => void made.delete(id),
    complete(seen) {
      for (const [id, { atMs }] of made) if (isOver(atMs)) made.delete(id);
      const all: PartsByKind = { ...seen };
      for (const kind of Object.keys(seen) as Kind[]) complement(all, kind, [...made.values()]);
      return all;
    },
    hasFresh: () => [...made.values()].some(({ atMs }) => !isOver(atMs)),
    doubt: (what) => void doubts.set(what, now()),
    trust: (what) => void doubts.delete(what),
    doubtOf(what) {
      const sinceMs = doubts.get(what);
      if (sinceMs === undefined) return 'clear';
      return isOver(sinceMs) ? 'over' : 'open';
    },
    isShown,
    isSettled: () => isOver(bornMs) && [...doubts.values()].every(isOver) && isShown(),
    pauses: createPauses(clock),
  };
}

function complement<K extends Kind>(all: PartsByKind, kind: K, made: readonly Made[]): void {
  const parts: Parts[K][] = all[kind];
  const ids = new Set(parts.map(({ id }) => id));
  const own = made.filter((one) => one.kind === kind);
  for (const one of own) one.isShown ||= ids.has(one.part.id);
  const hidden = own.filter(({ part }) => !ids.has(part.id));
  // `remember` took both together, so the kind says the type.
  all[kind] = [...parts, ...hidden.map(({ part }) => part as Parts[K])] as PartsByKind[K];
}
