// SPDX-License-Identifier: Apache-2.0
// Kills our manager again and again, at moments that a seed decides, and starts it anew.
import { type Provider, startProvider } from '../../hack/stack/provider.ts';
import type { Stack } from '../../hack/stack/build.ts';
import { seeded } from '../envtest/seeded.ts';
import type { Management } from './site.ts';

export interface ManagerKiller {
  readonly seed: number;
  kills(): number;
  /** Lets the one that runs live on, after at least `atLeast` kills. */
  stop(atLeast: number): Promise<void>;
}

/** SIGKILL every few seconds, `fromMs` to `toMs` after the last start. */
export function killManager(
  stack: Stack,
  { cluster }: Management,
  options: { readonly seed: number; readonly fromMs: number; readonly toMs: number },
): ManagerKiller {
  const random = seeded(options.seed);
  let provider: Provider = cluster.provider;
  let kills = 0;
  let enough = Number.POSITIVE_INFINITY;
  let ended = false;
  const loop = (async () => {
    for (;;) {
      const pauseMs = options.fromMs + random() * (options.toMs - options.fromMs);
      await new Promise((resolve) => void setTimeout(resolve, pauseMs));
      if (ended && kills >= enough) return;
      await provider.server.kill();
      kills += 1;
      provider = await startProvider({ stack, apiServer: cluster.apiServer, name: `ts-provider-${kills}` });
    }
  })();
  return {
    seed: options.seed,
    kills: () => kills,
    async stop(atLeast) {
      enough = atLeast;
      ended = true;
      await loop;
    },
  };
}
