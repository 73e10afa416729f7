// SPDX-License-Identifier: Apache-2.0
// The ladder with the TSHost controller beside it, over fake hosts that keep a record of their reboots.
import { beforeEach, describe, expect, it } from 'vitest';
import { NodeKind, TSMachineKind, TSRemediationKind } from '../../api/kinds.ts';
import { HOLD_KUBELET_ANNOTATION, PAUSED_ANNOTATION, REBOOT_ANNOTATION } from '../../api/labels.ts';
import { TransientError } from '../../runtime/errors.ts';
import { RemediationWorld } from '../../test/remediation-world.ts';

const TAINT = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';
const SPEC = { timeoutSeconds: 100, backoffSeconds: 10 };
const W0 = { namespace: 'ns', name: 'w0' };

let world: RemediationWorld;

beforeEach(async () => {
  world = new RemediationWorld();
  await world.addUnhealthy('w0');
});

const boot = (name = 'w0') => world.hosts.of(`ns/h-${name}`).facts.bootID;
const annotations = (name = 'w0') => world.host(`h-${name}`)?.metadata.annotations ?? {};
const isHeld = (name = 'w0') => world.hosts.of(`ns/h-${name}`).isKubeletHeld;
const events = () => world.told.map(({ reason, about }) => `${about} ${reason}`);

/** Time goes by and both controllers look again. */
async function later(seconds: number, ...names: string[]): Promise<void> {
  await world.clock.advance(seconds * 1_000);
  await world.passes(...(names.length > 0 ? names : ['w0']));
}

