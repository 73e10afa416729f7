// SPDX-License-Identifier: Apache-2.0
import type { HostState } from '../../api/tshost-status.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { HostAccess, HostDriver, HostReport } from '../../backends/host-driver.ts';
import type { Verdict } from '../../contract/ready-summary.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';
import type { SecretReader } from './secrets.ts';
import type { Turns } from './turn.ts';

/** What every handler may use. */
export interface HostDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly driver: HostDriver;
  readonly events: EventRecorder;
  /** Hosts of one pool that are cleaned at once, at most. */
  readonly cleaningPerPool: number;
  /** Whose turn it is; one for the whole controller: `createTurns()`. */
  readonly turns: Turns;
  /** One for the whole controller. */
  readonly secrets: SecretReader;
}

/** What one reconcile of a TSHost works on. */
export interface HostScope {
  /** Our own copy: handlers change it, one patch at the end writes it. */
  readonly object: TSHost;
  readonly access: HostAccess;
  /** The scheduled look at the host is due. What else a handler asks of it does not wait for the schedule. */
  readonly probeDue: boolean;
  /** Set by the last probe of this reconcile; probe.ts makes it. */
  report?: HostReport;
}

/** What a handler found: where the host is now, and what it waits for. */
export interface Transition {
  /** The same state, or the next one: then its handler runs at once, after the status has been written. */
  readonly state: HostState;
  /** When to look again, in milliseconds; absent: only a watch event wakes us, or the next scheduled probe. */
  readonly pollMs?: number;
  /** One line for people: what is waited for. */
  readonly message?: string;
  /** Reason of the condition Ready while nothing is wrong, such as WaitingForTurn; absent: the state's own. */
  readonly reason?: string;
  /** The condition Prepared. Absent: as it was; `undefined`: as status.preparation says. */
  readonly prepared?: Verdict | undefined;
  /** What is wrong, for status.error; absent clears it. */
  readonly error?: { readonly reason: string; readonly message: string };
}

/** One state of the table: reads, acts at most once, and says where the host is then. Errors of the driver are thrown on. */
export type StateHandler = (ctx: Ctx, scope: HostScope, deps: HostDeps) => Promise<Transition>;
