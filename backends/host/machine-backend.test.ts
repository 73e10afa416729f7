// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { TSHostStatus } from '../../api/tshost.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { TransientError } from '../../runtime/errors.ts';
import type { BootstrapData, MachineFacts } from '../backend.ts';
import { type BackendUnderTest, backendContract } from '../contract.ts';
import { type HostInventory, instanceIDOf, type InventoryHost } from '../host-inventory.ts';
import {
  advanceHosts,
  availableStatus,
  contextOf,
  FakeInventory,
  hostNamed,
  machineNamed,
} from './inventory.fixtures.ts';
import { createHostBackend } from './machine-backend.ts';

const bootstrapData: BootstrapData = { format: 'cloud-config', value: Buffer.from('#cloud-config\n') };
const ctx = contextOf(new FakeClock());

backendContract('hosts', async (): Promise<BackendUnderTest> => {
  const hosts = Array.from({ length: 12 }, (_, i) => hostNamed(`h-${i}`, { address: `10.0.0.${i}` }));
  const inventory = new FakeInventory(hosts.map((host) => ({ ...host, status: statusOf(host) })));
  const newMachine = (overrides: Partial<MachineFacts> = {}) =>
    machineNamed(`m-${randomUUID()}`, { intent: undefined, ...overrides });
  return {
    ctx,
    backend: createHostBackend({ inventory: inventory.handle() }),
    other: createHostBackend({ inventory: inventory.handle() }),
    newMachine,
    bootstrapData,
    badInput: [
      { name: 'no settings', machine: newMachine({ spec: {} }), reason: 'InvalidMachine' },
      {
        name: 'a size that is none',
        machine: newMachine({ spec: { host: { selector: { minDisk: 'huge' } } } }),
        reason: 'InvalidMachine',
      },
      {
        name: 'no bootstrap data',
        machine: newMachine(),
        bootstrapData: { format: 'cloud-config', value: Buffer.alloc(0) },
        reason: 'BootstrapDataInvalid',
      },
      {
        name: 'Ignition',
        machine: newMachine(),
        bootstrapData: { format: 'ignition', value: Buffer.from('{}') },
        reason: 'BootstrapDataUnsupported',
      },
    ],
    countInstances: async () => inventory.claims.size,
    settle: async () => {
      for (let step = 0; step < 3; step++) advanceHosts(inventory);
    },
    close: async () => {},
  };
});

function statusOf({ name, address }: InventoryHost): TSHostStatus {
  const nics = [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses: [address] }];
  const status = availableStatus({ hostname: name });
  return { ...status, hardware: { ...status.hardware, nics } };
}

/** A machine that has host `rack-a-07`, in this state. */
function held(status: TSHostStatus = {}, overrides: Partial<InventoryHost> = {}) {
  const machine = machineNamed('m');
  const token = machine.intent!.clientToken;
  const claim = {
    generation: 3,
    for: 'Machine' as const,
    machine: { namespace: 'default', name: 'm', uid: machine.uid },
    clientToken: token,
    requestHash: 'hash',
  };
  const host = hostNamed('rack-a-07', { claim, status: availableStatus(status), ...overrides });
  const inventory = new FakeInventory([host]);
  const providerID = `tshost://default/rack-a-07/${instanceIDOf(token)}`;
  const backend = createHostBackend({ inventory: inventory.handle() });
  return { machine, inventory, backend, providerID, named: { ...machine, providerID } };
}

const since = '2026-01-01T00:00:00Z';
const failure = (reason: string) => ({ error: { reason, message: 'runcmd ended with 1', since } });

