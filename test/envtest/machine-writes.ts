// SPDX-License-Identifier: Apache-2.0
import { TSMachineKind } from '../../api/kinds.ts';
import type { Environment } from './harness.ts';

export interface Writes {
  count(): number;
  /** Settles with the next write. */
  next(): Promise<void>;
  end(): void;
}

/** Counts what our manager writes to TSMachines; the test itself creates them, and marks them for deletion. */
export function watchWrites({ client }: Environment, namespace: string): Writes {
  const abort = new AbortController();
  let count = 0;
  let waiting: (() => void)[] = [];
  void (async () => {
    const { resourceVersion } = await client.snapshot(TSMachineKind, { namespace });
    const from = { namespace, resourceVersion, timeoutSeconds: 3_600 };
    for await (const { type, object } of client.watch(TSMachineKind, from, abort.signal)) {
      const modified = type === 'MODIFIED' && object.metadata.deletionTimestamp === undefined;
      if (!modified && type !== 'DELETED') continue;
      count++;
      for (const tell of waiting) tell();
      waiting = [];
    }
  })().catch(() => undefined); // Aborted at the end; a watch that ends earlier shows as lives without writes.
  return {
    count: () => count,
    next: () => new Promise((resolve) => void waiting.push(resolve)),
    end: () => abort.abort(),
  };
}
