// SPDX-License-Identifier: Apache-2.0
import type { Clock } from './clock.ts';

/** Resolves after `ms` milliseconds of `clock`, or as soon as `signal` is aborted: the caller looks at the signal itself. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = (): void => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.schedule(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
