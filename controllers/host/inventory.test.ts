// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { TSHOST_FINALIZER } from '../../api/labels.ts';
import type { HostClaim } from '../../api/tshost.ts';
import type { HostInventory } from '../../backends/host-inventory.ts';
import { TransientError } from '../../runtime/errors.ts';
import { HostWorld } from '../../test/host-world.ts';
import { createHostInventory } from './inventory.ts';

let world: HostWorld;
let inventory: HostInventory;
beforeEach(() => {
  world = new HostWorld();
  inventory = createHostInventory({ client: world.api.client, cache: world.cache() });
});

const claimBy = (name: string): HostClaim => ({
  for: 'Machine',
  machine: { namespace: 'ns', name, uid: `uid-${name}` },
  clientToken: `token-${name}`,
  generation: 4,
});
const listed = () => inventory.list('ns')[0]!;
const set = (claim: HostClaim, host = listed()) => inventory.setClaim(world.ctx(), host, claim);

describe('a host in the inventory', () => {
  it('is plain data', async () => {
    const metadata = { labels: { role: 'worker' }, deletionTimestamp: 'now' };
    const status = { state: 'Available' } as const;
    const claim = { generation: 3, previous: '0a1b2c3d' };
    world.addHost('h1', { metadata, status, claim, failureDomain: 'a', maintenance: true, adopt: true });
    const expected = {
      ...{ namespace: 'ns', name: 'h1', labels: metadata.labels, address: 'h1.example.org' },
      ...{ failureDomain: 'a', maintenance: true, adopt: true, deleting: true, claim, status },
      resourceVersion: world.host()?.metadata.resourceVersion,
    };
    expect(inventory.list('ns')).toEqual([expected]);
    expect(await inventory.listNow(world.ctx(), 'ns')).toEqual([expected]);
    expect(inventory.list('elsewhere')).toEqual([]);
    expect(await inventory.listNow(world.ctx(), 'elsewhere')).toEqual([]);
  });

  it('says what is absent', () => {
    world.addHost();
    expect(listed()).toMatchObject({
      ...{ labels: {}, status: {}, maintenance: false, adopt: false, deleting: false },
      ...{ claim: undefined, failureDomain: undefined },
    });
  });
});

describe('a claim', () => {
  it('is written with our hold on the host in one write, others keep theirs', async () => {
    world.addHost('h1', { metadata: { finalizers: ['example.org/theirs'] } });
    const after = await set(claimBy('m1'));
    expect(world.host()?.spec.claim).toEqual(claimBy('m1'));
    expect(world.host()?.metadata.finalizers).toEqual(['example.org/theirs', TSHOST_FINALIZER]);
    expect(world.api.writes).toHaveLength(1);
    expect(after).toMatchObject({ claim: claimBy('m1') });
    expect(after?.resourceVersion).toBe(world.host()?.metadata.resourceVersion);
  });

  it('replaces the former one: nothing of it stays', async () => {
    world.addHost('h1', { claim: { generation: 3, previous: '0a1b2c3d' } });
    await set(claimBy('m1'));
    expect(world.host()?.spec.claim).toEqual(claimBy('m1'));
  });

  it('only one of two that saw the same host gets it', async () => {
    world.addHost();
    const seen = listed();
    const both = await Promise.all([set(claimBy('m1'), seen), set(claimBy('m2'), seen)]);
    expect(both.filter((host) => host !== undefined)).toHaveLength(1);
    expect(world.host()?.spec.claim?.machine?.name).toBe(both[0] === undefined ? 'm2' : 'm1');
  });

  it.each([
    ['changed in any way', () => world.editHost('h1', ({ spec }) => (spec.maintenance = true))],
    ['gone', () => world.api.remove({ kind: 'TSHost' } as never, { namespace: 'ns', name: 'h1' })],
  ])('is not written when the host is %s meanwhile', async (_what, meanwhile) => {
    world.addHost();
    const seen = listed();
    meanwhile();
    expect(await set(claimBy('m1'), seen)).toBeUndefined();
    expect(world.host()?.spec.claim).toBeUndefined();
  });

  it('is refused by the API server when the change comes at the last moment', async () => {
    world.addHost();
    world.api.beforeWrite = () => {
      world.api.beforeWrite = () => {};
      world.editHost('h1', ({ spec }) => (spec.maintenance = true));
    };
    expect(await set(claimBy('m1'))).toBeUndefined();
  });

  it('other errors are not taken for "somebody was faster"', async () => {
    world.addHost();
    world.api.beforeWrite = () => {
      throw new TransientError('no answer');
    };
    await expect(set(claimBy('m1'))).rejects.toThrow('no answer');
  });

  it('being given back is written on a host that is being deleted, too', async () => {
    const metadata = { finalizers: [TSHOST_FINALIZER], deletionTimestamp: 'now' };
    world.addHost('h1', { metadata, claim: claimBy('m1') });
    await set({ ...claimBy('m1'), releasing: true });
    expect(world.host()?.spec.claim?.releasing).toBe(true);
  });
});