describe('what a host says becomes what the machine is', () => {
  const operation = { id: 'bootstrap-3', kind: 'Bootstrap' as const, attempt: 1, startedAt: since };
  it.each([
    { status: {}, state: 'pending', message: 'Host rack-a-07: Available' },
    { status: { state: 'Claimed' }, state: 'pending', message: 'Host rack-a-07: Claimed' },
    {
      status: { state: 'Claimed', ...failure('HostDirty') },
      state: 'pending',
      reason: 'HostDirty',
      message: 'Host rack-a-07: Claimed; runcmd ended with 1',
    },
    {
      status: { state: 'Claimed', ...failure('BootstrapDataUnsupported') },
      state: 'failed',
      reason: 'BootstrapDataUnsupported',
      message: 'Host rack-a-07: runcmd ended with 1',
    },
    {
      status: {
        ...{ state: 'Preparing', ...failure('ChecksumMismatch') },
        operation: { ...operation, kind: 'Prepare', step: 'kubernetes' },
      },
      state: 'pending',
      reason: 'ChecksumMismatch',
      message: 'Host rack-a-07: Preparing, step kubernetes; runcmd ended with 1',
    },
    {
      status: { state: 'Bootstrapping', operation: { ...operation, step: 'runcmd (7 of 9)' } },
      state: 'pending',
      message: 'Host rack-a-07: Bootstrapping, step runcmd (7 of 9)',
    },
    {
      status: { state: 'Bootstrapping', operationalStatus: 'Unreachable' },
      state: 'pending',
      message: 'Host rack-a-07: Bootstrapping; it cannot be reached',
    },
    ...['BootstrapFailed', 'BootstrapInterrupted', 'BootstrapTimedOut'].map((reason) => ({
      status: { state: 'Bootstrapping' as const, ...failure(reason) },
      state: 'failed',
      reason,
      message: 'Host rack-a-07: runcmd ended with 1',
    })),
    { status: { state: 'Provisioned' }, state: 'running', message: 'Host rack-a-07: Provisioned' },
    {
      status: { state: 'Provisioned', operationalStatus: 'Unreachable' },
      state: 'running',
      message: 'Host rack-a-07: Provisioned; it cannot be reached',
    },
    {
      status: { state: 'Provisioned', ...failure('BootstrapFailed') },
      state: 'running',
      message: 'Host rack-a-07: Provisioned; runcmd ended with 1',
    },
    { status: { state: 'Releasing' }, state: 'stopped', message: 'Host rack-a-07: Releasing' },
    { status: { state: 'Cleaning' }, state: 'stopped', message: 'Host rack-a-07: Cleaning' },
    { status: { state: 'Quarantined' }, state: 'stopped', message: 'Host rack-a-07: Quarantined' },
  ] satisfies { status: TSHostStatus; state: string; reason?: string; message: string }[])(
    '$state: $message',
    async ({ status, ...want }: { status: TSHostStatus; state: string; message: string }) => {
      const { backend, named, providerID } = held(status);
      const seen = await backend.observe(ctx, named);
      expect(seen).toMatchObject({ ...want, providerID, pollMs: 60_000 });
    },
  );

  it('is pending where a move has lost the status', async () => {
    const { backend, named } = held({}, { status: {} });
    expect(await backend.observe(ctx, named)).toMatchObject({ state: 'pending', addresses: [{}] });
  });

  it.each([
    {
      message: '2 of 2 hosts of pool x are being cleaned',
      want: 'Host rack-a-07: Claimed; 2 of 2 hosts of pool x are being cleaned',
    },
    { message: 'TSMachine default/m', want: 'Host rack-a-07: Claimed' },
    { message: '', want: 'Host rack-a-07: Claimed' },
  ])('says what the TSHost waits for: $message', async ({ message, want }) => {
    const ready = {
      type: 'Ready',
      status: 'False' as const,
      reason: 'HostClaimed',
      lastTransitionTime: since,
    };
    const { backend, named } = held({ state: 'Claimed', conditions: [{ ...ready, message }] });
    expect(await backend.observe(ctx, named)).toMatchObject({ message: want });
  });

  it.each([
    { address: '10.9.0.7', want: ['Hostname node', 'InternalIP 10.9.0.7', 'InternalIP 10.0.0.1'] },
    { address: '10.0.0.1', want: ['Hostname node', 'InternalIP 10.0.0.1'] },
    { address: 'rack-a-07.example.org', want: ['Hostname node', 'InternalIP 10.0.0.1'] },
    { address: 'fd00::7', want: ['Hostname node', 'InternalIP fd00::7', 'InternalIP 10.0.0.1'] },
  ])('has the addresses of $address and of its interfaces', async ({ address, want }) => {
    const { backend, named } = held({ state: 'Provisioned' }, { address, failureDomain: 'rack-a' });
    const seen = await backend.observe(ctx, named);
    const addresses = seen.state === 'absent' ? [] : seen.addresses;
    expect(addresses.map((one) => `${one.type} ${one.address}`)).toEqual(want);
    expect(seen).toMatchObject({ failureDomain: 'rack-a' });
  });
});

