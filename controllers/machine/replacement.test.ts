// SPDX-License-Identifier: Apache-2.0
// Machines of one MachineSet whose instances will be taken away: all at once, or one after the other.
import { beforeEach, expect, it } from 'vitest';
import type { Machine } from '../../api/cluster-api.ts';
import { MachineKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { UpkeepReport } from '../../backends/backend.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { tsMachine } from '../../test/machine-world.ts';
import { createReplacement, type Replacement } from './replacement.ts';
import type { MachineScope } from './scope.ts';

type Interruption = NonNullable<UpkeepReport['interruption']>;

const LATER: Interruption = {
  ...{ reason: 'MaintenanceScheduled', message: 'reboot in a week', replace: true },
  canWait: true,
};
const SOON: Interruption = { reason: 'SpotInterruption', message: 'in two minutes', replace: true };

let api: FakeAPI;
let clock: FakeClock;
let replacement: Replacement;

beforeEach(() => {
  api = new FakeAPI();
  clock = new FakeClock();
  replacement = createReplacement({ client: api.client, cache: api.cache({}) });
  for (const name of ['m1', 'm2', 'm3']) api.put(machine(name));
});

function machine(name: string, change: Partial<Machine['metadata']> & { hasNode?: boolean } = {}): Machine {
  const { hasNode = true, ...metadata } = change;
  const owner = { apiVersion: 'cluster.x-k8s.io/v1beta2', kind: 'MachineSet', name: 'md', uid: 'md' };
  return {
    ...MachineKind,
    metadata: {
      ...{ namespace: 'ns', name, uid: `uid-${name}` },
      ownerReferences: [{ ...owner, controller: true }],
      ...metadata,
    },
    spec: {
      clusterName: 'c1',
      infrastructureRef: { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'TSMachine', name },
    },
    ...(hasNode && { status: { nodeRef: { name } } }),
  };
}

const left = () => ['m1', 'm2', 'm3'].filter((name) => api.read(MachineKind, { namespace: 'ns', name }));

async function look(name: string, interruption: Interruption): Promise<UpkeepReport | undefined> {
  const scope = {
    ...{ object: tsMachine(), machine: api.read(MachineKind, { namespace: 'ns', name }) },
    facts: { upkeep: { pollMs: 600_000, interruption } },
  } as unknown as MachineScope;
  const ctx = { signal: new AbortController().signal, log: createLogger({ level: 'silent' }), clock };
  await replacement.replaceInterrupted(ctx, scope);
  return scope.facts.upkeep;
}

it('what cannot wait goes at once, all of them', async () => {
  await Promise.all(['m1', 'm2', 'm3'].map((name) => look(name, SOON)));
  expect(left()).toEqual([]);
});

it('what can wait goes one after the other, though all are looked at in the same moment', async () => {
  const reports = await Promise.all(['m1', 'm2', 'm3'].map((name) => look(name, LATER)));
  expect(left()).toEqual(['m2', 'm3']);
  expect(reports[1]).toMatchObject({
    pollMs: 30_000,
    interruption: { message: 'reboot in a week; waits until Machine m1 is replaced' },
  });
});

it('goes on when the one before is gone and its successor has a Node', async () => {
  await look('m1', LATER);
  api.put(machine('m4', { hasNode: false }));
  await clock.advance(60_000);
  expect((await look('m2', LATER))?.interruption?.message).toMatch(/waits until Machine m4 is replaced$/);
  api.put(machine('m4'));
  await look('m2', LATER);
  expect(left()).toEqual(['m3']);
});

it('waits for one that is being drained, whatever it is deleted for', async () => {
  const deleting = { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['machine.cluster.x-k8s.io'] };
  api.put(machine('m3', deleting));
  await look('m1', LATER);
  expect(left()).toEqual(['m1', 'm2', 'm3']);
});

it('waits for nobody of another owner, and for none where it has no owner', async () => {
  api.put(machine('other', { hasNode: false, ownerReferences: [] }));
  await look('m1', LATER);
  expect(left()).toEqual(['m2', 'm3']);
  await look('other', LATER);
  expect(api.read(MachineKind, { namespace: 'ns', name: 'other' })).toBeUndefined();
});

it('never deletes a control plane machine, and nothing that nobody asked for', async () => {
  api.put(machine('m1', { labels: { [CONTROL_PLANE_LABEL]: '' } }));
  await look('m1', SOON);
  await look('m2', { ...SOON, replace: false });
  expect(left()).toEqual(['m1', 'm2', 'm3']);
});
