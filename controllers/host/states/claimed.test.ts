// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { MachineKind, SecretKind, TSMachineKind } from '../../../api/kinds.ts';
import { PAUSED_ANNOTATION, TSMACHINE_FINALIZER } from '../../../api/labels.ts';
import { hostProviderID } from '../../../api/provider-id.ts';
import { instanceIDOf } from '../../../backends/host-inventory.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { FACTS, NODE } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

const KEY = 'ns/h1';
const M1 = { namespace: 'ns', name: 'm1' };

let world: HostWorld;
beforeEach(async () => {
  world = new HostWorld();
  world.addHost();
  await world.reconcile();
});

const ready = (): string => {
  const condition = world.condition('Ready');
  return `${condition?.reason ?? ''}: ${condition?.message ?? ''}`;
};

/** Nothing was begun on the host, however often somebody looked at it. */
function expectUntouched(): void {
  expect(world.hosts.launches).toEqual([]);
  expect(world.hosts.count('bootstrap')).toBe(0);
}

function otherHost(): void {
  const machine = world.machine();
  if (machine === undefined) throw new Error('no machine');
  const name = { namespace: 'ns', name: 'h2', instanceID: instanceIDOf('token-m1') };
  machine.spec.providerID = hostProviderID(name);
  world.api.put(machine);
}

describe('a host that was claimed', () => {
  it('becomes the machine once both name each other', async () => {
    world.addMachine();
    world.claim();
    await world.reconcile();
    expect(world.status()).toMatchObject({
      state: 'Bootstrapping',
      operation: {
        id: `bootstrap-1-${instanceIDOf('token-m1')}`,
        kind: 'Bootstrap',
        attempt: 1,
        step: 'start',
      },
    });
    expect(world.hosts.launches).toHaveLength(1);
    expect(world.hosts.of(KEY).owner).toEqual({ token: instanceIDOf('token-m1'), generation: 1 });
    expect(world.violations()).toEqual([]);
  });

  const waits: { name: string; given: () => void; says: string }[] = [
    {
      name: 'the machine names no host yet',
      given: () => world.claim('h1', 'm1', { agree: false }),
      says: 'HostClaimed: Waiting for TSMachine ns/m1 to name the host in spec.providerID',
    },
    {
      name: 'the TSMachine is gone',
      given: () => {
        world.claim();
        world.api.remove(TSMachineKind, M1);
      },
      says: 'MachineMissing: TSMachine ns/m1, which claimed the host, does not exist; nothing is done with the host',
    },
    {
      name: 'the TSMachine is another one of the name',
      given: () => {
        world.claim();
        world.api.remove(TSMachineKind, M1);
        const other = world.addMachine();
        other.spec.createIntent = { attempt: 1, clientToken: 'another', requestHash: 'h' };
        world.api.put(other);
      },
      says: 'MachineMissing: TSMachine ns/m1, which claimed the host, is another one of the same name',
    },
    {
      name: 'the machine is being deleted',
      given: () => {
        world.claim();
        const machine = world.machine();
        if (machine === undefined) throw new Error('no machine');
        machine.metadata.finalizers = [TSMACHINE_FINALIZER];
        world.api.put(machine);
        world.api.remove(TSMachineKind, M1);
      },
      says: 'HostClaimed: The machine is being deleted; waiting for it to give the host back',
    },
    {
      name: 'the Cluster is paused',
      given: () => {
        world.claim();
        world.cluster({ paused: true });
      },
      says: 'HostClaimed: Left alone: Cluster spec.paused is set to true',
    },
    {
      name: 'the TSMachine is paused',
      given: () => {
        world.claim();
        const machine = world.machine();
        if (machine === undefined) throw new Error('no machine');
        machine.metadata.annotations = { [PAUSED_ANNOTATION]: '' };
        world.api.put(machine);
      },
      says: `HostClaimed: Left alone: TSMachine has the ${PAUSED_ANNOTATION} annotation`,
    },
    {
      name: 'the Machine is not known yet',
      given: () => {
        world.claim();
        world.api.remove(MachineKind, M1);
      },
      says: 'HostClaimed: Waiting for the Machine',
    },
    {
      name: 'the host is in maintenance',
      given: () => {
        world.claim();
        world.editHost('h1', ({ spec }) => void (spec.maintenance = true));
      },
      says: 'HostInMaintenance: ',
    },
    {
      name: 'something of a cluster is on the host',
      given: () => {
        world.claim();
        world.hosts.of(KEY).occupants = [...NODE];
      },
      says: 'HostDirty: Something of a cluster is on the host: kubelet (pid 812)',
    },
    {
      name: 'the host belongs to an earlier claim',
      given: () => {
        world.claim();
        world.hosts.of(KEY).owner = { token: 'ffffffff', generation: 9 };
      },
      says: 'HostDirty: Something of a cluster is on the host: /var/lib/ts-provider',
    },
    {
      name: 'its software is missing',
      given: () => {
        world.claim();
        world.hosts.of(KEY).facts = { ...FACTS, software: { containerd: '2.1.0' } };
      },
      says: 'HostNotPrepared: The host has no kubeadm, no kubelet',
    },
    {
      name: 'its software is of another minor',
      given: () => {
        world.addMachine('m1', { version: 'v1.35.1' });
        world.claim();
      },
      says: 'HostNotPrepared: The host has kubeadm v1.36.3 and kubelet v1.36.3 where the Machine asks for v1.35.1',
    },
  ];

  it.each(waits)('waits while $name', async ({ given, says }) => {
    world.addMachine();
    given();
    await world.reconcile();
    expect(world.status().state).toBe('Claimed');
    expect(ready()).toContain(says);
    expectUntouched();

    const writes = world.api.writes.length;
    await world.reconcile();
    expect(world.api.writes).toHaveLength(writes);
    expectUntouched();
  });

  it('is taken back untouched when its machine took another host', async () => {
    world.addMachine();
    world.claim();
    otherHost();
    const calls = world.hosts.calls.length;
    await world.reconcile();
    const claim = world.host()?.spec.claim;
    expect(claim).toEqual({ generation: 1, previous: instanceIDOf('token-m1') });
    expect(world.host()?.metadata.finalizers ?? []).toEqual([]);
    expect(world.status().state).toBe('Available');
    const verbs = world.hosts.calls.slice(calls).map(({ verb }) => verb);
    expect(new Set(verbs)).toEqual(new Set(['probe']));
  });

  it('tells of another patch version, and takes it', async () => {
    world.addMachine('m1', { version: 'v1.36.9' });
    world.claim();
    await world.reconcile();
    expect(world.status().state).toBe('Bootstrapping');
    const told = world.events.filter(({ reason }) => reason === 'PatchVersionDiffers');
    expect(told).toHaveLength(1);
    expect(told[0]?.note).toContain('kubeadm v1.36.3 and kubelet v1.36.3');
  });
});