describe('identity', () => {
  it('stays after a move, and the claim gets the new UID, once', async () => {
    const { backend, named, inventory } = held({ state: 'Provisioned' });
    const moved = { ...named, uid: 'another' };
    expect(await backend.observe(ctx, moved)).toMatchObject({ state: 'running' });
    const renewed = inventory.get('rack-a-07')!;
    expect(renewed.claim).toMatchObject({ generation: 3, machine: { uid: 'another' } });
    await backend.observe(ctx, moved);
    expect(inventory.get('rack-a-07')).toBe(renewed);
  });

  it('is not made a second time where the claim has it but the machine does not', async () => {
    const { backend, machine, inventory } = held({ state: 'Claimed' });
    inventory.put(hostNamed('free'));
    expect(await backend.create(ctx, machine, machine.intent!, bootstrapData)).toEqual({ state: 'started' });
    expect(inventory.get('free')?.claim).toBeUndefined();
  });

  it('says what to do when the TSHost is gone altogether', async () => {
    const { backend, named, inventory } = held();
    inventory.delete('rack-a-07');
    const message = expect.stringContaining('default/rack-a-07') as string;
    await expect(backend.observe(ctx, named)).rejects.toMatchObject({ reason: 'HostMissing', message });
    expect(await backend.destroy(ctx, named)).toEqual({ state: 'gone' });
  });

  it('is lost when somebody else has the host', async () => {
    const { backend, named, inventory } = held();
    const host = inventory.get('rack-a-07')!;
    inventory.put({ ...host, claim: { ...host.claim!, generation: 4, clientToken: 'another' } });
    expect(await backend.observe(ctx, named)).toEqual({ state: 'absent' });
    expect(await backend.destroy(ctx, named)).toEqual({ state: 'gone' });
    expect(inventory.get('rack-a-07')?.claim?.releasing).toBeUndefined();
  });

  it('never leads to a load balancer', async () => {
    const { backend, named, inventory } = held();
    const { claim, ...host } = inventory.get('rack-a-07')!;
    const cluster = claim!.machine!;
    inventory.put({ ...host, claim: { generation: 3, for: 'LoadBalancer', cluster } });
    expect(await backend.destroy(ctx, named)).toEqual({ state: 'gone' });
  });

  it.each(['aws:///eu-central-1a/i-1', 'tshost://default/rack-a-07', 'tsinmemory://i-1'])(
    'refuses %s, yet deletes what the token leads to',
    async (providerID) => {
      const { backend, machine, inventory } = held({ state: 'Provisioned' });
      const odd = { ...machine, providerID };
      await expect(backend.observe(ctx, odd)).rejects.toMatchObject({ reason: 'ProviderIDInvalid' });
      expect(await backend.destroy(ctx, odd)).toMatchObject({ state: 'inProgress' });
      expect(inventory.get('rack-a-07')?.claim?.releasing).toBe(true);
    },
  );

  describe('with two hosts', () => {
    function twice(first: TSHostStatus['state'], second: TSHostStatus['state']) {
      const t = held({ state: second! });
      const { claim } = t.inventory.get('rack-a-07')!;
      const status = availableStatus({ state: first! });
      t.inventory.put(hostNamed('rack-a-01', { claim, status }));
      return t;
    }

    it.each([
      { first: 'Claimed', second: 'Claimed', want: 'rack-a-01' },
      { first: 'Available', second: 'Bootstrapping', want: 'rack-a-07' },
      { first: 'Provisioned', second: 'Claimed', want: 'rack-a-01' },
    ] as const)('is the one that was begun with: $first, $second', async ({ first, second, want }) => {
      const { backend, machine } = twice(first, second);
      const providerID = expect.stringContaining(want) as string;
      expect(await backend.observe(ctx, machine)).toMatchObject({ providerID });
    });

    it('is the one that the providerID names, where the other is untouched', async () => {
      const { backend, named, providerID } = twice('Claimed', 'Claimed');
      expect(await backend.observe(ctx, named)).toMatchObject({ providerID });
    });

    it('stops when both were worked on, and deletes both', async () => {
      const { backend, machine, named, inventory } = twice('Bootstrapping', 'Provisioned');
      for (const one of [machine, named]) {
        const message = expect.stringMatching(/rack-a-0[17] and rack-a-0[17]/) as string;
        await expect(backend.observe(ctx, one)).rejects.toMatchObject({
          reason: 'DuplicateInstances',
          message,
        });
      }
      await backend.destroy(ctx, named);
      expect(inventory.all().map(({ claim }) => claim?.releasing)).toEqual([true, true]);
    });
  });
});