describe('a worker', () => {
  beforeEach(() => world.addPod('db-0', 'w0'));

  it('is rebooted, evacuated, let go, and waited for', async () => {
    world.request('w0', SPEC);
    await world.passes('w0');
    expect([boot(), world.phase('w0'), world.taints('w0'), isHeld()]).toEqual([
      'boot-1+',
      'Evacuating',
      [TAINT],
      true,
    ]);
    expect(world.saying('w0')).toBe('Evacuating: 1 pods are to leave the Node: default/db-0');
    world.removePod('db-0');
    await world.passes('w0');
    expect([world.phase('w0'), world.taints('w0'), isHeld(), annotations()]).toEqual([
      'Recovering',
      [],
      false,
      {},
    ]);
    expect(world.remediation('w0')?.status).toMatchObject({ tries: 1, bootID: 'boot-1' });
    expect(events()).toEqual(['w0 Rebooting', 'w0 Rebooted']);
  });

  it('called again changes nothing', async () => {
    world.request('w0', SPEC);
    world.removePod('db-0');
    await world.passes('w0');
    await world.passes('w0');
    const [writes, nodes] = [world.api.writes.length, world.workload.writes.length];
    await world.passes('w0');
    expect([world.api.writes.length, world.workload.writes.length, boot()]).toEqual([
      writes,
      nodes,
      'boot-1+',
    ]);
  });

  it('whose pods do not go is let go all the same, in time', async () => {
    world.request('w0', SPEC);
    await world.passes('w0');
    await later(101);
    expect([world.phase('w0'), world.taints('w0'), isHeld()]).toEqual(['Recovering', [], false]);
    expect(world.saying('w0')).toMatch(/^Recovering: /);
  });

  it('is not tainted while pods of it might run: its host had rebooted by itself', async () => {
    world.hosts.of('ns/h-w0').reboot();
    world.request('w0', SPEC);
    await world.passes('w0');
    expect([world.phase('w0'), world.taints('w0'), boot()]).toEqual(['Recovering', [], 'boot-1+']);
    expect(world.workload.writes).toEqual([]);
  });

  it('keeps other taints, and pods that the taint does not move are not waited for', async () => {
    world.removePod('db-0');
    const ds = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'x', uid: 'u', controller: true };
    world.addPod('of-daemon-set', 'w0', { ownerReferences: [ds] });
    world.addPod('static', 'w0', { annotations: { 'kubernetes.io/config.mirror': 'x' } });
    world.addPod('tolerant', 'w0', { spec: { tolerations: [{ operator: 'Exists' }] } });
    world.addPod('for-a-while', 'w0', {
      spec: { tolerations: [{ operator: 'Exists', tolerationSeconds: 5 }] },
    });
    const node = world.workload.read(NodeKind, { namespace: '', name: 'w0' })!;
    world.workload.put({ ...node, spec: { ...node.spec, taints: [{ key: 'a', effect: 'NoSchedule' }] } });
    world.request('w0', SPEC);
    await world.passes('w0');
    expect(world.taints('w0')).toEqual(['a=:NoSchedule', TAINT]);
    expect(world.saying('w0')).toMatch(/: default\/for-a-while$/);
    world.removePod('for-a-while');
    await world.passes('w0');
    expect([world.phase('w0'), world.taints('w0')]).toEqual(['Recovering', ['a=:NoSchedule']]);
  });

  it('stays held while nobody can take the taint back', async () => {
    world.request('w0', SPEC);
    await world.passes('w0');
    world.workloadError = new TransientError('no route');
    await later(1_000);
    expect([world.phase('w0'), isHeld()]).toEqual(['Evacuating', true]);
    expect(world.saying('w0')).toBe('Evacuating: The workload cluster does not answer: no route');
    world.workloadError = undefined;
    await world.passes('w0');
    expect([world.phase('w0'), world.taints('w0'), isHeld()]).toEqual(['Recovering', [], false]);
  });

  it('is only rebooted where that is asked for', async () => {
    world.request('w0', { ...SPEC, nodeOutOfService: false });
    await world.passes('w0');
    expect([world.phase('w0'), boot(), isHeld(), world.workload.writes]).toEqual([
      'Recovering',
      'boot-1+',
      false,
      [],
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])(
    'a manager that dies behind effect %i: one reboot, and everything taken back',
    async (at) => {
      world.request('w0', SPEC);
      let effects = 0;
      const die = () => {
        if (++effects === at) throw new Error('killed');
      };
      [world.api.afterWrite, world.workload.afterWrite, world.hosts.after] = [die, die, die];
      for (let pass = 0; pass < 20; pass++) {
        await world.remediate('w0').catch(() => world.restart());
        await world.reconcile('h-w0').catch(() => world.restart());
        if (pass === 12) world.removePod('db-0');
      }
      expect([boot(), world.phase('w0'), world.taints('w0'), isHeld(), annotations()]).toEqual([
        'boot-1+',
        'Recovering',
        [],
        false,
        {},
      ]);
      expect(world.remediation('w0')?.status?.tries).toBe(1);
      expect(effects).toBeGreaterThan(11);
    },
  );
});

describe('the end of the tries', () => {
  it('a Node that stays sick: tries with pauses, then the owner gets it', async () => {
    world.request('w0', { ...SPEC, retryLimit: 2 });
    await world.passes('w0');
    await later(101);
    expect([world.phase('w0'), world.saying('w0')]).toEqual([
      'Waiting',
      'RebootFailed: The next reboot waits for its time',
    ]);
    expect(boot()).toBe('boot-1+');
    await later(11);
    expect([world.phase('w0'), boot()]).toEqual(['Recovering', 'boot-1++']);
    await later(101);
    expect([world.phase('w0'), boot(), world.ownerRemediated('w0')]).toEqual([
      'HandedOver',
      'boot-1++',
      'False',
    ]);
    expect(world.saying('w0')).toBe(
      'HandedOver: The Node is not healthy after the reboot of Host h-w0, try 2 of 2',
    );
    expect(events().slice(-2)).toEqual(['w0 Rebooted', 'w0 HandedOver']);
    const writes = world.api.writes.length;
    await later(1_000);
    expect(world.api.writes).toHaveLength(writes);
  });

  it('a host that does not answer is a failed try, and nothing is asked of it afterwards', async () => {
    world.hosts.of('ns/h-w0').link = 'down';
    world.request('w0', SPEC);
    await world.passes('w0');
    expect(annotations()).toEqual({ [REBOOT_ANNOTATION]: 'boot-1', [HOLD_KUBELET_ANNOTATION]: 'hold' });
    await later(101);
    expect([world.phase('w0'), world.ownerRemediated('w0'), world.taints('w0')]).toEqual([
      'HandedOver',
      'False',
      [],
    ]);
    world.hosts.of('ns/h-w0').link = 'up';
    await world.passes('w0');
    expect([annotations(), boot(), isHeld()]).toEqual([{}, 'boot-1', false]);
  });

  it.each<[string, () => void, RegExp]>([
    ['without tries', () => world.request('w0', { retryLimit: 0 }), /retryLimit is 0/],
    [
      'of another backend',
      () => {
        const { host: _host, ...spec } = world.machine('w0')!.spec;
        world.api.put({ ...world.machine('w0')!, spec: { ...spec, inMemory: {} } });
        world.request('w0');
      },
      /this backend cannot be rebooted/,
    ],
    [
      'that never became a Node',
      () => {
        world.editHost('h-w0', ({ status }) => (status!.state = 'Bootstrapping'));
        world.request('w0');
      },
      /Host h-w0 is Bootstrapping: no Node runs on it/,
    ],
  ])('a machine %s is handed over at once', async (_name, arrange, why) => {
    arrange();
    for (let count = 0; count < 3; count++) await world.remediate('w0');
    expect([world.phase('w0'), world.ownerRemediated('w0'), boot()]).toEqual([
      'HandedOver',
      'False',
      'boot-1',
    ]);
    expect(world.saying('w0')).toMatch(why);
  });

  it('one that is well again meanwhile is neither rebooted nor handed over', async () => {
    world.request('w0', SPEC);
    await world.passes('w0');
    world.setHealth('w0', 'True');
    await later(500);
    expect([world.phase('w0'), world.ownerRemediated('w0')]).toEqual(['Recovering', undefined]);
  });

  it('one of which nobody says whether it is well is rebooted once', async () => {
    world.api.put({ ...world.coreMachine('w0'), status: { nodeRef: { name: 'w0' } } });
    world.request('w0', SPEC);
    await world.passes('w0');
    await later(500);
    expect([world.phase('w0'), boot(), world.ownerRemediated('w0')]).toEqual([
      'Recovering',
      'boot-1+',
      undefined,
    ]);
  });

  it('without its status it is rebooted once more, and no more', async () => {
    world.request('w0', SPEC);
    await world.passes('w0');
    const { status: _lost, ...object } = world.remediation('w0')!;
    world.api.put(object);
    world.restart();
    await world.passes('w0');
    await later(101);
    expect([boot(), world.phase('w0')]).toEqual(['boot-1++', 'HandedOver']);
  });
});

describe('the guard', () => {
  const work = () => ['w0', 'w1', 'w2'].map((name) => world.phase(name));

  it('lets one machine of a cluster after the other', async () => {
    for (const name of ['w1', 'w2']) await world.addUnhealthy(name);
    for (const name of ['w0', 'w1', 'w2']) world.request(name, SPEC);
    await world.passes('w0', 'w1', 'w2');
    expect(work()).toEqual(['Recovering', 'Waiting', 'Waiting']);
    expect(world.saying('w1')).toBe('WaitingForGuard: 1 of 1 machines of the cluster are being worked on');
    expect([boot('w1'), boot('w2')]).toEqual(['boot-1', 'boot-1']);
    world.api.remove(TSRemediationKind, W0);
    await world.passes('w0', 'w1', 'w2');
    expect([world.remediation('w0'), ...work()]).toEqual([undefined, undefined, 'Recovering', 'Waiting']);
  });

  it('holds when all begin in the same moment', async () => {
    for (const name of ['w1', 'w2']) await world.addUnhealthy(name);
    for (const name of ['w0', 'w1', 'w2']) world.request(name, { ...SPEC, maxConcurrent: 2 });
    for (let pass = 0; pass < 4; pass++)
      await Promise.all(['w0', 'w1', 'w2'].map((name) => world.remediate(name).catch(() => undefined)));
    expect(work().toSorted()).toEqual(['Rebooting', 'Rebooting', 'Waiting']);
  });

  it('lets one of a control plane, whatever it is told', async () => {
    for (const name of ['cp0', 'cp1']) await world.addUnhealthy(name, { controlPlane: true });
    for (const name of ['cp0', 'cp1', 'w0']) world.request(name, { ...SPEC, maxConcurrent: 3 });
    await world.passes('cp0', 'cp1', 'w0');
    expect(['cp0', 'cp1', 'w0'].map((name) => world.phase(name))).toEqual([
      'Recovering',
      'Waiting',
      'Recovering',
    ]);
    expect(world.saying('cp1')).toMatch(/cp0, another machine of the control plane/);
    expect(isHeld('cp0')).toBe(false);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'in maintenance',
      () => world.editHost('h-w0', ({ spec }) => (spec.maintenance = true)),
      /in maintenance/,
    ],
    [
      'that is paused',
      () => world.editHost('h-w0', ({ metadata }) => (metadata.annotations = { [PAUSED_ANNOTATION]: '' })),
      /left alone/,
    ],
  ])('waits for a host %s', async (_name, arrange, why) => {
    arrange();
    world.request('w0', SPEC);
    await later(10_000);
    expect([world.phase('w0'), world.remediation('w0')?.status?.tries]).toEqual(['Waiting', undefined]);
    expect(world.saying('w0')).toMatch(why);
  });
});

