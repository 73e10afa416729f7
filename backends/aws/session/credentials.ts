// SPDX-License-Identifier: Apache-2.0
// Credentials of one identity: obtained once for all callers, and renewed before they end.
import type { AwsCredentialIdentity } from '@smithy/types';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';

/** Credentials, and how long they last from now; absent: until they are refused. */
export interface Lease {
  readonly identity: AwsCredentialIdentity;
  readonly lifeMs?: number;
}

/** Obtains credentials. `refresh`: what the source itself keeps is not good enough. */
export type CredentialsSource = (ctx: Ctx, refresh: boolean) => Promise<Lease>;

/** What {@link Credentials.refused} answers: others were obtained meanwhile or shall be, or fresh ones were refused too. */
export type Verdict = 'renewed' | 'final';

/** Credentials that renew themselves. Nothing of them is ever logged. */
export interface Credentials {
  /** Those to use now, and a number that says which. */
  get(ctx: Ctx): Promise<{ readonly identity: AwsCredentialIdentity; readonly generation: number }>;
  /** The last ones, for a request that is being signed. */
  current(): AwsCredentialIdentity;
  accepted(generation: number): void;
  refused(generation: number): Verdict;
}

const RENEW_BEFORE_MS = 5 * 60_000;
/** While credentials are refused, others are obtained no more often than this; and when they cannot be renewed in time, tried again. */
const RETRY_MS = 60_000;
const OBTAIN_TIMEOUT_MS = 30_000;

interface Held {
  readonly identity: AwsCredentialIdentity;
  readonly generation: number;
  /** In our own clock: AWS' may differ. */
  readonly obtainedMs: number;
  readonly lifeMs: number;
}

/** Nothing is obtained before the first `get`. */
export function createCredentials(clock: Clock, source: CredentialsSource): Credentials {
  let held: Held | undefined;
  let pending: Promise<Held> | undefined;
  let generation = 0;
  let refresh = false;
  /** Renewed because they were refused, and not accepted since. */
  let suspect = false;
  let renewedMs: number | undefined;
  let failedMs: number | undefined;

  return {
    async get(ctx) {
      if (held !== undefined && !isDue(held)) return held;
      pending ??= obtain(ctx);
      try {
        return await untilAborted(ctx, pending);
      } catch (error) {
        // It is renewed in good time: what is there still lasts for a while.
        if (held === undefined || hasPassed(clock, held.obtainedMs, held.lifeMs)) throw error;
        return held;
      }
    },
    current() {
      if (held === undefined)
        throw new TransientError('credentials are being renewed', { retryAfterMs: 1_000 });
      return held.identity;
    },
    accepted(of) {
      if (of === generation) suspect = false;
    },
    refused(of) {
      if (of !== generation) return 'renewed';
      const final = suspect;
      if (!final || renewedMs === undefined || hasPassed(clock, renewedMs, RETRY_MS)) drop();
      return final ? 'final' : 'renewed';
    },
  };

  function drop(): void {
    held = undefined;
    refresh = true;
    suspect = true;
    generation += 1;
    renewedMs = clock.now().getTime();
  }

  function isDue({ obtainedMs, lifeMs }: Held): boolean {
    // Of short lives half is used, so that they are not renewed with each call.
    if (!hasPassed(clock, obtainedMs, lifeMs - Math.min(RENEW_BEFORE_MS, lifeMs / 2))) return false;
    return (
      failedMs === undefined || hasPassed(clock, failedMs, RETRY_MS) || hasPassed(clock, obtainedMs, lifeMs)
    );
  }

  /** Whoever is first pays for all, and its end must not be that of the others: it has a signal of its own. */
  async function obtain(ctx: Ctx): Promise<Held> {
    const abort = new AbortController();
    const late = new TransientError(`no credentials within ${OBTAIN_TIMEOUT_MS / 1_000} s`);
    const cancel = clock.schedule(() => abort.abort(late), OBTAIN_TIMEOUT_MS);
    const obtaining = generation;
    try {
      const lease = await source({ ...ctx, signal: abort.signal }, refresh);
      // Refused while they were on the way: those are the ones that were refused, or as good as they.
      if (obtaining !== generation)
        throw new TransientError('credentials are being renewed', { retryAfterMs: 1_000 });
      const obtainedMs = clock.now().getTime();
      failedMs = undefined;
      refresh = false;
      held = {
        identity: lease.identity,
        generation: obtaining,
        obtainedMs,
        lifeMs: lease.lifeMs ?? Infinity,
      };
      return held;
    } catch (error) {
      failedMs = clock.now().getTime();
      throw error;
    } finally {
      cancel();
      pending = undefined;
    }
  }
}

/** What `promise` says, or the end of `ctx`, whichever is first. */
export function untilAborted<T>(ctx: Ctx, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new TransientError(errorMessage(ctx.signal.reason)));
    if (ctx.signal.aborted) return ended();
    ctx.signal.addEventListener('abort', ended, { once: true });
    promise.then(resolve, reject).finally(() => ctx.signal.removeEventListener('abort', ended));
  });
}
