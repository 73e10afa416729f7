// SPDX-License-Identifier: Apache-2.0
// What comes in between: a request that never ends, a person at the host, a pause, an API server that does not answer.
import { beforeEach, describe, expect, it } from 'vitest';
import { TSRemediationKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, PAUSED_ANNOTATION, REBOOT_ANNOTATION } from '../../api/labels.ts';
import { TransientError } from '../../runtime/errors.ts';
import { RemediationWorld } from '../../test/remediation-world.ts';

const SPEC = { timeoutSeconds: 100, backoffSeconds: 10 };
const W0 = { namespace: 'ns', name: 'w0' };

let world: RemediationWorld;

beforeEach(async () => {
  world = new RemediationWorld();
  for (const name of ['w0', 'w1']) await world.addUnhealthy(name);
});

const boot = (name = 'w0') => world.hosts.of(`ns/h-${name}`).facts.bootID;
const isHeld = (name = 'w0') => world.hosts.of(`ns/h-${name}`).isKubeletHeld;
const annotations = (name = 'w0') => world.host(`h-${name}`)?.metadata.annotations ?? {};
const tries = (name = 'w0') => world.remediation(name)?.status?.tries;

async function later(seconds: number, ...names: string[]): Promise<void> {
  await world.clock.advance(seconds * 1_000);
  await world.passes(...names);
}

describe('the guard is not kept by', () => {
  it('one of which nobody ever says whether it is well', async () => {
    world.api.put({ ...world.coreMachine('w0'), status: { nodeRef: { name: 'w0' } } });
    world.request('w0', SPEC);
    await world.passes('w0');
    world.request('w1', SPEC);
    await world.passes('w1');
    expect([world.phase('w0'), world.phase('w1')]).toEqual(['Recovering', 'Waiting']);
    await later(101, 'w0', 'w1');
    expect([world.phase('w0'), world.phase('w1')]).toEqual(['Recovering', 'Recovering']);
  });

  it('one whose write was refused, and which then has nothing to do any more', async () => {
    for (const name of ['w0', 'w1']) world.request(name, SPEC);
    world.api.beforeWrite = ({ verb }) => {
      if (verb === 'patch_status') throw new Error('the API server restarts');
    };
    await expect(world.remediate('w0')).rejects.toThrow('restarts');
    world.api.beforeWrite = () => {};
    world.editHost('h-w0', ({ spec }) => (spec.maintenance = true));
    await world.passes('w0', 'w1');
    expect([world.phase('w0'), world.phase('w1')]).toEqual(['Waiting', 'Recovering']);
  });

  it('a worker whose pods nobody can look at, where a control plane machine is to be repaired', async () => {
    await world.addUnhealthy('cp0', { controlPlane: true });
    world.addPod('db-0', 'w0');
    world.request('w0', SPEC);
    await world.passes('w0');
    world.workloadError = new TransientError('no route');
    for (const name of ['cp0', 'w1']) world.request(name, SPEC);
    await later(101, 'w0', 'cp0', 'w1');
    expect(['w0', 'cp0', 'w1'].map((name) => world.phase(name))).toEqual([
      'Evacuating',
      'Recovering',
      'Waiting',
    ]);
  });
});

it('the guard counts a request without the label of its cluster', async () => {
  for (const name of ['w0', 'w1']) {
    const object = world.request(name, SPEC);
    delete object.metadata.labels?.[CLUSTER_NAME_LABEL];
    world.api.put(object);
  }
  await world.passes('w0', 'w1');
  expect([world.phase('w0'), world.phase('w1')]).toEqual(['Recovering', 'Waiting']);
});

describe('a host that somebody works on meanwhile', () => {
  const end = () => world.editHost('h-w0', ({ spec }) => delete spec.maintenance);

  beforeEach(async () => {
    world.hosts.of('ns/h-w0').link = 'down';
    world.request('w0', SPEC);
    await world.passes('w0');
    expect(annotations()[REBOOT_ANNOTATION]).toBe('boot-1');
  });

  it('is no failed try: the reboot follows when it is done', async () => {
    world.editHost('h-w0', ({ spec }) => (spec.maintenance = true));
    await later(101, 'w0');
    expect([world.phase('w0'), tries(), world.ownerRemediated('w0')]).toEqual(['Waiting', 0, undefined]);
    expect(annotations()[REBOOT_ANNOTATION]).toBeUndefined();
    world.hosts.of('ns/h-w0').link = 'up';
    end();
    await later(1, 'w0');
    await world.passes('w0');
    expect([world.phase('w0'), tries(), boot(), isHeld()]).toEqual(['Recovering', 1, 'boot-1+', false]);
  });

  it('is waited for also behind the reboot', async () => {
    world.hosts.of('ns/h-w0').link = 'up';
    await world.passes('w0');
    expect(world.phase('w0')).toBe('Recovering');
    world.editHost('h-w0', ({ spec }) => (spec.maintenance = true));
    await later(101, 'w0');
    expect([world.phase('w0'), world.ownerRemediated('w0')]).toEqual(['Waiting', undefined]);
  });

  it('of a TSMachine that is paused is no failed try either', async () => {
    const machine = world.machine('w0')!;
    machine.metadata.annotations = { [PAUSED_ANNOTATION]: '' };
    world.api.put(machine);
    await later(101, 'w0');
    expect([world.phase('w0'), world.saying('w0')]).toEqual([
      'Waiting',
      `WaitingForGuard: Host h-w0 is left alone: TSMachine has the ${PAUSED_ANNOTATION} annotation`,
    ]);
  });
});

it('the time of a pause does not count: the machine has its time afterwards', async () => {
  world.request('w0', SPEC);
  await world.passes('w0');
  expect(world.phase('w0')).toBe('Recovering');
  world.cluster({ paused: true });
  await later(3_600, 'w0');
  world.cluster({});
  await later(1, 'w0');
  expect([world.phase('w0'), world.ownerRemediated('w0')]).toEqual(['Recovering', undefined]);
  await later(101, 'w0');
  expect(world.phase('w0')).toBe('HandedOver');
});

it('one that is taken away wants no reboot any more, whether or not the workload cluster answers', async () => {
  world.hosts.of('ns/h-w0').link = 'down';
  world.request('w0', SPEC);
  await world.passes('w0');
  world.workloadError = new TransientError('no route');
  world.api.remove(TSRemediationKind, W0);
  await world.passes('w0');
  world.hosts.of('ns/h-w0').link = 'up';
  await world.passes('w0');
  expect([boot(), annotations()[REBOOT_ANNOTATION]]).toEqual(['boot-1', undefined]);
  world.workloadError = undefined;
  await world.passes('w0');
  expect([world.remediation('w0'), annotations(), isHeld()]).toEqual([undefined, {}, false]);
});

it('a namesake of the Machine that was meant is left alone', async () => {
  const object = world.request('w0', SPEC);
  object.metadata.ownerReferences![0]!.uid = 'of-the-one-that-is-gone';
  world.api.put(object);
  await world.passes('w0');
  expect([world.phase('w0'), boot()]).toEqual(['Waiting', 'boot-1']);
});
