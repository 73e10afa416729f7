// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostSelector } from '../../api/host.ts';
import type { TSHostStatus } from '../../api/tshost.ts';
import type { MachineFacts } from '../backend.ts';
import type { InventoryHost } from '../host-inventory.ts';
import { availableStatus, hostNamed, machineNamed } from './inventory.fixtures.ts';
import { selectHost } from './select.ts';

function asking(selector: HostSelector, overrides: Partial<MachineFacts> = {}): MachineFacts {
  return machineNamed('m', { spec: { host: { selector } }, ...overrides });
}

function withStatus(status: Partial<TSHostStatus>, overrides: Partial<InventoryHost> = {}): InventoryHost {
  return hostNamed('h', { status: availableStatus(status), ...overrides });
}

function withHardware(hardware: TSHostStatus['hardware'] & object): InventoryHost {
  return withStatus({ hardware: { ...availableStatus().hardware, ...hardware } });
}

function names(machine: MachineFacts, hosts: readonly InventoryHost[]): string[] {
  const selection = selectHost(machine, hosts);
  return 'none' in selection ? [] : selection.ranked.map(({ name }) => name);
}

const anyHost = asking({ minCPU: 1 });
const owner = { namespace: 'default', name: 'other', uid: 'u' };
const claimed = { generation: 1, for: 'Machine' as const, machine: owner, clientToken: 't' };

describe('a host that will do', () => {
  const adopting = machineNamed('m', { spec: { host: { adopt: true } } });
  it.each([
    { name: 'nothing asked', machine: machineNamed('m'), host: hostNamed('h') },
    {
      name: 'nothing asked, nothing measured',
      machine: machineNamed('m'),
      host: hostNamed('h', { status: { state: 'Available', operationalStatus: 'OK' } }),
    },
    {
      name: 'its labels and more',
      machine: asking({ matchLabels: { role: 'worker' } }),
      host: hostNamed('h', { labels: { role: 'worker', rack: 'a' } }),
    },
    { name: 'exactly enough CPUs', machine: asking({ minCPU: 8 }), host: hostNamed('h') },
    { name: 'enough memory', machine: asking({ minMemory: '15Gi' }), host: hostNamed('h') },
    {
      name: 'exactly enough memory',
      machine: asking({ minMemory: '16265340Ki' }),
      host: hostNamed('h'),
    },
    { name: 'one disk that is large enough', machine: asking({ minDisk: '2Ti' }), host: hostNamed('h') },
    { name: 'its architecture', machine: asking({ architecture: 'amd64' }), host: hostNamed('h') },
    {
      name: 'its operating system family',
      machine: asking({ operatingSystem: 'debian' }),
      host: hostNamed('h'),
    },
    { name: 'adoption on both sides', machine: adopting, host: hostNamed('h', { adopt: true }) },
    {
      name: 'it was used before',
      machine: anyHost,
      host: hostNamed('h', { claim: { generation: 4, previous: '0123abcd' } }),
    },
  ])('$name', ({ machine, host }) => {
    expect(names(machine, [host])).toEqual(['h']);
  });
});

