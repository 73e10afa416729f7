// SPDX-License-Identifier: Apache-2.0
// What this process knows of the client tokens that it has used. It may all be lost: then the same token is sent again, which is safe.
import type { Clock } from '../../../runtime/clock.ts';
import type { MachineFacts } from '../../backend.ts';

/** One client token. */
interface Attempt {
  /**
   * Since when a request with the token may be under way whose answer nobody has: the last that ended without an answer, or the first
   * time that we have met a token that another process may have used.
   */
  openMs: number | undefined;
  /** This process has sent it. */
  sent: boolean;
  refused: boolean;
  /** It was sent again and refused while it was open. */
  inVain: boolean;
  /** Since when EC2 says that the token stands for another request: something was made with it. */
  takenMs: number | undefined;
  usedMs: number;
}

export interface Attempts {
  /** A plan was made for a machine that has no intent which might have been used: the next token that it comes with is new. */
  planned(machine: MachineFacts): void;
  /** RunInstances ended without an answer: it may have made something, now or in a moment. */
  unanswered(machine: MachineFacts, token: string): void;
  /** EC2 has refused to make anything. Answers whether that proves that the token has made nothing. */
  refused(machine: MachineFacts, token: string): boolean;
  /** EC2 says that the token stands for another request. */
  taken(machine: MachineFacts, token: string): void;
  /** The token is proven to have made nothing, and nothing is under way with it. */
  hasMadeNothing(machine: MachineFacts, token: string): boolean;
  /** It was refused, see {@link refused}. */
  isRefused(machine: MachineFacts, token: string): boolean;
  /** How long EC2 has been saying that something was made with the token; `undefined` when it does not. */
  takenForMs(machine: MachineFacts, token: string): number | undefined;
  /** How long ago a request with it may have been sent last; `undefined` when none is open. */
  openForMs(machine: MachineFacts, token: string): number | undefined;
  /** It was sent again and refused, and an earlier request may be under way: answers for how long yet, 0 when none can be. */
  sentInVain(machine: MachineFacts, token: string): number;
  /** For how long yet sending it again would be in vain, after {@link sentInVain}; 0 when it is to be sent. */
  vainForMs(machine: MachineFacts, token: string): number;
  /** A request with it is sent now. */
  sending(machine: MachineFacts, token: string): void;
}

/** The intent is recorded right after its plan. Later another process may have been the leader in between. */
const INTENT_FOLLOWS_MS = 15_000;
/** EC2 keeps a token for a day after the end of its instance; nothing is to be known of it for longer. */
const KEEP_MS = 24 * 3_600_000;
const PRUNE_AT = 20_000;

/**
 * Remembers attempts. `windowMs`: a request whose answer got lost has ended, and what it made is visible, after so long.
 *
 * A refusal proves that the token has made nothing only when no other request with it can be under way: EC2 looks the token up before
 * it looks for capacity, but a request that is still on its way there is not found by that.
 */
export function createAttempts(options: AttemptsOptions): Attempts {
  return new Memory(options);
}

export interface AttemptsOptions {
  readonly clock: Clock;
  readonly windowMs: number;
}

class Memory implements Attempts {
  readonly #options: AttemptsOptions;
  readonly #attempts = new Map<string, Attempt>();
  /** Machines whose next new token was never used by anybody, and since when. */
  readonly #planned = new Map<string, number>();

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  planned(machine: MachineFacts): void {
    this.#planned.set(keyOf(machine), this.#now());
  }

  sending(machine: MachineFacts, token: string): void {
    Object.assign(this.#of(machine, token), { sent: true, refused: false, inVain: false });
  }

  unanswered(machine: MachineFacts, token: string): void {
    this.#of(machine, token).openMs = this.#now();
  }

  refused(machine: MachineFacts, token: string): boolean {
    const attempt = this.#of(machine, token);
    if (attempt.openMs !== undefined && this.#now() - attempt.openMs < this.#options.windowMs) return false;
    attempt.openMs = undefined;
    attempt.refused = true;
    return true;
  }

  taken(machine: MachineFacts, token: string): void {
    this.#of(machine, token).takenMs ??= this.#now();
  }

  hasMadeNothing(machine: MachineFacts, token: string): boolean {
    const { refused, openMs, sent } = this.#of(machine, token);
    return refused || (openMs === undefined && !sent);
  }

  isRefused(machine: MachineFacts, token: string): boolean {
    return this.#of(machine, token).refused;
  }

  takenForMs(machine: MachineFacts, token: string): number | undefined {
    const { takenMs } = this.#of(machine, token);
    return takenMs === undefined ? undefined : this.#now() - takenMs;
  }

  openForMs(machine: MachineFacts, token: string): number | undefined {
    const { openMs } = this.#of(machine, token);
    return openMs === undefined ? undefined : this.#now() - openMs;
  }

  sentInVain(machine: MachineFacts, token: string): number {
    this.#of(machine, token).inVain = true;
    return this.vainForMs(machine, token);
  }

  vainForMs(machine: MachineFacts, token: string): number {
    const openForMs = this.openForMs(machine, token);
    if (openForMs === undefined || !this.#of(machine, token).inVain) return 0;
    return Math.max(this.#options.windowMs - openForMs, 0);
  }

  #of(machine: MachineFacts, token: string): Attempt {
    const now = this.#now();
    const known = this.#attempts.get(token);
    if (known !== undefined) return Object.assign(known, { usedMs: now });
    if (this.#attempts.size >= PRUNE_AT) prune(this.#attempts, now);
    const plannedMs = this.#planned.get(keyOf(machine)) ?? -Infinity;
    this.#planned.delete(keyOf(machine));
    const isNew = now - plannedMs < INTENT_FOLLOWS_MS;
    const attempt: Attempt = {
      openMs: isNew ? undefined : now,
      sent: false,
      refused: false,
      inVain: false,
      takenMs: undefined,
      usedMs: now,
    };
    this.#attempts.set(token, attempt);
    return attempt;
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }
}

function keyOf({ namespace, name, uid }: MachineFacts): string {
  return `${namespace}/${name}/${uid}`;
}

function prune(attempts: Map<string, Attempt>, nowMs: number): void {
  for (const [token, { usedMs }] of attempts) if (nowMs - usedMs > KEEP_MS) attempts.delete(token);
}
