// SPDX-License-Identifier: Apache-2.0
// An identity that has become that of another account: no verb asks anything there, so nothing is made twice or taken for gone.
import { expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { ClusterFacts } from '../cluster-backend.ts';
import type { PoolFacts } from '../machine-pool-backend.ts';
import { contextOf, machineNamed, sessionOf } from './instance/instance.fixtures.ts';
import { createExistingResources } from './instance/existing.ts';
import { createImages } from './instance/image.ts';
import { createInstanceTypes } from './instance/instance-type.ts';
import { createPlanner, type LookUps, type PlannerDeps } from './instance/plan.ts';
import { openSession } from './instance/where.ts';
import { createAWSLoadBalancer } from './load-balancer/load-balancer.ts';
import { createAWSNetwork } from './network/network.ts';
import { createAWSPoolBackend } from './pool/pool-backend.ts';
import { createRest } from './rest.ts';
import type { AWSSession, AWSSessions } from './session/session.ts';

const RECORDED = '111111111111';
const clock = new FakeClock();
const ctx = contextOf(clock);
const session: AWSSession = sessionOf((action) => {
  throw new Error(`${action} was asked`);
});
const sessions: AWSSessions = {
  open: () => Promise.resolve(session),
  all: () => [session],
  close: () => undefined,
};

const rest = createRest(clock);
const network = createAWSNetwork({ sessions, rest, clock });
const balancer = createAWSLoadBalancer({ sessions, network, rest, clock });
const lookUps: LookUps = {
  ...{ network, instanceTypes: createInstanceTypes(clock) },
  ...{ images: createImages(clock), existing: createExistingResources(clock) },
};
const pools = createAWSPoolBackend({ ...lookUps, sessions, rest, clock });
const planner = createPlanner({ sessions, lookUps } as PlannerDeps);

const aws = {
  ...{ region: 'eu-central-1', identityRef: { name: 'default' }, network: { managed: {} } },
  accountID: RECORDED,
};
const spec = { infrastructureID: 'prod-1', aws, controlPlaneLoadBalancer: { type: 'NLB' } } as const;
const cluster: ClusterFacts = {
  ...{ namespace: 'default', name: 'prod', clusterName: 'prod', infrastructureID: 'prod-1' },
  spec,
};
const choice = { region: 'eu-central-1', identity: 'default', cluster: 'prod-1' };
const pool: PoolFacts = {
  ...{ namespace: 'default', name: 'p', clusterName: 'prod', infrastructureID: 'p-1', version: undefined },
  ...{ failureDomains: [], replicas: 1, isSizedElsewhere: false, spec: {}, cluster: undefined },
  choice: { ...choice, account: RECORDED },
};
/** Of an older version, which has recorded no account. */
const oldPool: PoolFacts = { ...pool, choice, cluster: spec };
const group = { state: 'present', providerID: 'g', instances: [], desired: 1, native: {} } as const;
const data = { format: 'cloud-config', value: Buffer.from('') } as const;
const machine = machineNamed('m', { cluster: spec });

it.each<[string, () => Promise<unknown>]>([
  ['accountOf', () => network.accountOf(ctx, cluster)],
  ['ensureNetwork', () => network.ensureNetwork(ctx, cluster)],
  ['removeNetwork', () => network.removeNetwork(ctx, cluster)],
  ['ensureLoadBalancer', () => balancer.ensureLoadBalancer(ctx, cluster)],
  ['removeLoadBalancer', () => balancer.removeLoadBalancer(ctx, cluster)],
  ['place of a pool', () => pools.place(ctx, { namespace: 'default', cluster: spec })],
  ['observe of a pool', () => pools.observe(ctx, pool)],
  ['observe of an older pool', () => pools.observe(ctx, oldPool)],
  ['ensure of a pool', () => pools.ensure(ctx, pool, { state: 'absent' }, data)],
  ['close of a pool', () => pools.close(ctx, pool, group)],
  ['remove of a pool', () => pools.remove(ctx, pool)],
  ['plan of a machine', () => planner.plan(ctx, machine)],
  // Those of a pool never have one.
  ['a machine without a choice', () => openSession(ctx, sessions, machine)],
])('%s: refused', async (_verb, call) => {
  await expect(call()).rejects.toMatchObject({
    reason: 'IdentityInvalid',
    message: expect.stringMatching(
      /^TSClusterIdentity default is of account 123456789012, .* 1{12}: nothing/,
    ) as string,
  });
});

it('a pool records where its cluster is', async () => {
  const here = { ...spec, aws: { ...aws, accountID: session.account } };
  expect(await pools.place(ctx, { namespace: 'default', cluster: here })).toEqual({
    ...choice,
    account: session.account,
  });
});