describe('a host that will not do is counted under its first reason', () => {
  it.each([
    { host: withStatus({}, { claim: claimed }), reason: 'claimed' },
    {
      host: withStatus({}, { claim: { generation: 1, for: 'LoadBalancer', cluster: owner } }),
      reason: 'claimed',
    },
    { host: withStatus({}, { claim: { ...claimed, releasing: true } }), reason: 'being cleaned' },
    { host: withStatus({ state: 'Releasing' }, { claim: claimed }), reason: 'being cleaned' },
    { host: withStatus({ state: 'Cleaning' }), reason: 'being cleaned' },
    { host: withStatus({ state: 'Quarantined' }), reason: 'quarantined' },
    { host: withStatus({}, { maintenance: true }), reason: 'in maintenance' },
    { host: withStatus({ operationalStatus: 'Maintenance' }), reason: 'in maintenance' },
    { host: withStatus({ operationalStatus: 'Unreachable' }), reason: 'unreachable' },
    { host: withStatus({ state: 'Registering' }), reason: 'not registered yet' },
    { host: hostNamed('h', { status: {} }), reason: 'not registered yet' },
    { host: hostNamed('h', { status: { state: 'Available' } }), reason: 'not registered yet' },
    {
      host: withStatus({
        error: { reason: 'CredentialsRefused', message: 'no', since: '2026-01-01T00:00:00Z' },
      }),
      reason: 'with an error',
    },
    { host: withStatus({}, { deleting: true, claim: claimed }), reason: 'being deleted' },
    { host: withStatus({}, { adopt: true }), reason: 'for adoption only' },
    { host: withHardware({ cpus: 1 }), selector: { minCPU: 2 }, reason: 'too few CPUs' },
    { host: withHardware({ memory: '15Gi' }), selector: { minMemory: '16Gi' }, reason: 'too little memory' },
    {
      host: withHardware({
        disks: [
          { name: 'a', size: '600Gi' },
          { name: 'b', size: '600Gi' },
        ],
      }),
      selector: { minDisk: '1Ti' },
      reason: 'too small disks',
    },
    { host: withHardware({ disks: [] }), selector: { minDisk: '1Gi' }, reason: 'too small disks' },
    {
      host: withHardware({ architecture: 'arm64' }),
      selector: { architecture: 'amd64' as const },
      reason: 'another architecture',
    },
    {
      host: withStatus({ operatingSystem: { id: 'rocky', family: 'rhel' } }),
      selector: { operatingSystem: 'debian' },
      reason: 'another operating system',
    },
    {
      host: withStatus({ hardware: {} }),
      selector: { minMemory: '1Gi' },
      reason: 'not measured yet',
    },
    { host: withHardware({ memory: 'much' }), selector: { minMemory: '1Gi' }, reason: 'not measured yet' },
    // What will never fit is said before what may end: a person need not wait for that.
    {
      host: { ...withHardware({ memory: '1Gi' }), claim: claimed, maintenance: true },
      selector: { minMemory: '16Gi' },
      reason: 'too little memory',
    },
    {
      host: { ...hostNamed('h', { status: {} }), claim: claimed },
      selector: { minMemory: '16Gi' },
      reason: 'claimed',
    },
  ] satisfies { host: InventoryHost; selector?: HostSelector; reason: string }[])(
    '$reason',
    ({ host, selector, reason }: { host: InventoryHost; selector?: HostSelector; reason: string }) => {
      const machine = selector === undefined ? machineNamed('m') : asking(selector);
      expect(selectHost(machine, [host])).toEqual({ none: `1 host: 1 ${reason}` });
    },
  );

  it('says it of a host that is not for adoption', () => {
    const machine = machineNamed('m', { spec: { host: { adopt: true } } });
    expect(selectHost(machine, [hostNamed('h')])).toEqual({ none: '1 host: 1 not for adoption' });
  });

  it('adds up in one line, the most frequent first', () => {
    const hosts = [
      ...Array.from({ length: 3 }, (_, i) => hostNamed(`maintained-${i}`, { maintenance: true })),
      ...Array.from({ length: 5 }, (_, i) => hostNamed(`claimed-${i}`, { claim: claimed })),
      ...Array.from({ length: 4 }, (_, i) => ({ ...withHardware({ memory: '4Gi' }), name: `small-${i}` })),
    ];
    expect(selectHost(asking({ minMemory: '8Gi' }), hosts)).toEqual({
      none: '12 hosts: 5 claimed, 4 too little memory, 3 in maintenance',
    });
  });

  it('says where there is none at all', () => {
    expect(selectHost(anyHost, [])).toEqual({ none: 'no TSHost in namespace default' });
  });

  it('says which labels none of them has', () => {
    const machine = asking({ matchLabels: { role: 'worker', disk: 'nvme' } });
    const hosts = [hostNamed('a', { labels: { role: 'worker' } }), hostNamed('b')];
    expect(selectHost(machine, hosts)).toEqual({
      none: 'no TSHost in namespace default has the labels disk=nvme,role=worker (2 have others)',
    });
  });

  it('counts other labels where some host has them', () => {
    const machine = asking({ matchLabels: { role: 'worker' } });
    const hosts = [
      hostNamed('a', { labels: { role: 'worker' }, claim: claimed }),
      hostNamed('b'),
      hostNamed('c'),
    ];
    expect(selectHost(machine, hosts)).toEqual({ none: '3 hosts: 2 other labels, 1 claimed' });
  });

  it('refuses a quantity that is none', () => {
    const call = () => selectHost(asking({ minMemory: 'lots' }), [hostNamed('h')]);
    expect(call).toThrow(expect.objectContaining({ reason: 'InvalidMachine' }));
  });
});

