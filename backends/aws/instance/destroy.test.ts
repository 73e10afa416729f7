// SPDX-License-Identifier: Apache-2.0
// Which control plane instances are taken out of a load balancer first; the rest is in test/envtest/aws-machines.test.ts.
import { describe, expect, it } from 'vitest';
import type { TSClusterSpec } from '../../../api/tscluster.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createAWSBackend } from '../machine-backend.ts';
import { contextOf, machineNamed, sessionOf } from './instance.fixtures.ts';

const TAGS = {
  'ts-provider/cluster': 'prod-1',
  'ts-provider/machine': 'default/cp-1',
  'ts-provider/machine-uid': 'uid-cp-1',
  'ts-provider/token': 't',
  'ts-provider/role': 'control-plane',
};

const instance = (state: string) => ({
  InstanceId: 'i-1',
  State: { Name: state },
  Placement: { AvailabilityZone: 'eu-central-1a' },
  Tags: Object.entries(TAGS).map(([Key, Value]) => ({ Key, Value })),
});

function answer(action: string): unknown {
  if (action === 'DescribeInstances') return { Reservations: [{ Instances: [instance('running')] }] };
  return { TerminatingInstances: [{ InstanceId: 'i-1', CurrentState: { Name: 'shutting-down' } }] };
}

/** Ends a control plane machine, and says which instances were taken out of the load balancer. */
async function takenOut(cluster: TSClusterSpec | undefined): Promise<readonly string[]> {
  const clock = new FakeClock();
  const taken: string[] = [];
  const asked: string[] = [];
  const session = sessionOf((action) => {
    asked.push(action);
    return answer(action);
  });
  const backend = createAWSBackend({
    clock,
    sessions: { open: async () => session, all: () => [session], close: () => undefined },
    network: { networkFacts: () => Promise.reject(new Error('not asked for')), forget: () => undefined },
    targets: {
      register: async () => ({ done: true }),
      deregister: async (_ctx, _session, _cluster, id) => {
        taken.push(id);
        return { done: true };
      },
    },
    userData: { remove: async () => undefined } as never,
  });
  const region = 'eu-central-1';
  const choice = {
    ...{ region, identity: 'default', account: session.account, infrastructureID: 'prod-1' },
    ...{ imageID: 'ami-1', instanceType: 'm5.large', subnetID: 'subnet-1' },
  };
  const machine = machineNamed('cp-1', {
    controlPlane: true,
    providerID: 'aws:///eu-central-1a/i-1',
    intent: { attempt: 1, clientToken: 't', bootstrapDataHash: 'h', choice } as never,
    cluster,
  });
  const ending = backend.destroy(contextOf(clock), machine);
  await clock.advance(1_000);
  expect(await ending).toMatchObject({ state: 'inProgress' });
  expect(asked).toEqual(['DescribeInstances', 'TerminateInstances']);
  return taken;
}

const aws = { region: 'eu-central-1', identityRef: { name: 'default' }, network: { managed: {} } };

describe('a control plane instance that ends', () => {
  it.each(['External', 'HAProxy'] as const)(
    'where the endpoint is %s: no load balancer is asked',
    async (type) => {
      expect(await takenOut({ aws, controlPlaneLoadBalancer: { type } })).toEqual([]);
    },
  );

  it.each([
    ['NLB', { aws, controlPlaneLoadBalancer: { type: 'NLB' } }],
    ['not said', { aws }],
    ['unknown, since the TSCluster is gone', undefined],
  ] as const)('where it is %s: it is taken out first', async (_what, cluster) => {
    expect(await takenOut(cluster as TSClusterSpec | undefined)).toEqual(['i-1']);
  });
});