describe('claiming', () => {
  it('takes the next generation, says for whom, and keeps who had the host last', async () => {
    const inventory = new FakeInventory([hostNamed('h', { claim: { generation: 7, previous: '0123abcd' } })]);
    const backend = createHostBackend({ inventory: inventory.handle() });
    const machine = machineNamed('m');
    expect(await backend.create(ctx, machine, machine.intent!, bootstrapData)).toEqual({ state: 'started' });
    expect(inventory.get('h')?.claim).toEqual({
      generation: 8,
      for: 'Machine',
      machine: { namespace: 'default', name: 'm', uid: 'uid-of-m' },
      clientToken: 'token-m',
      requestHash: 'hash',
      previous: '0123abcd',
    });
  });

  it('is put off with the counts when no host fits, without asking the API server', async () => {
    const inventory = new FakeInventory([hostNamed('h', { maintenance: true })]);
    const backend = createHostBackend({ inventory: inventory.handle() });
    const machine = machineNamed('m');
    expect(await backend.create(ctx, machine, machine.intent!, bootstrapData)).toEqual({
      state: 'deferred',
      reason: 'NoHostAvailable',
      message: '1 host: 1 in maintenance',
      pollMs: 60_000,
    });
    expect(inventory.lists).toBe(0);
  });

  it('leaves hosts of other namespaces alone', async () => {
    const inventory = new FakeInventory([hostNamed('h', { namespace: 'other' })]);
    const backend = createHostBackend({ inventory: inventory.handle() });
    const machine = machineNamed('m');
    const created = await backend.create(ctx, machine, machine.intent!, bootstrapData);
    expect(created).toMatchObject({ state: 'deferred', message: 'no TSHost in namespace default' });
  });

  it('chooses anew when its cache is old', async () => {
    const inventory = new FakeInventory([hostNamed('a'), hostNamed('b')]);
    const stale = inventory.handle(true);
    const machines = [machineNamed('m'), machineNamed('n')];
    for (const machine of machines) {
      const backend = createHostBackend({ inventory: stale });
      expect(await backend.create(ctx, machine, machine.intent!, bootstrapData)).toEqual({
        state: 'started',
      });
    }
    const tokens = inventory.all().map(({ claim }) => claim?.clientToken);
    expect(new Set(tokens)).toEqual(new Set(['token-m', 'token-n']));
  });

  it('gives up for this time when others are always faster', async () => {
    const inventory = new FakeInventory([hostNamed('h')]);
    const slow: HostInventory = { ...inventory.handle(), setClaim: async () => undefined };
    const machine = machineNamed('m');
    const created = await createHostBackend({ inventory: slow }).create(
      ctx,
      machine,
      machine.intent!,
      bootstrapData,
    );
    expect(created).toMatchObject({ state: 'deferred', reason: 'NoHostAvailable', pollMs: 1000 });
    expect(inventory.lists).toBe(5);
  });

  it('refuses a token whose machine has had its host', async () => {
    const { backend, machine, inventory } = held({ state: 'Provisioned' });
    await backend.destroy(ctx, machine);
    for (let step = 0; step < 3; step++) advanceHosts(inventory);
    const again = backend.create(ctx, machine, machine.intent!, bootstrapData);
    await expect(again).rejects.toMatchObject({ reason: 'InstanceTerminated' });
  });
});

