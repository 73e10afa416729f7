// SPDX-License-Identifier: Apache-2.0
// What the proxy knows of the instances that were launched through it, and how one looked at a moment.
import type { Behaviour } from './behaviour.ts';
import type { Caller } from './upstream.ts';
import { type Element, element, find, items, setChild, textAt } from './xml.ts';

export interface InstanceRecord {
  readonly id: string;
  readonly account: string;
  /** Who launched it, and where. */
  readonly caller: Caller;
  /** Empty when none was given. */
  readonly clientToken: string;
  readonly market: 'spot' | 'on-demand';
  /** All times in milliseconds. */
  readonly launchedAt: number;
  terminatedAt?: number;
  /** How it was described just before its end: moto forgets volumes and interfaces at once. */
  lastSeen?: Element;
  /** The tags as they were until a moment, oldest first. */
  readonly tagHistory: { readonly until: number; readonly tags: readonly Element[] }[];
  /** Who ended or stopped it, when that was not the client. */
  stateReason?: StateReason;
  /** Gone so long that the cloud does not list it any more. */
  forgotten: boolean;
  /** The spot request, for the market `spot`. */
  spotRequest?: SpotRequest;
  events: readonly ScheduledEvent[];
}

/** `Server.SpotInstanceTermination` and a sentence. */
export interface StateReason {
  readonly code: string;
  readonly message: string;
}

/** As DescribeSpotInstanceRequests tells it. */
export interface SpotRequest {
  readonly id: string;
  /** `fulfilled`, `marked-for-termination`, `instance-terminated-by-price`, `instance-terminated-no-capacity`. */
  code: string;
  message: string;
}

/** As DescribeInstanceStatus tells it: `system-reboot`, `system-maintenance`, `instance-retirement`, `instance-stop`. */
export interface ScheduledEvent {
  readonly code: string;
  readonly description: string;
  /** ISO 8601. */
  readonly notBefore?: string;
  readonly notAfter?: string;
}

export type State = 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';

const CODES: Readonly<Record<State, number>> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export interface Instances {
  add(record: InstanceRecord): void;
  get(id: string): InstanceRecord | undefined;
  all(): InstanceRecord[];
  clear(): void;
}

/** No instances. */
export function instanceRecords(): Instances {
  const records = new Map<string, InstanceRecord>();
  return {
    add: (record) => void records.set(record.id, record),
    get: (id) => records.get(id),
    all: () => [...records.values()],
    clear: () => records.clear(),
  };
}

/** The state at a moment, `undefined` while nobody sees it. `real` is what moto says now. */
export function stateAt(
  record: InstanceRecord,
  real: State,
  at: number,
  { pendingMs, shuttingDownMs }: Behaviour,
): State | undefined {
  if (record.forgotten || at < record.launchedAt) return undefined;
  const { terminatedAt } = record;
  if (terminatedAt !== undefined && at >= terminatedAt)
    return at < terminatedAt + shuttingDownMs ? 'shutting-down' : 'terminated';
  if (real === 'terminated' && terminatedAt === undefined) return 'terminated';
  if (at < record.launchedAt + pendingMs) return 'pending';
  return real === 'terminated' ? 'running' : real;
}

/** The state that moto gives an `item` of instancesSet. */
export function stateOf(item: Element): State {
  return textAt(item, 'instanceState', 'name') as State;
}

/** Writes a state into an item, under the given name of the element. */
export function setState(item: Element, state: State, name = 'instanceState'): void {
  setChild(item, element(name, [element('code', String(CODES[state])), element('name', state)]));
}

/** The instances of an answer: in DescribeInstances over all reservations, in RunInstances of its one. */
export function instanceItems(answer: Element): Element[] {
  const reservations =
    find(answer, 'reservationSet') === undefined ? [answer] : items(answer, 'reservationSet');
  return reservations.flatMap((reservation) => items(reservation, 'instancesSet'));
}
