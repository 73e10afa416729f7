// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { FACTS } from '../../test/fake-hosts.ts';
import { HostWorld } from '../../test/host-world.ts';

const ADDRESS = '10.0.0.100';
const SHARED = {
  controlPlaneLoadBalancer: { type: 'VirtualIP' as const },
  controlPlaneEndpoint: { host: ADDRESS, port: 6443 },
};
const CA = { namespace: 'ns', name: 'c1-ca' };

let world: HostWorld;

beforeEach(async () => {
  world = new HostWorld();
  world.tsCluster(SHARED);
  putCA('key of the CA');
  for (const number of [1, 2, 3]) await host(`h${number}`, `10.0.0.${number}`);
});

function putCA(key: string): void {
  const data = { 'tls.key': Buffer.from(key).toString('base64') };
  world.api.put<Secret>({ ...SecretKind, metadata: CA, data });
}

/** A host with an address of its own, Available. */
async function host(name: string, address: string): Promise<void> {
  const ssh = { address, credentialsRef: { name: 'ssh' }, hostKeys: ['ssh-ed25519 AAAAPinned'] };
  world.addHost(name, { ssh });
  await world.reconcile(name);
}

/** A control plane machine `m<n>` that has claimed the host `h<n>`. */
function claim(name: string): void {
  const machine = name.replace('h', 'm');
  world.addMachine(machine, { controlPlane: true });
  world.claim(name, machine);
}

async function settle(...names: string[]): Promise<void> {
  for (let round = 0; round < 4; round++) for (const name of names) await world.reconcile(name);
}

/** A control plane that is there; the first of the names is asked first. */
async function provision(...names: string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    claim(name);
    await settle(...names.slice(0, index + 1));
    world.hosts.of(`ns/${name}`).finish();
    await settle(...names.slice(0, index + 1));
    expect(world.status(name).state).toBe('Provisioned');
  }
}

const told = (name: string) => world.hosts.of(`ns/${name}`).virtualIP;
const peersOf = (name: string) => world.status(name).virtualIP?.peers;
const calls = (name: string) => world.hosts.count('virtualIP', `ns/${name}`);
const message = (name: string) => world.condition('Ready', name)?.message;

function editStatus(name: string, status: TSHost['status']): void {
  world.editHost(name, (object) => void (object.status = { ...object.status, ...status }));
}

describe('the first host of a control plane', () => {
  it('is told before its bootstrap, and starts alone', async () => {
    claim('h1');
    await settle('h1');
    expect(world.status('h1')).toMatchObject({
      state: 'Bootstrapping',
      virtualIP: { address: ADDRESS, peers: [] },
    });
    expect(told('h1')).toMatchObject({
      ...{ address: ADDRESS, port: 6443, own: '10.0.0.1', peers: [], routerID: 100, start: true },
      password: expect.stringMatching(/^[\w-]{8}$/) as string,
    });
    expect(world.violations()).toEqual([]);
  });

  it('is written down as configured before it is started', async () => {
    claim('h1');
    await world.reconcile('h1');
    expect(told('h1')).toMatchObject({ start: false });
    expect(world.status('h1')).toMatchObject({ state: 'Claimed', virtualIP: { peers: [] } });
  });

  it('waits for the Secret that its password is made from', async () => {
    world.api.remove(SecretKind, CA);
    claim('h1');
    await settle('h1');
    expect(world.status('h1').state).toBe('Claimed');
    expect(world.condition('Ready', 'h1')).toMatchObject({
      reason: 'WaitingForVirtualIP',
      message: 'Waiting for Secret ns/c1-ca with tls.key',
    });
    expect(calls('h1')).toBe(0);
    putCA('key of the CA');
    await settle('h1');
    expect(world.status('h1').state).toBe('Bootstrapping');
  });

  it('takes the router id that the cluster gives', async () => {
    const balancer = { ...SHARED.controlPlaneLoadBalancer, virtualIP: { routerID: 7 } };
    world.tsCluster({ ...SHARED, controlPlaneLoadBalancer: balancer });
    claim('h1');
    await settle('h1');
    expect(told('h1')?.routerID).toBe(7);
  });

  it('says what a person has to mend, and tries again by itself', async () => {
    world.hosts.before = ({ verb }) => {
      if (verb === 'virtualIP') throw new TerminalError('VirtualIPFailed', '10.0.0.100 is in use already');
    };
    claim('h1');
    const outcome = await world.reconcile('h1');
    expect(outcome).toMatchObject({ kind: 'wait', ms: 60_000 });
    expect(world.status('h1')).toMatchObject({
      state: 'Claimed',
      error: { reason: 'VirtualIPFailed', message: '10.0.0.100 is in use already' },
    });
    world.hosts.before = () => {};
    await settle('h1');
    expect(world.status('h1').state).toBe('Bootstrapping');
    expect(world.status('h1').error).toBeUndefined();
  });

  it('gets its right to the address back when a reboot ends the bootstrap in the middle', async () => {
    claim('h1');
    await settle('h1');
    const before = calls('h1');
    world.hosts.of('ns/h1').interrupt();
    await world.reconcile('h1');
    expect(calls('h1')).toBe(before + 1);
    expect(told('h1')?.start).toBe(true);
  });
});