describe('a host that is to be adopted', () => {
  beforeEach(() => {
    world.editHost('h1', ({ spec }) => void (spec.adopt = true));
    world.addMachine('m1', { adopt: true });
    world.claim();
  });

  it('is taken over with its Node, and nothing is started on it', async () => {
    world.hosts.of(KEY).occupants = [...NODE];
    await world.reconcile();
    expect(world.status().state).toBe('Provisioned');
    expect(world.hosts.launches).toEqual([]);
  });

  it('waits for a Node to run on it', async () => {
    await world.reconcile();
    expect(world.status().state).toBe('Claimed');
    expect(ready()).toContain('no Node runs on it');
    expect(world.hosts.launches).toEqual([]);
  });
});

describe('a bootstrap', () => {
  beforeEach(async () => {
    world.addMachine();
    world.claim();
    await world.reconcile();
  });

  it('is asked how far it is, without its data, and each stage is written once', async () => {
    const writes = world.api.writes.length;
    await world.reconcile();
    await world.reconcile();
    expect(world.api.writes).toHaveLength(writes);
    world.hosts.of(KEY).step('runcmd');
    await world.reconcile();
    await world.reconcile();
    expect(world.status().operation?.step).toBe('runcmd');
    expect(world.api.writes).toHaveLength(writes + 1);
    expect(world.hosts.count('bootstrap')).toBe(1);
  });

  it('that succeeded makes the host Provisioned', async () => {
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Provisioned', operationalStatus: 'OK' });
    expect(world.status().operation).toBeUndefined();
    expect(world.status().occupants).toBeUndefined();
    const writes = world.api.writes.length;
    await world.reconcile();
    expect(world.api.writes).toHaveLength(writes);
  });

  it.each([
    { message: 'kubeadm: it broke', reason: 'BootstrapFailed' },
    { message: 'Interrupted: a reboot or a kill ended it', reason: 'BootstrapInterrupted' },
    { message: 'TimedOut: the time of the job was over', reason: 'BootstrapTimedOut' },
  ])('that failed stays, with $reason', async ({ message, reason }) => {
    const job = world.hosts.of(KEY).running?.[1];
    if (job === undefined) throw new Error('no job');
    job.progress = { state: 'failed', stage: 'runcmd', exitCode: 1, message };
    await world.reconcile();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Bootstrapping', error: { reason } });
    const told = world.status().error?.message;
    expect(told).toContain(`Stage runcmd failed with exit code 1: ${message}`);
    expect(told).toContain('delete the Machine to have it replaced');
    expect(world.hosts.count('bootstrap')).toBe(1);
  });

  it('that stopped in a reboot is started again, and not while the Cluster is paused', async () => {
    const job = world.hosts.of(KEY).running?.[1];
    if (job === undefined) throw new Error('no job');
    job.progress = { state: 'running', stage: 'runcmd', message: 'step 2 of 3', stopped: true };
    world.cluster({ paused: true });
    await world.reconcile();
    expect(world.status().state).toBe('Bootstrapping');
    expect(world.hosts.count('bootstrap')).toBe(1);
    world.cluster();
    await world.reconcile();
    expect(world.hosts.count('bootstrap')).toBe(2);
    expect(world.violations()).toEqual([]);
  });

  it('goes on, though nothing new is started, while its machine is gone', async () => {
    world.api.remove(TSMachineKind, M1);
    world.hosts.of(KEY).finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Provisioned', error: { reason: 'MachineMissing' } });
    expect(world.hosts.launches).toHaveLength(1);
  });
});

