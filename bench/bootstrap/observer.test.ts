// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { KubeadmConfig } from '../../api/kubeadmconfig.ts';
import type { ApiClient, WatchEvent } from '../../runtime/client.ts';
import { observe } from './observer.ts';

function config(name: string, status: KubeadmConfig['status'] = {}): KubeadmConfig {
  const metadata = { namespace: 'bench', name };
  return {
    apiVersion: 'bootstrap.cluster.x-k8s.io/v1beta2',
    kind: 'KubeadmConfig',
    metadata,
    spec: {},
    status,
  };
}

const paused = {
  conditions: [
    { type: 'Paused', status: 'True', reason: 'Paused', message: '', lastTransitionTime: '' },
  ] satisfies NonNullable<KubeadmConfig['status']>['conditions'],
};
const done = { initialization: { dataSecretCreated: true } };

/** An API server that has these objects, and sends a round of changes in each watch; the last watch ends as `end` says. */
function server(items: KubeadmConfig[], rounds: readonly KubeadmConfig[][], end: () => Promise<void>) {
  const left = rounds.values();
  let watches = 0;
  return {
    snapshot: async () => ({ items, resourceVersion: '1' }),
    async *watch() {
      for (const object of left.next().value ?? [])
        yield { type: 'MODIFIED', object } satisfies WatchEvent<KubeadmConfig>;
      watches += 1;
      if (watches >= rounds.length) await end();
    },
  } as unknown as ApiClient;
}

const never = () => new Promise<void>(() => undefined);
const wanted = { count: 2, timeoutMs: 10_000 };

describe('observer', () => {
  it('counts each object once, whether it was so before or became so', async () => {
    const changes = [config('a', done), config('a', done), config('b', paused), config('b', done)];
    const observer = observe(server([config('a', paused), config('c')], [changes], never), 'bench');
    expect(await observer.until('paused', wanted)).toBeGreaterThan(0);
    expect(await observer.until('done', wanted)).toBeGreaterThan(0);
    await expect(observer.until('done', { count: 3, timeoutMs: 5 })).rejects.toThrow(
      'after 0.005 s 2 of 3 KubeadmConfigs are done',
    );
    observer.stop();
  });

  it('begins again when the API server ends its watch', async () => {
    const rounds = [[config('a', done)], [config('b', done)]];
    const observer = observe(server([], rounds, never), 'bench');
    expect(await observer.until('done', wanted)).toBeGreaterThan(0);
    observer.stop();
  });

  it('fails whoever waits, then and later, when it cannot watch', async () => {
    const ending = Promise.withResolvers<void>();
    const observer = observe(
      server([], [], () => ending.promise),
      'bench',
    );
    const waiting = observer.until('done', wanted);
    ending.reject(new Error('forbidden'));
    await expect(waiting).rejects.toThrow('forbidden');
    await expect(observer.until('paused', wanted)).rejects.toThrow('forbidden');
  });
});
