// SPDX-License-Identifier: Apache-2.0
// One host in two TSHosts, in two management clusters, or in a backup: what the host itself says counts.
import { beforeEach, describe, expect, it } from 'vitest';
import { TSMachineKind } from '../../../api/kinds.ts';
import { CLEAN_ANNOTATION } from '../../../api/labels.ts';
import { type FakeHost, NODE } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

let world: HostWorld;
let host: FakeHost;

beforeEach(async () => {
  world = new HostWorld();
  world.addHost();
  world.addMachine();
  host = world.hosts.of('ns/h1');
  await world.reconcile();
  world.claim();
  await world.reconcile();
  await world.reconcile();
  host.finish();
  await world.reconcile();
  expect(world.status().state).toBe('Provisioned');
});

const cleanJobs = () => world.hosts.launches.filter(({ kind }) => kind === 'clean');

describe('what the host says of its owner', () => {
  it('a second TSHost of a host in use is Quarantined, and a person who asks to clean it wipes nothing', async () => {
    world.addHost('twin');
    const twin = world.hosts.of('ns/twin');
    [twin.occupants, twin.owner] = [[...NODE], host.owner];
    await world.reconcile('twin');
    expect(world.status('twin').state).toBe('Quarantined');
    world.editHost('twin', ({ metadata }) => (metadata.annotations = { [CLEAN_ANNOTATION]: '' }));
    await world.reconcile('twin');
    expect(world.status('twin')).toMatchObject({
      state: 'Quarantined',
      error: { reason: 'HostClaimedElsewhere', message: expect.stringMatching(/ns\/h1/) as string },
    });
    expect(world.host('twin')?.metadata.annotations ?? {}).toEqual({});
    expect(cleanJobs()).toEqual([]);
  });

  it('another owner on a host in use is told, and stays told between the looks', async () => {
    host.owner = { token: 'ffffffff', generation: 7 };
    await world.clock.advance(13 * 60_000);
    await world.reconcile();
    const told = { state: 'Provisioned', error: { reason: 'HostClaimedElsewhere' } };
    expect(world.status()).toMatchObject(told);
    await world.reconcile();
    expect(world.status()).toMatchObject(told);
  });

  it('a machine from a backup that names no host is not gone while its Node runs: the host is cleaned', async () => {
    host.occupants = [...NODE];
    const machine = world.machine()!;
    delete machine.spec.providerID;
    world.api.put({ ...TSMachineKind, ...machine });
    world.release();
    await world.reconcile();
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(1);
    expect(world.host()?.spec.claim?.for).toBe('Machine');
  });
});
