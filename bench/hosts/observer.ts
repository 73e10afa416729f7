// SPDX-License-Identifier: Apache-2.0
// Sees machines change through one watch: when each was provisioned, and when it went.
import { TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { pause } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';

/** Milliseconds since the epoch, by the machine's name. */
export interface MachineTimes {
  readonly provisioned: ReadonlyMap<string, number>;
  readonly gone: ReadonlyMap<string, number>;
  /** Name of the TSHost that each machine names. */
  readonly hosts: ReadonlyMap<string, string>;
  stop(): void;
}

const WATCH_SECONDS = 3_600;

/** From now on. */
export function observeMachines(client: ApiClient, namespace: string): MachineTimes {
  const [provisioned, gone, hosts] = [
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, string>(),
  ];
  const stopped = new AbortController();
  const see = ({ metadata, spec, status }: TSMachine) => {
    const host = /\/([^/]+)\/[0-9a-f]{8}$/.exec(spec.providerID ?? '')?.[1];
    if (host !== undefined) hosts.set(metadata.name, host);
    const isDone = status?.initialization?.provisioned === true;
    if (isDone && !provisioned.has(metadata.name)) provisioned.set(metadata.name, Date.now());
  };
  void (async () => {
    while (!stopped.signal.aborted) {
      const { items, resourceVersion } = await client.snapshot(TSMachineKind, { namespace });
      items.forEach(see);
      const options = { namespace, resourceVersion, timeoutSeconds: WATCH_SECONDS };
      for await (const { type, object } of client.watch(TSMachineKind, options, stopped.signal)) {
        if (type === 'ADDED' || type === 'MODIFIED') see(object);
        else if (type === 'DELETED') gone.set(object.metadata.name, Date.now());
      }
      await pause(100);
    }
  })().catch(() => undefined); // Ended. A watch that fails shows as machines that are never seen, and the wait for them ends.
  return { provisioned, gone, hosts, stop: () => stopped.abort() };
}
