// SPDX-License-Identifier: Apache-2.0
// A client that asks an API server all the time, as a user's would: how long was it away?
import { request } from 'node:https';

const EVERY_MS = 100;
const TIMEOUT_MS = 1_000;

export interface Gaps {
  readonly asked: number;
  readonly failed: number;
  /** Longest time between two answers, in milliseconds. */
  readonly longestMs: number;
}

export interface ApiPoller {
  /** What was seen so far. */
  gaps(): Gaps;
  stop(): Promise<Gaps>;
}

/** Asks `https://host:port/readyz` ten times a second, each time over a connection of its own; whose certificate it is does not matter here. */
export function pollAPI(endpoint: { readonly host: string; readonly port: number }): ApiPoller {
  const seen = { asked: 0, failed: 0, longestMs: 0 };
  let lastAnswer = Date.now();
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const began = Date.now();
      const ok = await ask(endpoint);
      seen.asked += 1;
      if (ok) {
        seen.longestMs = Math.max(seen.longestMs, Date.now() - lastAnswer);
        lastAnswer = Date.now();
      } else seen.failed += 1;
      const rest = Math.max(0, EVERY_MS - (Date.now() - began));
      await new Promise((resolve) => void setTimeout(resolve, rest));
    }
  })();
  const gaps = () => ({ ...seen, longestMs: Math.max(seen.longestMs, Date.now() - lastAnswer) });
  return {
    gaps,
    async stop() {
      stopped = true;
      await loop;
      return gaps();
    },
  };
}

function ask({ host, port }: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(
      { host, port, path: '/readyz', rejectUnauthorized: false, agent: false, timeout: TIMEOUT_MS },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    call.once('error', () => resolve(false));
    call.once('timeout', () => call.destroy(new Error('no answer')));
    call.end();
  });
}