it.each([
  { name: 'a worker', controlPlane: false, spec: SHARED },
  {
    name: 'a control plane with an endpoint of its own',
    controlPlane: true,
    spec: { controlPlaneLoadBalancer: { type: 'External' as const } },
  },
])('has no part in an address: $name', async ({ controlPlane, spec }) => {
  world.tsCluster(spec);
  world.addMachine('m1', { controlPlane });
  world.claim();
  await settle('h1');
  expect(world.status('h1').state).toBe('Bootstrapping');
  expect(world.hosts.count('virtualIP')).toBe(0);
});

describe('another host', () => {
  beforeEach(() => provision('h1'));

  it('starts only when those that are in know it', async () => {
    claim('h2');
    await settle('h2');
    expect(world.status('h2').state).toBe('Claimed');
    expect(message('h2')).toBe('Waiting for h1 to take the host in as one that shares the address');
    expect(told('h2')).toMatchObject({ start: false, peers: ['10.0.0.1'] });
    await world.reconcile('h1');
    expect(told('h1')).toMatchObject({ start: true, peers: ['10.0.0.2'] });
    await settle('h2');
    expect(world.status('h2').state).toBe('Bootstrapping');
    expect(told('h2')).toMatchObject({ start: true, peers: ['10.0.0.1'], password: told('h1')?.password });
  });

  it('asks no host while it waits', async () => {
    claim('h2');
    await settle('h2');
    const before = world.hosts.count('virtualIP');
    await settle('h2');
    expect(world.hosts.count('virtualIP')).toBe(before);
  });

  it('does not believe a cache that is behind', async () => {
    claim('h2');
    await world.reconcile('h2');
    const stale = world.cache();
    const peek = stale.peek.bind(stale);
    stale.peek = (kind, name) => {
      const found = peek(kind, name);
      const virtualIP = { address: ADDRESS, peers: ['10.0.0.2'], configHash: 'x' };
      const isFirst = found?.kind === 'TSHost' && name.name === 'h1';
      return isFirst ? Object.assign(structuredClone(found), { status: { virtualIP } }) : found;
    };
    await world.manager({ cache: stale }).reconcile('h2');
    expect(world.status('h2').state).toBe('Claimed');
    expect(told('h2')?.start).toBe(false);
  });

  it('does not wait for one that cannot be reached', async () => {
    editStatus('h1', { operationalStatus: 'Unreachable' });
    claim('h2');
    await settle('h2');
    expect(world.status('h2').state).toBe('Bootstrapping');
  });

  it('says why one that it waits for does not take it in', async () => {
    world.editHost('h1', (object) => void (object.spec.maintenance = true));
    claim('h2');
    await settle('h2', 'h1');
    expect(message('h2')).toBe(
      'Waiting for h1 (in maintenance) to take the host in as one that shares the address',
    );
  });

  it('that comes at the same moment as a third knows it, and is known by it', async () => {
    claim('h2');
    claim('h3');
    await settle('h2', 'h3', 'h1');
    expect(peersOf('h1')).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(peersOf('h2')).toEqual(['10.0.0.1', '10.0.0.3']);
    expect(peersOf('h3')).toEqual(['10.0.0.1', '10.0.0.2']);
    for (const name of ['h2', 'h3']) expect(world.status(name).state).toBe('Bootstrapping');
  });
});

