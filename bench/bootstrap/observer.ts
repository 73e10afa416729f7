// SPDX-License-Identifier: Apache-2.0
// Sees KubeadmConfigs change through one watch: asking for lists again and again would be work for the API server that is measured.
import type { KubeadmConfig } from '../../api/kubeadmconfig.ts';
import { KubeadmConfigKind } from '../../api/kinds.ts';
import { pause } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';

/** What a KubeadmConfig can be seen to be. */
export type Milestone = 'paused' | 'done';

export interface Observer {
  /** Settles with the time, milliseconds since the epoch, at which the `count`th KubeadmConfig was seen to be so. */
  until(milestone: Milestone, options: { count: number; timeoutMs: number }): Promise<number>;
  /** Twice is harmless. */
  stop(): void;
}

const WATCH_SECONDS = 3_600;
const AGAIN_MS = 100;

/** Sees what happens in a namespace from now on. */
export function observe(client: Pick<ApiClient, 'snapshot' | 'watch'>, namespace: string): Observer {
  const stopped = new AbortController();
  const progress = new Progress();
  read(client, { namespace, progress, signal: stopped.signal }).catch((error: unknown) => {
    if (!stopped.signal.aborted)
      progress.fail(error instanceof Error ? error : new Error('the bench cannot watch', { cause: error }));
  });
  return {
    until: (milestone, wanted) => progress.until(milestone, wanted),
    stop: () => stopped.abort(),
  };
}

interface Reading {
  readonly namespace: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Until it is stopped. An API server ends the watches of a kind whose CRD changes, which it does once more soon after it is installed. */
async function read(
  client: Pick<ApiClient, 'snapshot' | 'watch'>,
  { namespace, progress, signal }: Reading,
): Promise<void> {
  while (!signal.aborted) {
    const { items, resourceVersion } = await client.snapshot(KubeadmConfigKind, { namespace }, signal);
    for (const config of items) progress.see(config);
    const options = { namespace, resourceVersion, timeoutSeconds: WATCH_SECONDS };
    for await (const { type, object } of client.watch(KubeadmConfigKind, options, signal))
      if (type === 'ADDED' || type === 'MODIFIED') progress.see(object);
    await pause(AGAIN_MS);
  }
}

interface Waiting {
  readonly milestone: Milestone;
  readonly count: number;
  resolve(atMs: number): void;
  reject(error: Error): void;
}

/** Which objects have been seen to be what, and who waits for more of them. */
class Progress {
  private readonly seen: Readonly<Record<Milestone, Set<string>>> = { paused: new Set(), done: new Set() };
  private readonly waiting = new Set<Waiting>();
  private failure: Error | undefined;

  see({ metadata, status }: KubeadmConfig): void {
    const paused = status?.conditions?.some(({ type, status: now }) => type === 'Paused' && now === 'True');
    if (paused === true) this.seen.paused.add(metadata.name);
    if (status?.initialization?.dataSecretCreated === true) this.seen.done.add(metadata.name);
    this.settle();
  }

  fail(error: Error): void {
    this.failure = error;
    for (const one of this.waiting) one.reject(error);
  }

  async until(milestone: Milestone, wanted: { count: number; timeoutMs: number }): Promise<number> {
    if (this.failure !== undefined) throw this.failure;
    const { count, timeoutMs } = wanted;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const one = { milestone, count, resolve, reject };
    const timer = setTimeout(() => {
      const n = this.seen[milestone].size;
      reject(new Error(`after ${timeoutMs / 1000} s ${n} of ${count} KubeadmConfigs are ${milestone}`));
    }, timeoutMs);
    this.waiting.add(one);
    this.settle();
    return promise.finally(() => {
      clearTimeout(timer);
      this.waiting.delete(one);
    });
  }

  private settle(): void {
    for (const { milestone, count, resolve } of this.waiting)
      if (this.seen[milestone].size >= count) resolve(Date.now());
  }
}
