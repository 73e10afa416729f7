// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { ApiClient, WatchEvent } from '../../runtime/client.ts';
import { observe, type Observer } from './observer.ts';
import { type AWSMachine, AWSMachineKind } from './peer-objects.ts';

function machine(name: string, ready = false): AWSMachine {
  const { apiVersion, kind } = AWSMachineKind;
  return { apiVersion, kind, metadata: { namespace: 'bench', name }, spec: {}, status: { ready } };
}

type Event = readonly ['MODIFIED' | 'DELETED', AWSMachine];

/** An API server that has these objects and sends a round of changes in each watch; what comes after the last is up to `end`. */
function server(rounds: readonly (readonly Event[])[], end: () => Promise<void>) {
  const items = new Map([
    ['a', machine('a')],
    ['b', machine('b')],
  ]);
  const left = rounds.values();
  return {
    snapshot: async () => ({ items: [...items.values()], resourceVersion: '1' }),
    async *watch() {
      const round = left.next();
      if (round.done === true) await end();
      for (const [type, object] of round.value ?? []) {
        if (type === 'DELETED') items.delete(object.metadata.name);
        else items.set(object.metadata.name, object);
        yield { type, object } satisfies WatchEvent<AWSMachine>;
      }
    },
  } as unknown as ApiClient;
}

function observerOf(client: ApiClient): Observer {
  return observe(client, {
    kind: AWSMachineKind,
    namespace: 'bench',
    isProvisioned: ({ status }) => status?.ready === true,
  });
}

const never = () => new Promise<void>(() => undefined);

/** What a promise is right now. */
async function stateOf(promise: Promise<void>): Promise<string> {
  const now = new Promise<string>((resolve) => void setImmediate(() => resolve('pending')));
  return Promise.race([promise.then(() => 'settled'), now]);
}

describe('observer', () => {
  it('sees machines become ready in one watch, and go in the next', async () => {
    const rounds: Event[][] = [
      [
        ['MODIFIED', machine('a', true)],
        ['MODIFIED', machine('a', true)],
        ['MODIFIED', machine('b', true)],
      ],
      [
        ['DELETED', machine('a')],
        ['DELETED', machine('b')],
      ],
    ];
    const observer = observerOf(server(rounds, never));
    await observer.untilProvisioned(2);
    await observer.untilGone();
    expect(await stateOf(observer.untilProvisioned(3))).toBe('pending');
    observer.stop();
  });

  it('waits while one is left', async () => {
    const observer = observerOf(server([[['DELETED', machine('a')]]], never));
    await observer.untilProvisioned(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await stateOf(observer.untilGone())).toBe('pending');
    observer.stop();
  });

  it('fails whoever waits when it cannot watch', async () => {
    const observer = observerOf(server([], () => Promise.reject(new Error('forbidden'))));
    await expect(observer.untilProvisioned(1)).rejects.toThrow('the bench cannot watch awsmachines');
  });
});
