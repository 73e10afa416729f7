// SPDX-License-Identifier: Apache-2.0
// Credentials of one identity: obtained once for all callers, and renewed before they end.
import type { AwsCredentialIdentity } from '@smithy/types';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { SharedWork } from './shared-work.ts';

/** Credentials, and how long they last from now on; absent: until they are refused. */
export interface Lease {
  readonly identity: AwsCredentialIdentity;
  readonly lifeMs?: number;
}

/** Obtains credentials. `refresh`: what the source has kept itself is not good enough. */
export type CredentialsSource = (ctx: Ctx, refresh: boolean) => Promise<Lease>;

/** What AWS' refusal of credentials means: others were or will be obtained, or these are fresh ones already. */
export type Refused = 'renewed' | 'final';

/** What a call does with credentials. Nothing of them is ever logged. */
export interface Credentials {
  /** Sees to it that there are some that last, and says which. */
  get(ctx: Ctx): Promise<{ readonly generation: number }>;
  /** The last ones, for a request that is being signed. */
  current(): AwsCredentialIdentity;
  accepted(generation: number): void;
  refused(generation: number): Refused;
}

const RENEW_BEFORE_MS = 5 * 60_000;
/** While credentials are refused, others are obtained no more often than this; and so is a renewal tried again that has failed. */
const RETRY_MS = 60_000;
const OBTAIN_TIMEOUT_MS = 30_000;

interface Held extends Lease {
  readonly generation: number;
  /** By our own clock: AWS' may differ. */
  readonly obtainedMs: number;
  readonly lifeMs: number;
}

/** Credentials that are renewed five minutes before they end, by one call for all who wait, and when AWS refuses them. */
export class RenewedCredentials implements Credentials {
  readonly #clock: Clock;
  readonly #source: CredentialsSource;
  readonly #obtaining: SharedWork<Held>;
  #held: Held | undefined;
  #generation = 0;
  /** Obtained because others were refused, and not accepted since. */
  #suspect = false;
  #droppedMs: number | undefined;
  #failedMs: number | undefined;

  /** Nothing is obtained before the first `get`. */
  constructor(clock: Clock, source: CredentialsSource) {
    this.#clock = clock;
    this.#source = source;
    const what = 'the credentials for AWS';
    this.#obtaining = new SharedWork({ clock, what, timeoutMs: OBTAIN_TIMEOUT_MS });
  }

  async get(ctx: Ctx): Promise<{ readonly generation: number }> {
    const held = this.#held;
    if (held !== undefined && !this.#isDue(held)) return held;
    try {
      return await this.#obtaining.join(ctx, (own) => this.#obtain(own));
    } catch (error) {
      // It is renewed in good time: what there is still lasts for a while.
      if (held === undefined || this.#held !== held || this.#hasEnded(held)) throw error;
      return held;
    }
  }

  current(): AwsCredentialIdentity {
    if (this.#held === undefined) throw renewing();
    return this.#held.identity;
  }

  accepted(generation: number): void {
    if (generation === this.#generation) this.#suspect = false;
  }

  refused(generation: number): Refused {
    if (generation !== this.#generation) return 'renewed';
    const final = this.#suspect;
    if (!final || this.#droppedMs === undefined || hasPassed(this.#clock, this.#droppedMs, RETRY_MS))
      this.#drop();
    return final ? 'final' : 'renewed';
  }

  #drop(): void {
    this.#held = undefined;
    this.#suspect = true;
    this.#generation += 1;
    this.#droppedMs = this.#nowMs();
  }

  async #obtain(ctx: Ctx): Promise<Held> {
    const generation = this.#generation;
    try {
      const { identity, lifeMs = Infinity } = await this.#source(ctx, this.#suspect);
      // Refused while they were on the way.
      if (generation !== this.#generation) throw renewing();
      this.#failedMs = undefined;
      this.#held = { identity, generation, obtainedMs: this.#nowMs(), lifeMs };
      return this.#held;
    } catch (error) {
      this.#failedMs = this.#nowMs();
      throw error;
    }
  }

  #isDue(held: Held): boolean {
    // Of a short life half is used, so that not every call renews.
    const { obtainedMs, lifeMs } = held;
    if (!hasPassed(this.#clock, obtainedMs, lifeMs - Math.min(RENEW_BEFORE_MS, lifeMs / 2))) return false;
    return (
      this.#failedMs === undefined || hasPassed(this.#clock, this.#failedMs, RETRY_MS) || this.#hasEnded(held)
    );
  }

  #hasEnded({ obtainedMs, lifeMs }: Held): boolean {
    return hasPassed(this.#clock, obtainedMs, lifeMs);
  }

  #nowMs(): number {
    return this.#clock.now().getTime();
  }
}

/** Credentials of one step in a chain of roles: whether the chain is begun anew is for who holds its end. */
export function fixedCredentials(identity: AwsCredentialIdentity, suspect: boolean): Credentials {
  return {
    get: async () => ({ generation: 0 }),
    current: () => identity,
    accepted: () => {},
    refused: () => (suspect ? 'final' : 'renewed'),
  };
}

function renewing(): TransientError {
  return new TransientError('the credentials for AWS are being renewed', { retryAfterMs: 1_000 });
}
