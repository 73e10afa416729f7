// SPDX-License-Identifier: Apache-2.0
// Which machines changed, in order, for the change feed.
import type { Clock } from '../../../runtime/clock.ts';
import { type Changes, CursorLostError } from '../../backend.ts';
import { machineOf } from './owner.ts';
import type { InstanceRecord } from './record.ts';

/** A feed is read every 1.5 s; who has not read for so long begins anew. */
const KEEP_MS = 10 * 60_000;

export interface ChangeLog {
  add(record: InstanceRecord): void;
  /** As {@link import('../../backend.ts').ChangeFeed} says. */
  since(cursor: string): Changes;
}

interface Change {
  readonly number: number;
  readonly atMs: number;
}

/** An empty log. Each machine is in it once, with its last change. */
export function createChangeLog(clock: Clock): ChangeLog {
  // A Map keeps the order of insertion: the oldest change comes first.
  const changes = new Map<string, Change>();
  let number = 0;
  let forgotten = 0;

  const prune = (nowMs: number) => {
    for (const [machine, change] of changes) {
      if (nowMs - change.atMs < KEEP_MS) return;
      forgotten = change.number;
      changes.delete(machine);
    }
  };

  return {
    add(record) {
      const machine = machineOf(record);
      if (machine === undefined) return;
      const atMs = clock.now().getTime();
      changes.delete(machine);
      changes.set(machine, { number: ++number, atMs });
      prune(atMs);
    },
    since(cursor) {
      if (cursor === '') return { cursor: String(number), machines: [] };
      const from = Number(cursor);
      if (!Number.isInteger(from) || from < forgotten || from > number)
        throw new CursorLostError(`The cursor ${cursor} of the change feed is too old`);
      const machines = [...changes].filter(([, change]) => change.number > from);
      return { cursor: String(number), machines: machines.map(([machine]) => nameOf(machine)) };
    },
  };
}

/** `<namespace>/<name>`, as {@link MACHINE_TAG} has it. */
export function nameOf(machine: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = machine.split('/');
  return { namespace, name };
}
