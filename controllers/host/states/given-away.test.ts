// SPDX-License-Identifier: Apache-2.0
// Ways in which a host could be given away dirty, or taken from somebody who has it, by a manager that is late or was restored.
import { beforeEach, describe, expect, it } from 'vitest';
import type { TSHost } from '../../../api/tshost.ts';
import { type FakeHost, NODE } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

const KEY = 'ns/h1';
let world: HostWorld;
let host: FakeHost;

beforeEach(() => {
  world = new HostWorld();
  world.addHost();
  world.addMachine();
  host = world.hosts.of(KEY);
});

async function provisioned(): Promise<void> {
  await world.reconcile();
  world.claim();
  await world.reconcile();
  await world.reconcile();
  host.finish();
  await world.reconcile();
  expect(world.status().state).toBe('Provisioned');
}

/** Changes the spec as a person does: the API server counts that. */
function editSpec(change: (spec: TSHost['spec']) => void): void {
  world.editHost('h1', ({ metadata, spec }) => {
    metadata.generation = (metadata.generation ?? 1) + 1;
    change(spec);
  });
}

const cleanJobs = () => world.hosts.launches.filter(({ kind }) => kind === 'clean');

describe('a free host is looked at again', () => {
  it('when it is no longer to be adopted', async () => {
    world.addHost('h1', { adopt: true });
    host.occupants = [...NODE];
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    editSpec((spec) => void delete spec.adopt);
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });

  it('when its address is that of another machine', async () => {
    await world.reconcile();
    host.occupants = [...NODE];
    editSpec((spec) => void (spec.ssh.address = 'other.example.org'));
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });

  it('when its maintenance ended while no manager ran', async () => {
    await world.reconcile();
    editSpec((spec) => void (spec.maintenance = true));
    await world.reconcile();
    world.restart();
    host.occupants = [...NODE];
    editSpec((spec) => void delete spec.maintenance);
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });

  it('and not again when nothing has changed', async () => {
    await world.reconcile();
    const probes = world.hosts.count('probe');
    await world.reconcile();
    expect(world.hosts.count('probe')).toBe(probes);
  });
});

describe('a clean-up that somebody asked for long ago', () => {
  it('does not begin on the host of a machine that came later', async () => {
    await provisioned();
    world.release();
    await world.reconcile();
    expect(world.status().operation?.kind).toBe('Clean');
    // A backup of the management cluster was restored, or this manager stood still between its last question and its act.
    host.owner = { token: 'ffffffff', generation: 2 };
    host.jobs.clear();
    await world.reconcile().catch(() => {});
    expect(cleanJobs()).toEqual([]);
    expect(world.status().error).toMatchObject({ reason: 'HostClaimedElsewhere' });
    expect(world.host()?.spec.claim?.for).toBe('Machine');
  });

  it('does not take away the record of a machine that came later', async () => {
    await provisioned();
    world.release();
    await world.reconcile();
    await world.reconcile();
    host.finish();
    host.owner = { token: 'ffffffff', generation: 2 };
    await world.reconcile().catch(() => {});
    expect(world.hosts.of(KEY).owner?.token).toBe('ffffffff');
    expect(world.host()?.spec.claim?.for).toBe('Machine');
  });

  it('of a free host only takes the owner that it saw', async () => {
    host.occupants = [...NODE];
    host.owner = { token: 'aaaaaaaa', generation: 7 };
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
    world.editHost('h1', ({ metadata }) => {
      metadata.annotations = { 'infrastructure.cluster.x-k8s.io/clean': '' };
    });
    await world.reconcile();
    world.hosts.after = ({ verb }) => {
      if (verb === 'probe') host.owner = { token: 'ffffffff', generation: 8 };
    };
    await world.reconcile().catch(() => {});
    expect(cleanJobs()).toEqual([]);
    world.hosts.after = () => {};
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(1);
  });
});

describe('a machine is not gone while something of it may run', () => {
  it('adopted, though the host still names an owner of a former life', async () => {
    world.addHost('h1', { adopt: true });
    world.addMachine('m1', { adopt: true });
    host.occupants = [...NODE];
    host.owner = { token: 'ffffffff', generation: 9 };
    await world.reconcile();
    world.claim();
    await world.reconcile();
    expect(world.status().state).toBe('Provisioned');
    world.release();
    await world.reconcile();
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(1);
    expect(world.host()?.spec.claim?.for).toBe('Machine');
  });

  it('in the middle of its bootstrap, though somebody deleted our folder', async () => {
    await world.reconcile();
    world.claim();
    await world.reconcile();
    await world.reconcile();
    host.jobs.clear();
    host.owner = undefined;
    host.occupants = [...NODE];
    world.release();
    await world.reconcile();
    await world.reconcile();
    expect(cleanJobs()).toHaveLength(1);
    expect(world.host()?.spec.claim?.for).toBe('Machine');
  });
});

it('a bootstrap whose journal was lost does not run twice', async () => {
  await world.reconcile();
  world.claim();
  await world.reconcile();
  await world.reconcile();
  host.finish('failed');
  host.jobs.clear();
  await world.reconcile();
  expect(world.hosts.launches).toHaveLength(1);
  expect(world.status().error).toMatchObject({ reason: 'BootstrapInterrupted' });
});