describe('bootstrap data', () => {
  beforeEach(() => {
    world.addMachine();
    world.claim();
  });

  const secret = (data: Record<string, string>) =>
    world.api.put({ ...SecretKind, metadata: { namespace: 'ns', name: 'm1-bootstrap' }, data });

  it('that are missing are waited for, and the Secret is named', async () => {
    world.api.remove(SecretKind, { namespace: 'ns', name: 'm1-bootstrap' });
    await world.reconcile();
    expect(world.status().error?.reason).toBe('BootstrapDataMissing');
    expect(world.status().error?.message).toContain('Secret ns/m1-bootstrap');
    expectUntouched();
    secret({ value: Buffer.from('#cloud-config').toString('base64') });
    await world.reconcile();
    expect(world.hosts.launches).toHaveLength(1);
    expect(world.status().error).toBeUndefined();
  });

  it('that are wrong are refused, and nothing of them is told', async () => {
    const canary = 'hunter2-canary';
    const encoded = Buffer.from(canary).toString('base64');
    secret({ value: encoded, format: encoded });
    await world.reconcile();
    expect(world.status().error?.reason).toBe('BootstrapDataInvalid');
    expect(JSON.stringify([world.host(), world.events])).not.toMatch(new RegExp(`${canary}|${encoded}`));
    expectUntouched();
  });

  it('that the host cannot follow are refused by name', async () => {
    world.hosts.before = ({ verb }) => {
      if (verb === 'bootstrap')
        throw new TerminalError('BootstrapDataUnsupported', 'packages is not supported');
    };
    await expect(world.reconcile()).rejects.toThrow('packages is not supported');
    expect(world.status()).toMatchObject({ error: { reason: 'BootstrapDataUnsupported' } });
    expectUntouched();
    world.release();
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    expectUntouched();
  });
});

describe('what changed behind our cache', () => {
  it.each<{ name: string; change: () => void }>([
    { name: 'maintenance', change: () => world.editHost('h1', ({ spec }) => void (spec.maintenance = true)) },
    { name: 'a release', change: () => world.release() },
    { name: 'another claim', change: () => void world.claim('h1', 'm2', { agree: false }) },
  ])('$name: nothing is started', async ({ change }) => {
    world.addMachine();
    world.addMachine('m2');
    world.claim();
    world.hosts.after = ({ verb }) => {
      world.hosts.after = () => {};
      if (verb === 'probe') change();
    };
    await expect(world.reconcile()).rejects.toThrow();
    expectUntouched();
    await world.reconcile().catch(() => {});
    expect(world.violations()).toEqual([]);
  });

  it('no machine on the way out begins: its deletion is seen past the cache', async () => {
    world.addMachine();
    world.claim();
    world.hosts.after = ({ verb }) => {
      if (verb === 'probe') world.api.remove(TSMachineKind, M1);
    };
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Claimed', error: { reason: 'MachineMissing' } });
    expectUntouched();
  });
});