describe('the failure domain (IM-3)', () => {
  const inA = hostNamed('a', { failureDomain: 'rack-a' });
  const inB = hostNamed('b', { failureDomain: 'rack-b' });
  const asked = (failureDomain: string, selector: HostSelector = { minCPU: 1 }) =>
    asking(selector, { failureDomain });

  it.each([
    { name: 'is kept to', machine: asked('rack-b'), hosts: [inA, inB], want: ['b'] },
    { name: 'is not needed', machine: anyHost, hosts: [inB], want: ['b'] },
    { name: 'is empty, which is none', machine: asked(''), hosts: [inA], want: ['a'] },
    { name: 'is known to no host', machine: asked('zone-7'), hosts: [inA], want: ['a'] },
    {
      name: 'has only hosts that never fit',
      machine: asked('rack-b', { minCPU: 8 }),
      hosts: [inA, { ...withHardware({ cpus: 2 }), name: 'b', failureDomain: 'rack-b' }],
      want: ['a'],
    },
    {
      name: 'has only a host that goes away',
      machine: asked('rack-b'),
      hosts: [inA, { ...inB, deleting: true }],
      want: ['a'],
    },
  ])('$name', ({ machine, hosts, want }) => {
    expect(names(machine, hosts)).toEqual(want);
  });

  it('is waited for when its hosts are in use', () => {
    const hosts = [inA, { ...inB, claim: claimed }, hostNamed('c')];
    expect(selectHost(asked('rack-b'), hosts)).toEqual({
      none: '3 hosts: 2 outside failure domain rack-b, 1 claimed',
    });
  });
});

describe('the order', () => {
  const sized = (name: string, memory: string, cpus: number) => ({ ...withHardware({ memory, cpus }), name });

  it('takes the host that fits most tightly', () => {
    const hosts = [sized('big', '256Gi', 64), sized('small', '16Gi', 8), sized('middle', '64Gi', 16)];
    expect(names(anyHost, hosts)).toEqual(['small', 'middle', 'big']);
    expect(names(asking({ minMemory: '32Gi' }), hosts)).toEqual(['middle', 'big']);
  });

  it('looks at CPUs where memory is the same', () => {
    expect(names(anyHost, [sized('many', '64Gi', 64), sized('few', '64Gi', 8)])).toEqual(['few', 'many']);
  });

  it('takes what was not measured last', () => {
    const unknown = hostNamed('unknown', { status: availableStatus({ hardware: {} }) });
    expect(names(machineNamed('m'), [unknown, sized('known', '512Gi', 128)])).toEqual(['known', 'unknown']);
  });

  it('spreads machines over hosts of one make, though no two measure the same memory', () => {
    const hosts = Array.from({ length: 20 }, (_, i) => sized(`h-${i}`, `${65_000_000 + i * 997}Ki`, 16));
    const first = Array.from({ length: 200 }, (_, i) => names(machineNamed(`m-${i}`), hosts)[0]);
    const shares = hosts.map(({ name }) => first.filter((chosen) => chosen === name).length);
    expect(Math.min(...shares)).toBeGreaterThan(0);
    expect(Math.max(...shares)).toBeLessThan(30);
  });

  it('is the same whatever the order of the list, and other hosts do not change it', () => {
    const hosts = Array.from({ length: 12 }, (_, i) => hostNamed(`h-${i}`));
    fc.assert(
      fc.property(fc.shuffledSubarray(hosts, { minLength: 1 }), fc.string(), (some, name) => {
        const machine = machineNamed(name);
        const all = names(machine, hosts);
        const present = new Set(some.map((host) => host.name));
        expect(names(machine, some)).toEqual(all.filter((one) => present.has(one)));
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});