describe('a remediation that is taken away', () => {
  const remove = () => world.api.remove(TSRemediationKind, W0);

  it('in the middle takes back taint, hold and annotations', async () => {
    world.addPod('db-0', 'w0');
    world.request('w0', SPEC);
    await world.passes('w0');
    expect([world.taints('w0'), isHeld()]).toEqual([[TAINT], true]);
    world.workloadError = new TransientError('no route');
    remove();
    await world.passes('w0');
    expect([world.saying('w0'), isHeld()]).toEqual([
      'Deleting: The workload cluster does not answer: no route',
      true,
    ]);
    world.workloadError = undefined;
    await world.passes('w0');
    expect([world.remediation('w0'), world.taints('w0'), isHeld(), annotations()]).toEqual([
      undefined,
      [],
      false,
      {},
    ]);
  });

  it('before the host has answered leaves no reboot behind', async () => {
    world.hosts.of('ns/h-w0').link = 'down';
    world.request('w0', SPEC);
    await world.passes('w0');
    remove();
    await world.passes('w0');
    world.hosts.of('ns/h-w0').link = 'up';
    await world.passes('w0');
    expect([world.remediation('w0'), annotations(), boot()]).toEqual([undefined, {}, 'boot-1']);
  });

  it('with its Machine lets no kubelet start: the host is cleaned', async () => {
    world.addPod('db-0', 'w0');
    world.request('w0', SPEC);
    await world.passes('w0');
    const machine = world.coreMachine('w0');
    machine.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    world.api.put(machine);
    remove();
    await world.passes('w0');
    expect([world.remediation('w0'), isHeld(), annotations()]).toEqual([
      undefined,
      true,
      { [HOLD_KUBELET_ANNOTATION]: 'held' },
    ]);
  });

  it('and whose machine has no host is let go', async () => {
    world.request('w0', SPEC);
    await world.remediate('w0');
    world.api.remove(TSMachineKind, W0);
    remove();
    await world.remediate('w0');
    expect(world.remediation('w0')).toBeUndefined();
  });
});

describe('hands off', () => {
  it('paused: says so and does nothing', async () => {
    world.cluster({ paused: true });
    world.request('w0', SPEC);
    await world.passes('w0');
    expect(world.remediation('w0')?.status).toMatchObject({
      conditions: [{ type: 'Paused', status: 'True' }],
    });
    expect(boot()).toBe('boot-1');
  });

  it('another manager’s: nothing is written', async () => {
    world.watchFilter = 'blue';
    world.request('w0', SPEC);
    const writes = world.api.writes.length;
    await world.remediate('w0');
    expect(world.api.writes).toHaveLength(writes);
  });
});

it('what is counted', async () => {
  world.request('w0', SPEC);
  await world.passes('w0');
  const text = await world.metrics.metrics();
  expect(text).toContain('ts_provider_remediations{phase="Recovering"} 1');
  expect(text).toContain('ts_provider_remediation_steps_total{phase="Rebooting"} 1');
});
