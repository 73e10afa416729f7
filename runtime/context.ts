// SPDX-License-Identifier: Apache-2.0
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

/** What every call needs and no object keeps: passed first, never stored. */
export interface Ctx {
  /** Ends the call: its deadline has passed or the manager stops. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock: Clock;
}