describe('a control plane of three', () => {
  beforeEach(() => provision('h1', 'h2', 'h3'));

  it('is told nothing, and writes nothing, while nothing changes', async () => {
    const [told, writes] = [world.hosts.count('virtualIP'), world.api.writes.length];
    await settle('h1', 'h2', 'h3');
    expect([world.hosts.count('virtualIP'), world.api.writes.length]).toEqual([told, writes]);
  });

  it('is told again on schedule, since somebody may have changed it by hand', async () => {
    const before = calls('h1');
    await world.clock.advance(13 * 60_000);
    await world.reconcile('h1');
    expect(calls('h1')).toBe(before + 1);
  });

  it('crashed after a host was told: the next pass tells it the same', async () => {
    editStatus('h1', { virtualIP: { address: ADDRESS, peers: [], configHash: 'old' } });
    world.hosts.after = ({ verb }) => {
      if (verb === 'virtualIP') throw new Error('killed');
    };
    await expect(world.reconcile('h1')).rejects.toThrow('killed');
    const first = told('h1');
    world.hosts.after = () => {};
    world.restart();
    await world.reconcile('h1');
    expect(told('h1')).toEqual(first);
    expect(peersOf('h1')).toEqual(['10.0.0.2', '10.0.0.3']);
  });

  it('keeps a host that is given back until it is clean: it would hear nobody any more', async () => {
    world.release('h3');
    await settle('h3', 'h1', 'h2');
    expect(world.hosts.launches.at(-1)).toMatchObject({ host: 'ns/h3', kind: 'clean' });
    expect(peersOf('h1')).toEqual(['10.0.0.2', '10.0.0.3']);
    world.hosts.of('ns/h3').finish();
    await settle('h3', 'h1', 'h2');
    expect(world.status('h3')).toMatchObject({ state: 'Available' });
    expect(world.status('h3').virtualIP).toBeUndefined();
    expect(peersOf('h1')).toEqual(['10.0.0.2']);
    expect(told('h2')).toMatchObject({ peers: ['10.0.0.1'], start: true });
  });

  it('lets another one in while a host is being given back', async () => {
    await host('h4', '10.0.0.4');
    world.release('h3');
    await settle('h3', 'h1', 'h2');
    expect(world.status('h3').state).toBe('Releasing');
    claim('h4');
    await settle('h4', 'h1', 'h2', 'h3');
    expect(world.status('h4').state).toBe('Bootstrapping');
  });

  it('drops a host that was given up without proof', async () => {
    world.api.remove(TSMachineKind, { namespace: 'ns', name: 'm3' });
    world.editHost('h3', ({ spec }) => void (spec.claim = { generation: 1 }));
    await settle('h1');
    expect(peersOf('h1')).toEqual(['10.0.0.2']);
  });

  it.each([
    { name: 'in maintenance', given: () => world.editHost('h1', ({ spec }) => (spec.maintenance = true)) },
    { name: 'of a paused Cluster', given: () => world.cluster({ paused: true }) },
  ])('leaves a host alone that is $name', async ({ given }) => {
    editStatus('h1', { virtualIP: { address: ADDRESS, peers: [], configHash: 'old' } });
    given();
    const before = calls('h1');
    await settle('h1');
    expect(calls('h1')).toBe(before);
  });

  it('says what is wrong with a host that cannot be told, and does so until it can', async () => {
    editStatus('h1', { virtualIP: { address: ADDRESS, peers: [], configHash: 'old' } });
    world.hosts.before = ({ verb }) => {
      if (verb === 'virtualIP') throw new TerminalError('VirtualIPFailed', 'keepalived does not run');
    };
    await settle('h1');
    expect(world.status('h1')).toMatchObject({ state: 'Provisioned', error: { reason: 'VirtualIPFailed' } });
    world.hosts.before = () => {};
    await world.reconcile('h1');
    expect(world.status('h1').error).toBeUndefined();
  });

  it('is told the same after a move that lost every status', async () => {
    const before = told('h1');
    for (const name of ['h1', 'h2', 'h3']) world.move(name);
    await settle('h1', 'h2', 'h3');
    expect(told('h1')).toEqual(before);
    expect(world.status('h1')).toMatchObject({ state: 'Provisioned', virtualIP: { address: ADDRESS } });
  });

  it('is left as it is while the address of a host is not known', async () => {
    world.editHost('h2', (object) => {
      object.spec.ssh.address = 'h2.example.org';
      delete object.status;
    });
    const before = calls('h1');
    await settle('h1');
    expect(calls('h1')).toBe(before);
    expect(world.status('h1').state).toBe('Provisioned');
    const nics = [{ name: 'eth0', mac: '02:00:00:00:00:02', addresses: ['10.0.0.22'] }];
    world.hosts.of('ns/h2').facts = { ...FACTS, hardware: { nics } };
    await settle('h2', 'h1');
    expect(peersOf('h1')).toEqual(['10.0.0.22', '10.0.0.3'].toSorted());
  });
});
