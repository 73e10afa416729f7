// SPDX-License-Identifier: Apache-2.0
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { AWSRefusal } from './session.ts';

/** What an identity may not do in a region, as its last call of each action tells. */
export class Denials {
  readonly #clock: Clock;
  /** When, by action. */
  readonly #actions = new Map<string, number>();
  /** When AWS did not take its credentials. */
  #allMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The call, of whose end it learns. */
  async note<T>(action: string, call: Promise<T>): Promise<T> {
    try {
      const answer = await call;
      this.#allMs = undefined;
      this.#actions.delete(action);
      return answer;
    } catch (error) {
      if (error instanceof TerminalError) this.#noteRefusal(action, error);
      // Of a call without a definite answer nothing is learned.
      throw error;
    }
  }

  /** When the action was denied, in ms; `undefined` when it was not. */
  sinceMs(action: string): number | undefined {
    return this.#allMs ?? this.#actions.get(action);
  }

  #noteRefusal(action: string, error: TerminalError): void {
    const nowMs = this.#clock.now().getTime();
    const isDenied = error.reason === Reason.CloudAccessDenied;
    if (!(error instanceof AWSRefusal)) {
      if (isDenied) this.#allMs = nowMs;
      return;
    }
    this.#allMs = undefined;
    if (isDenied) this.#actions.set(action, nowMs);
    else this.#actions.delete(action);
  }
}
