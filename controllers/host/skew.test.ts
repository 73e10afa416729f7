// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../../api/cluster-api.ts';
import { MachineKind } from '../../api/kinds.ts';
import { HostWorld } from '../../test/host-world.ts';
import { machineAsCached } from './machine.ts';
import { versionSkew } from './skew.ts';

let world: HostWorld;
beforeEach(() => {
  world = new HostWorld();
  world.addHost();
});

function server(name: string, version: string, hasNode = true): void {
  world.addMachine(name, { controlPlane: true, version });
  const machine = world.api.read<Machine>(MachineKind, { namespace: 'ns', name })!;
  if (hasNode) machine.status = { nodeRef: { name } };
  world.api.put(machine);
}

function skewOf(version: string, controlPlane = false): string {
  world.addMachine('m1', { version, controlPlane });
  const claim = world.claim();
  const owner = machineAsCached(world.cache(), { host: world.host()!, claim });
  return versionSkew(world.cache(), owner)?.message ?? '';
}

describe('a worker', () => {
  it.each([
    ['v1.36.3', ['v1.36.3'], ''],
    ['v1.36.4', ['v1.36.3'], ''],
    ['v1.33.0', ['v1.36.3'], ''],
    ['v1.36.3', [], ''],
    [
      'v1.36.3',
      ['v1.36.3', 'v1.35.4'],
      'v1.36.3, and a control plane machine of its Cluster still runs v1.35.4',
    ],
    ['v1.37.0', ['v1.36.3'], 'v1.37.0, and a control plane machine of its Cluster still runs v1.36.3'],
    ['v2.0.0', ['v1.36.3'], 'v2.0.0, and'],
    [
      'v1.32.9',
      ['v1.36.3'],
      'v1.32.9, more than 3 minor versions older than the control plane, which runs v1.36.3',
    ],
  ])('%s with a control plane of %j', (own, servers, says) => {
    for (const [index, version] of servers.entries()) server(`cp${index}`, version);
    const message = skewOf(own);
    expect(message).toContain(says);
    expect(message === '').toBe(says === '');
  });
});

describe('a control plane machine', () => {
  it.each([
    ['v1.36.3', ['v1.36.3', 'v1.35.4'], ''],
    ['v1.36.2', ['v1.36.3'], ''],
    ['v1.35.4', ['v1.36.3', 'v1.35.4'], 'v1.35.4, and another one of its Cluster runs v1.36.3 already'],
    ['v1.36.3', ['v1.34.0'], 'v1.36.3, and another one of its Cluster still runs v1.34.0'],
  ])('%s beside %j', (own, servers, says) => {
    for (const [index, version] of servers.entries()) server(`cp${index}`, version);
    const message = skewOf(own, true);
    expect(message).toContain(says);
    expect(message === '').toBe(says === '');
  });
});

it('machines without a Node, of other clusters, and workers do not count', () => {
  server('cp0', 'v1.30.0', false);
  world.addMachine('worker', { version: 'v1.30.0' });
  server('other', 'v1.30.0');
  const other = world.api.read<Machine>(MachineKind, { namespace: 'ns', name: 'other' })!;
  other.metadata.labels = { ...other.metadata.labels, 'cluster.x-k8s.io/cluster-name': 'c2' };
  world.api.put(other);
  expect(skewOf('v1.36.3')).toBe('');
});
