// SPDX-License-Identifier: Apache-2.0
// Opens sessions and keeps them.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import type { AWSIdentity, CloudIdentities } from '../../cloud-identities.ts';
import { Access, type Who } from './access.ts';
import { Calls } from './calls.ts';
import { type Connection, createConnection } from './clients.ts';
import type { AWSSession, AWSSessions } from './session.ts';

export interface AWSSessionsDeps {
  readonly identities: CloudIdentities;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Replaces the endpoints of all services and regions. */
  readonly endpoint?: string;
  /** Gives 0 to 1; spreads what was held back. */
  readonly random?: () => number;
}

/** Who was not used for so long is forgotten, credentials and all. */
const FORGET_MS = 3_600_000;

/** Nothing is asked before the first `open`. */
export function createAWSSessions(deps: AWSSessionsDeps): AWSSessions {
  return new KeptSessions(deps);
}

class KeptSessions implements AWSSessions {
  readonly #identities: CloudIdentities;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #calls: Calls;
  /** By identity and region. */
  readonly #accesses = new Map<string, { readonly access: Access; usedMs: number }>();

  constructor({ identities, clock, metrics, endpoint, random = Math.random }: AWSSessionsDeps) {
    this.#identities = identities;
    this.#clock = clock;
    this.#connection = createConnection(endpoint);
    this.#calls = new Calls({ clock, metrics, random });
  }

  async open(ctx: Ctx, who: Parameters<AWSSessions['open']>[1]): Promise<AWSSession> {
    // Asked each time: who may be it, and what it is, can change.
    const identity = await this.#identities.aws(ctx, { namespace: who.namespace, name: who.identity });
    return this.#accessOf(who, identity).session(ctx, who.namespace);
  }

  all(action: string): readonly AWSSession[] {
    this.#forgetUnused();
    const found = new Map<string, { readonly session: AWSSession; readonly deniedMs: number }>();
    for (const { access } of [...this.#accesses.values()].sort((a, b) => a.usedMs - b.usedMs)) {
      const deniedMs = access.denials.sinceMs(action) ?? -Infinity;
      for (const session of access.sessions()) {
        const place = `${session.account} ${session.region}`;
        // Where all are denied, each has its try in turn: one of them may have been given the right since.
        if (deniedMs <= (found.get(place)?.deniedMs ?? Infinity)) found.set(place, { session, deniedMs });
      }
    }
    return [...found.values()].map(({ session }) => session);
  }

  close(): void {
    this.#accesses.clear();
    this.#connection.close();
  }

  #accessOf(who: Who, identity: AWSIdentity): Access {
    const name = `${who.identity} ${who.region}`;
    const usedMs = this.#clock.now().getTime();
    const known = this.#accesses.get(name);
    if (known !== undefined && known.access.key === identity.key) {
      known.usedMs = usedMs;
      return known.access;
    }
    this.#forgetUnused();
    const deps = { clock: this.#clock, calls: this.#calls, connection: this.#connection };
    const access = new Access(deps, who, identity);
    this.#accesses.set(name, { access, usedMs });
    return access;
  }

  #forgetUnused(): void {
    for (const [name, { usedMs }] of this.#accesses) {
      if (hasPassed(this.#clock, usedMs, FORGET_MS)) this.#accesses.delete(name);
    }
  }
}
