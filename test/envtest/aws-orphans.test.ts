// SPDX-License-Identifier: Apache-2.0
// Instances that no TSMachine knows any more: told once, ended only where that is asked for, and never those of somebody else.
import { CreateTagsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { createTerminate } from '../../backends/aws/instance/destroy.ts';
import { createObservation } from '../../backends/aws/instance/observation.ts';
import { createOrphans, type Orphan } from '../../backends/aws/instance/orphans.ts';
import type { AWSSessions } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import {
  CLUSTER_TAG,
  MACHINE_TAG,
  MACHINE_UID_TAG,
  ROLE_TAG,
  tagList,
  TOKEN_TAG,
} from '../../backends/aws/tags.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { EventContent } from '../../runtime/events.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { knownMachines, tellOfOrphan } from '../../wiring/aws-orphans.ts';
import {
  bootstrapData,
  intentFor,
  INSTANCE_TYPE,
  type MachineWorld,
  startMachineWorld,
} from '../aws/machine-world.ts';
import { MachineWorld as ManagementCluster, tsCluster, tsMachine } from '../machine-world.ts';

const INFRASTRUCTURE_ID = 'c1-0a1b2c3d';
const GRACE_MINUTES = 15;

let world: MachineWorld;
let sessions: AWSSessions | undefined;

beforeAll(async () => void (world = await startMachineWorld()));
afterAll(() => world?.stop());
beforeEach(() => world.reset());
afterEach(() => sessions?.close());

/** A manager as it is put together, but for the API server. */
function start(remove: boolean) {
  const { clock, proxy, ctx } = world;
  const metrics = createMetrics();
  const source = { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' } as const;
  const identities = { aws: async () => ({ key: 'test', source, roles: [] }) };
  sessions = createAWSSessions({ identities, clock, metrics, endpoint: proxy.url });
  const observation = createObservation({ sessions, clock });
  const backend = world.manager({ sessions, observation });

  const management = new ManagementCluster();
  const { api, watchFilter } = management;
  api.put({ ...tsCluster(), spec: { ...tsCluster().spec, infrastructureID: INFRASTRUCTURE_ID } });
  const found: Orphan[] = [];
  const told: [string, EventContent][] = [];
  const base = {
    ...{ cache: api.cache({ [CLUSTER_INDEX]: byCluster }), watchFilter },
    informers: { synced: () => true } as Parameters<typeof knownMachines>[0]['informers'],
    events: {
      event: (object: { readonly kind: string }, content: EventContent) =>
        void told.push([object.kind, content]),
      flush: async () => undefined,
    },
  };
  const orphans = createOrphans({
    ...{ sessions, observation, clock, metrics, remove },
    terminate: createTerminate(clock, (session) => observation.store(session)),
    known: knownMachines(base),
    onOrphan(orphan) {
      found.push(orphan);
      tellOfOrphan(base)(orphan);
    },
  });

  return {
    found,
    told,
    /** Makes an instance; a TSMachine of this name has it. Gives its id. */
    async make(name: string): Promise<string> {
      const wanted = world.machine({ namespace: 'ns', name, infrastructureID: INFRASTRUCTURE_ID });
      const intent = await intentFor(backend, ctx, wanted);
      const object = tsMachine();
      api.put({
        ...object,
        metadata: { ...object.metadata, name },
        spec: { ...object.spec, createIntent: intent },
      });
      await backend.create(ctx, { ...wanted, intent }, intent, bootstrapData);
      const made = await backend.observe(ctx, { ...wanted, intent });
      return made.state === 'absent' ? '' : made.providerID.split('/').at(-1)!;
    },
    /** As with `kubectl delete` and a finalizer taken off by hand. */
    forget: (name: string) => void api.remove(TSMachineKind, { namespace: 'ns', name }),
    async pass(minutes: number): Promise<void> {
      for (let minute = 0; minute < minutes; minute++) {
        clock.shift(60_000);
        await backend.tick(ctx);
        await orphans.tick(ctx);
      }
    },
    async gauge(): Promise<number | undefined> {
      const line = /^ts_provider_aws_orphan_instances\{account="123456789012",region="us-east-1"\} (\d+)$/m;
      const value = line.exec(await metrics.metrics())?.[1];
      return value === undefined ? undefined : Number(value);
    },
  };
}

/** An instance that somebody else has made, with these tags. Gives its id. */
async function madeOutside(tags: Readonly<Record<string, string>>): Promise<string> {
  const [subnet] = world.facts.subnets;
  const { Instances = [] } = await world.ec2.send(
    new RunInstancesCommand({
      ...{ MinCount: 1, MaxCount: 1, InstanceType: INSTANCE_TYPE },
      ...{ ImageId: world.imageID, SubnetId: subnet!.id },
    }),
  );
  const id = Instances[0]?.InstanceId ?? '';
  await world.ec2.send(new CreateTagsCommand({ Resources: [id], Tags: tagList(tags) }));
  return id;
}

/** Like ours in all but the token, and of a cluster that this management cluster does not have. */
async function somebodyElses(): Promise<string[]> {
  const tags = { [ROLE_TAG]: 'node', [MACHINE_TAG]: 'ns/gone', [MACHINE_UID_TAG]: 'a-uid' };
  return [
    await madeOutside({ ...tags, [CLUSTER_TAG]: INFRASTRUCTURE_ID }),
    await madeOutside({ ...tags, [CLUSTER_TAG]: 'other-0a1b2c3d', [TOKEN_TAG]: 'a-token' }),
  ];
}

const livingIDs = async () => (await world.living()).map(({ InstanceId }) => InstanceId).sort();

function orphanFound(id: string, end: string): unknown[] {
  const what = `Instance ${id} in us-east-1 of account 123456789012 was made for TSMachine ns/gone, and no TSMachine has it; ${end}`;
  return [TSClusterKind.kind, expect.objectContaining({ reason: 'OrphanFound', note: what })];
}

it('is told of once after the grace period, is counted, and stays', async () => {
  const manager = start(false);
  const [kept, gone] = [await manager.make('kept'), await manager.make('gone')];
  const others = await somebodyElses();
  await manager.pass(2);
  expect(await manager.gauge()).toBe(0);
  manager.forget('gone');
  await manager.pass(GRACE_MINUTES);
  expect(manager.told).toEqual([]);
  expect(await manager.gauge()).toBe(0);
  await manager.pass(10);
  expect(manager.told).toEqual([orphanFound(gone, 'look at it and terminate it')]);
  const where = { account: '123456789012', region: 'us-east-1', instanceID: gone };
  expect(manager.found).toMatchObject([{ ...where, isRemoved: false }]);
  expect(await manager.gauge()).toBe(1);
  expect(world.proxy.countOf('TerminateInstances')).toBe(0);
  expect(await livingIDs()).toEqual([kept, gone, ...others].sort());
});

it('is ended where that is asked for, also when EC2 refuses at first; nothing else is', async () => {
  const manager = start(true);
  const [kept, gone] = [await manager.make('kept'), await manager.make('gone')];
  const others = await somebodyElses();
  manager.forget('gone');
  await manager.pass(GRACE_MINUTES);
  expect(await livingIDs()).toEqual([kept, gone, ...others].sort());
  const error = { status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized.' };
  // The end of one that fails is tried once more by itself.
  world.proxy.faults.add({ action: 'TerminateInstances', kind: 'error', times: 2, ...error });
  await manager.pass(10);
  expect(manager.told).toEqual([orphanFound(gone, 'it is terminated now, as --aws-orphans asks')]);
  expect(await livingIDs()).toEqual([kept, ...others].sort());
  expect(world.proxy.countOf('TerminateInstances')).toBe(3);
  expect(await manager.gauge()).toBe(0);
});
