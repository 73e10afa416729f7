// SPDX-License-Identifier: Apache-2.0
// Notices that came from a queue, of one account and region. Only in memory: AWS tells each once.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import { type InstanceRecord, isEnding } from '../instance/record.ts';
import type { InstanceStore } from '../instance/store.ts';
import { type AWSEvent, type Notice, rebalanceNotice, spotNotice } from './event.ts';

/** Two minutes until it happens, and some for messages that come late. What lives then was spared, or was started anew. */
const SPOT_MS = 10 * 60_000;

type NoticeEvent = Extract<AWSEvent, { kind: 'spot' | 'rebalance' }>;

interface Told {
  readonly notice: Notice;
  readonly atMs: number;
}

export interface ToldNotices {
  /** Of an instance that lives. Whether something is new by it: the same event may come twice, and after days. */
  note(event: NoticeEvent, record: InstanceRecord): boolean;
  spot(instanceID: string): Notice | undefined;
  rebalance(instanceID: string): Notice | undefined;
  /** Drops those of instances that are gone, and those that have not come true. Answers with the instances of the latter. */
  prune(store: InstanceStore): readonly InstanceRecord[];
}

export function createToldNotices(clock: Clock): ToldNotices {
  const spot = new Map<string, Told>();
  const rebalance = new Map<string, Told>();
  return {
    note(event, record) {
      const notices = event.kind === 'spot' ? spot : rebalance;
      const nowMs = clock.now().getTime();
      // The first one stays: it has the moment from which on the time runs.
      if (notices.has(record.id) || isPast(event, record, nowMs)) return false;
      notices.set(record.id, { notice: noticeOf(event), atMs: nowMs });
      return true;
    },
    spot: (id) => spot.get(id)?.notice,
    rebalance: (id) => rebalance.get(id)?.notice,
    prune(store) {
      for (const notices of [spot, rebalance])
        for (const id of notices.keys()) if (!lives(store, id)) notices.delete(id);
      const spared = [...spot].filter(([, { atMs }]) => hasPassed(clock, atMs, SPOT_MS)).map(([id]) => id);
      for (const id of spared) spot.delete(id);
      return spared.flatMap((id) => store.byID(id) ?? []);
    },
  };
}

/** Whether an instance of ours is there to be told of. */
export function lives(store: InstanceStore, id: string): boolean {
  const record = store.byID(id);
  return record !== undefined && !isEnding(record);
}

/** It lay in the queue while no manager ran: the instance was spared, or it was of an earlier life. */
function isPast(event: NoticeEvent, { launchedMs }: InstanceRecord, nowMs: number): boolean {
  if (event.atMs === undefined) return false;
  return event.atMs < launchedMs || (event.kind === 'spot' && nowMs - event.atMs >= SPOT_MS);
}

function noticeOf(event: NoticeEvent): Notice {
  const { instanceID, atMs } = event;
  if (event.kind === 'rebalance') return rebalanceNotice(instanceID, atMs);
  return spotNotice(instanceID, { ends: event.action === 'terminate', atMs, code: event.action });
}
