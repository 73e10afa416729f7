// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { MachineFacts } from '../../backend.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { machineNamed, recordNamed } from './instance.fixtures.ts';
import { checkNone } from './owner.ts';
import type { InstanceRecord } from './record.ts';
import { createInstanceStore } from './store.ts';

/** Restored from a backup: another UID, and a token that no instance has. */
const restored: MachineFacts = machineNamed('m', {
  uid: 'uid-after',
  intent: {
    ...{ attempt: 2, clientToken: 'token-after', requestHash: 'hash' },
    choice: { infrastructureID: 'prod-1' },
  },
});

function storeWith(record: InstanceRecord) {
  const store = createInstanceStore({ clock: new FakeClock(), windowMs: 60_000, changed: () => undefined });
  store.put(record);
  return store;
}

const tags = {
  ...{ 'ts-provider/cluster': 'prod-1', 'ts-provider/machine': 'default/m' },
  ...{ 'ts-provider/token': 'token-before', 'ts-provider/machine-uid': 'uid-before' },
};

describe('before an instance is made', () => {
  it.each(['pending', 'running', 'stopped'] as const)(
    'refuses while another one of the same name in the same cluster is %s',
    (state) => {
      const store = storeWith(recordNamed('i-1', { state, tags }));
      expect(() => checkNone(store, restored)).toThrow(/i-1 .*another attempt.*tag ts-provider\/machine off/);
    },
  );

  it.each([
    ['is on its end', { state: 'shutting-down', tags }],
    ['has ended', { state: 'terminated', tags }],
    ['is of another cluster', { tags: { ...tags, 'ts-provider/cluster': 'prod-2' } }],
    ['has another name', { tags: { ...tags, 'ts-provider/machine': 'default/m-copy' } }],
    ['is of another namespace', { tags: { ...tags, 'ts-provider/machine': 'other/m' } }],
    ['is of a pool of that name', { tags: { ...tags, 'ts-provider/pool': 'default/m' } }],
  ] as const)('lets one be made when the other %s', (_what, overrides) => {
    const store = storeWith(recordNamed('i-1', overrides));
    expect(() => checkNone(store, restored)).not.toThrow();
  });
});
