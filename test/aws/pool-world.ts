// SPDX-License-Identifier: Apache-2.0
// One machine pool at a time on moto behind the proxy: a network, sessions of the real kind, and the pool backend over them.
import {
  AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  EC2Client,
  type LaunchTemplateVersion,
} from '@aws-sdk/client-ec2';
import type { TSMachinePoolSpec } from '../../api/tsmachinepool.ts';
import type { BootstrapData } from '../../backends/backend.ts';
import { createExistingResources } from '../../backends/aws/instance/existing.ts';
import { createImages } from '../../backends/aws/instance/image.ts';
import { createInstanceTypes } from '../../backends/aws/instance/instance-type.ts';
import type { NetworkFacts, NetworkReader } from '../../backends/aws/network/facts.ts';
import { groupName } from '../../backends/aws/pool/group.ts';
import { createAWSPoolBackend } from '../../backends/aws/pool/pool-backend.ts';
import { createRest } from '../../backends/aws/rest.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import type { EnsuredPool, PoolFacts, PoolGroup } from '../../backends/machine-pool-backend.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { Proxy } from './proxy/server.ts';

const REGION = 'us-east-1';
/** Moto's. */
const ACCOUNT = '123456789012';

/** As the bootstrap provider makes them, with a token in it. */
export function bootstrap(token = 'abcdef.0123456789abcdef', text = 'join'): BootstrapData {
  return { format: 'cloud-config', value: Buffer.from(`#cloud-config\n# ${text}\n# token: ${token}\n`) };
}

export type PoolWorld = Awaited<ReturnType<typeof createPoolWorld>>;

/** Call it for each test: what was made before has to be reset by the proxy. */
export async function createPoolWorld(proxy: Proxy) {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const settings = { endpoint: proxy.url, region: REGION, credentials };
  const ec2 = new EC2Client(settings);
  const autoScaling = new AutoScalingClient(settings);
  const network = await makeNetwork(ec2);
  const { Images = [] } = await ec2.send(
    new DescribeImagesCommand({ Filters: [{ Name: 'architecture', Values: ['x86_64'] }] }),
  );
  const clock = new FakeClock();
  const sessions = createAWSSessions({
    identities: { aws: () => Promise.resolve(IDENTITY) },
    clock: systemClock,
    metrics: createMetrics(),
    endpoint: proxy.url,
  });
  const makeBackend = () =>
    createAWSPoolBackend({
      ...{ sessions, clock, rest: createRest(clock), network: reader(network) },
      images: createImages(clock),
      instanceTypes: createInstanceTypes(clock),
      existing: createExistingResources(clock),
    });
  let backend = makeBackend();
  const ctx: Ctx = { signal: AbortSignal.timeout(60_000), log: createLogger({ level: 'silent' }), clock };
  const spec: TSMachinePoolSpec = {
    // Without a size moto refuses the volume; AWS takes that of the image.
    aws: { instanceType: 'm5.large', image: { id: Images[0]?.ImageId ?? '' }, rootVolume: { sizeGiB: 8 } },
  };

  const pool = (change: Partial<PoolFacts> = {}): PoolFacts => ({
    ...{ namespace: 'ns', name: 'p1', clusterName: 'c1', infrastructureID: 'c1-p1-0a1b2c3d4e' },
    choice: { region: REGION, identity: 'id', account: ACCOUNT, cluster: 'c1-cluster' },
    ...{ version: 'v1.36.3', failureDomains: [], replicas: 2, isSizedElsewhere: false, spec },
    cluster: {
      infrastructureID: 'c1-cluster',
      aws: { region: REGION, identityRef: { name: 'id' }, network: { managed: {} } },
    },
    ...change,
  });

  return {
    ctx,
    clock,
    ec2,
    network,
    pool,
    spec,
    session: () => sessions.open(ctx, { namespace: 'ns', identity: 'id', region: REGION }),
    get backend() {
      return backend;
    },
    /** What the manager remembers is gone. */
    restart: () => void (backend = makeBackend()),
    /** One pass: look, and put right what differs. */
    async pass(facts = pool(), data = bootstrap()): Promise<EnsuredPool> {
      const seen = await backend.observe(ctx, facts);
      return backend.ensure(ctx, facts, seen, data);
    },
    /** What the backend sees. */
    async group(facts = pool()): Promise<PoolGroup> {
      const seen = await backend.observe(ctx, facts);
      if (seen.state === 'absent') throw new Error('there is no group');
      return seen;
    },
    /** What AWS has. */
    async groups(): Promise<AutoScalingGroup[]> {
      const answer = await autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
      return answer.AutoScalingGroups ?? [];
    },
    autoScaling,
    async versions(): Promise<LaunchTemplateVersion[]> {
      const query = { LaunchTemplateName: groupName(pool()) };
      const answer = await ec2.send(new DescribeLaunchTemplateVersionsCommand(query));
      return answer.LaunchTemplateVersions ?? [];
    },
    close() {
      sessions.close();
      ec2.destroy();
      autoScaling.destroy();
    },
  };
}

const IDENTITY = {
  key: 'test',
  source: { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' },
  roles: [],
} as const;

function reader(facts: NetworkFacts): NetworkReader {
  return { networkFacts: () => Promise.resolve(facts), forget: () => undefined };
}

async function makeNetwork(ec2: EC2Client): Promise<NetworkFacts> {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }));
  const vpcID = Vpc?.VpcId ?? '';
  const subnets = [];
  for (const [index, zone] of ['a', 'b'].entries()) {
    const availabilityZone = `${REGION}${zone}`;
    const { Subnet } = await ec2.send(
      new CreateSubnetCommand({
        ...{ VpcId: vpcID, AvailabilityZone: availabilityZone, CidrBlock: `10.0.${index}.0/24` },
      }),
    );
    subnets.push({ id: Subnet?.SubnetId ?? '', availabilityZone, isPublic: false, vpcID });
  }
  const group = await ec2.send(
    new CreateSecurityGroupCommand({ GroupName: 'nodes', Description: 'nodes', VpcId: vpcID }),
  );
  return {
    ...{ vpcID, cidrBlocks: ['10.0.0.0/16'], subnets },
    securityGroups: { controlPlane: [], nodes: [group.GroupId ?? ''], loadBalancer: [] },
  };
}
