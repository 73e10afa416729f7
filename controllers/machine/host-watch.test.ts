// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { TSHost } from '../../api/tshost.ts';
import { HostWorld } from '../../test/host-world.ts';
import { hostWatch } from './host-watch.ts';

let world: HostWorld;
beforeEach(() => {
  world = new HostWorld();
  world.addHost('h1', { status: { state: 'Bootstrapping', operationalStatus: 'OK' } });
  world.addMachine('m1');
  world.addMachine('m2');
  world.claim('h1', 'm1');
});

function woken(change: (host: TSHost) => void, name = 'h1'): string[] {
  const previous = world.host(name)!;
  const object = structuredClone(previous);
  change(object);
  return hostWatch(world.cache())
    .map({ type: 'update', previous, object })
    .map((one) => one.name);
}

const operation = { id: 'j', kind: 'Bootstrap', attempt: 1, startedAt: 'now' } as const;

describe('the machine that has the host', () => {
  it.each<[string, (host: TSHost) => unknown, boolean]>([
    ['state', (host) => (host.status!.state = 'Provisioned'), true],
    ['operational status', (host) => (host.status!.operationalStatus = 'Unreachable'), true],
    ['step', (host) => (host.status!.operation = { ...operation, step: 'runcmd' }), true],
    ['error', (host) => (host.status!.error = { reason: 'R', message: 'm', since: 'now' }), true],
    ['host name', (host) => (host.status!.hostname = 'n'), true],
    [
      'addresses',
      (host) => (host.status!.hardware = { nics: [{ name: 'e', mac: 'm', addresses: ['::1'] }] }),
      true,
    ],
    ['release', (host) => (host.spec.claim!.releasing = true), true],
    ['being made free', (host) => (host.spec.claim = { generation: 1 }), true],
    ['memory', (host) => (host.status!.hardware = { memory: '16Gi' }), false],
    ['boot', (host) => (host.status!.bootID = 'b'), false],
    ['labels', (host) => (host.metadata.labels = { a: 'b' }), false],
  ])('is told of a change of %s: %s', (_what, change, isTold) => {
    expect(woken(change)).toEqual(isTold ? ['m1'] : []);
  });

  it('that a claim passed on, and the one that has it now', () => {
    const machine = { namespace: 'ns', name: 'm2', uid: 'u' };
    expect(woken(({ spec }) => (spec.claim = { ...spec.claim!, generation: 2, machine }))).toEqual([
      ...['m2', 'm1'],
    ]);
  });

  it.each(['add', 'delete'] as const)('is told when the TSHost comes or goes: %s', (type) => {
    expect(hostWatch(world.cache()).map({ type, object: world.host('h1')! })).toEqual([
      { namespace: 'ns', name: 'm1' },
    ]);
  });
});

describe('machines that wait for a host', () => {
  const makeFree = (host: TSHost) => {
    host.spec.claim = { generation: 1 };
    host.status!.state = 'Available';
  };
  const available = { state: 'Available', operationalStatus: 'OK' } as const;

  it('hear of one that becomes Available; machines with a host, and of other backends, do not', () => {
    world.addMachine('other');
    world.api.put({ ...world.machine('other')!, spec: { inMemory: {} } });
    world.addMachine('m3');
    world.agree('h1', 'm3');
    expect(woken(makeFree).toSorted()).toEqual(['m1', 'm2'].toSorted());
  });

  it.each<[string, (host: TSHost) => unknown, boolean]>([
    ['it reboots', (host) => (host.status!.bootID = 'b'), false],
    ['its labels change', (host) => (host.metadata.labels = { role: 'worker' }), true],
    ['it has been measured', (host) => (host.status!.hardware = { cpus: 8 }), true],
    ['it goes into maintenance', (host) => (host.status!.operationalStatus = 'Maintenance'), false],
    ['somebody claims it', (host) => (host.spec.claim = world.host('h1')!.spec.claim!), false],
  ])('a host that is free: when %s', (_what, change, isTold) => {
    world.addHost('h2', { status: available });
    expect(woken(change, 'h2').includes('m2')).toBe(isTold);
  });
});
