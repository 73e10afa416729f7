// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from 'node:timers/promises';

/** Long enough to be cheap, short enough that probes, sockets and lease renewals do not notice. */
const BUSY_MS = 10;

/**
 * A pause to take between pieces of work that may need no I/O at all: promises alone never let the event loop go on, and ten
 * thousand converged reconciles are seconds. Waits for one turn of the loop when the last turn is {@link BUSY_MS} ago.
 */
export function createBreather(elapsedMs: () => number = () => performance.now()): () => Promise<void> {
  let lastMs = elapsedMs();
  return async () => {
    if (elapsedMs() - lastMs < BUSY_MS) return;
    await setImmediate();
    lastMs = elapsedMs();
  };
}