describe('release', () => {
  it('is asked for once, then told', async () => {
    const { backend, named, inventory } = held({ state: 'Provisioned' });
    expect(await backend.destroy(ctx, named)).toMatchObject({ message: 'Host rack-a-07 is given back' });
    const asked = inventory.get('rack-a-07')!;
    expect(asked.claim).toMatchObject({ generation: 3, releasing: true });
    expect(await backend.destroy(ctx, named)).toMatchObject({ message: 'Host rack-a-07: Provisioned' });
    expect(inventory.get('rack-a-07')).toBe(asked);
    advanceHosts(inventory);
    expect(await backend.destroy(ctx, named)).toMatchObject({ message: 'Host rack-a-07: Releasing' });
  });

  it.each([
    { name: 'an error', status: failure('CleanFailed') },
    { name: 'no way to it', status: { operationalStatus: 'Unreachable' } },
  ] satisfies { name: string; status: TSHostStatus }[])('says the way out of $name', async ({ status }) => {
    const { backend, named, inventory, providerID } = held({ state: 'Cleaning', ...status });
    const host = inventory.get('rack-a-07')!;
    inventory.put({ ...host, claim: { ...host.claim!, releasing: true } });
    const answer = await backend.destroy(ctx, named);
    const hint = `kubectl annotate tshost -n default rack-a-07 infrastructure.cluster.x-k8s.io/force-release=${providerID}`;
    expect(answer).toMatchObject({ state: 'inProgress', message: expect.stringContaining(hint) as string });
  });

  it('is asked for again soon when the host changed at that moment', async () => {
    const { machine, inventory } = held({ state: 'Provisioned' });
    const slow: HostInventory = { ...inventory.handle(), setClaim: async () => undefined };
    const answer = await createHostBackend({ inventory: slow }).destroy(ctx, machine);
    expect(answer).toMatchObject({ state: 'inProgress', pollMs: 1000 });
  });

  it('is not concluded from an old cache', async () => {
    const { machine, inventory } = held({ state: 'Provisioned' });
    const nothing: HostInventory = { ...inventory.handle(), list: () => [] };
    const backend = createHostBackend({ inventory: nothing });
    expect(await backend.destroy(ctx, machine)).toMatchObject({ state: 'inProgress' });
    expect(await backend.observe(ctx, machine)).toMatchObject({ state: 'running' });
  });
});

it('calls an inventory that does not answer an error that may heal', async () => {
  const { machine, inventory } = held();
  const broken: HostInventory = {
    ...inventory.handle(),
    list: () => [],
    listNow: () => Promise.reject(new Error('socket hang up')),
  };
  const backend = createHostBackend({ inventory: broken });
  await expect(backend.observe(ctx, machine)).rejects.toBeInstanceOf(TransientError);
  await expect(backend.destroy(ctx, machine)).rejects.toBeInstanceOf(TransientError);
});
