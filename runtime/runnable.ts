// SPDX-License-Identifier: Apache-2.0

/** A part that the manager runs: a controller, a ticker, or anything else that only the leader may do. */
export interface Runnable {
  /** Lower case, as in logs. */
  readonly name: string;
  /**
   * Works until `signal` aborts, then ends in order and resolves. Ending earlier is fine: there was nothing more to do. Rejecting
   * brings the manager down, so a failure that may heal is handled inside. Rejecting after the abort says that work is still going on.
   */
  run(signal: AbortSignal): Promise<void>;
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
