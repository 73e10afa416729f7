// SPDX-License-Identifier: Apache-2.0
// Whether AWS answers at all. An endpoint that does not would hold one worker after the other until each call has timed out, and with them
// the clusters of everybody else: while it is silent, one call at a time finds out whether it is back, and the others are not sent.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { Service } from './limits.ts';

/** A call that was not sent, as its endpoint does not answer: it has done nothing. Come again after `retryAfterMs`. */
export class NotSentError extends TransientError {}

/** What is called. */
export interface Endpoint {
  /** Empty before it is known. */
  readonly account: string;
  readonly region: string;
  readonly service: Service;
  /** Names the call in messages. */
  readonly action: string;
}

/** A call that may be sent. */
export interface Attempt {
  /** There was an answer, whichever. */
  answered(): void;
  /** There was none for so long; `undefined`: whoever called has given up, which tells nothing. */
  unanswered(ms: number | undefined): void;
  /** In any case, at the end. */
  end(): void;
}

export interface ReachOptions {
  readonly clock: Clock;
  /** Gives 0 to 1. */
  readonly random: () => number;
}

/** A connection that is refused or reset at once holds nobody up, and heals with the next call. */
const SILENT_MS = 3_000;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

interface Silence {
  /** Nobody finds out before. */
  readonly pauseMs: number;
  readonly sinceMs: number;
  /** One call is under way. */
  isProbed: boolean;
}

/** Remembers which endpoints are silent. One of another account may have another way: a VPC endpoint, a proxy. */
export class Reach {
  readonly #options: ReachOptions;
  readonly #silences = new Map<string, Silence>();

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  /** Throws {@link NotSentError}. */
  attempt(endpoint: Endpoint): Attempt {
    const key = `${endpoint.account} ${endpoint.region} ${endpoint.service}`;
    const known = this.#silences.get(key);
    if (known !== undefined) this.#probe(endpoint, known);
    return {
      answered: () => void this.#silences.delete(key),
      unanswered: (ms = 0) => {
        // Of many that were under way one is counted.
        if (ms < SILENT_MS || this.#silences.get(key) !== known) return;
        const pauseMs = known === undefined ? FIRST_PAUSE_MS : Math.min(known.pauseMs * 2, LONGEST_PAUSE_MS);
        this.#silences.set(key, { pauseMs, sinceMs: this.#nowMs(), isProbed: false });
      },
      end: () => {
        if (known !== undefined) known.isProbed = false;
      },
    };
  }

  #probe({ action, region, service }: Endpoint, silence: Silence): void {
    const { clock, random } = this.#options;
    const { pauseMs, sinceMs } = silence;
    const isOver = hasPassed(clock, sinceMs, pauseMs);
    if (isOver && !silence.isProbed) {
      silence.isProbed = true;
      return;
    }
    // Not all at the same moment.
    const leftMs = isOver ? pauseMs : sinceMs + pauseMs - this.#nowMs();
    const retryAfterMs = Math.round(leftMs + (random() * pauseMs) / 2);
    const message = `${action}: not sent, as ${service} in region ${region} does not answer; trying again`;
    throw new NotSentError(message, { retryAfterMs });
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime();
  }
}
