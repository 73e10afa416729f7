// SPDX-License-Identifier: Apache-2.0
// A region of the played AWS as its owner finds it: images, instance profiles, a VPC, and a look past the manager's view of it.
import * as aws from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { TSClusterIdentityKind } from '../../api/kinds.ts';
import type { TSClusterSpec } from '../../api/tscluster.ts';
import type { TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { Moto } from '../../hack/stack/moto.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { type Proxy, startProxy } from '../aws/proxy/server.ts';

/** Finds the image of {@link startRegion}; the version is put in by the manager. */
export const IMAGE = { owner: 'self', name: 'machine-{kubernetesVersion}-*' } as const;
/** Instance profiles that exist. */
export const PROFILES = { controlPlane: 'control-plane', node: 'node' } as const;
/** By this tag a cluster finds its subnets. */
export const SUBNET_TAG = 'kubernetes.io/cluster-api';

/** One that moto has from the start, in every region. */
const SEED_IMAGE = 'amzn2-ami-hvm-2.0.20180810-x86_64-gp2';

export interface Region {
  readonly name: string;
  /** What managers talk to. */
  readonly proxy: Proxy;
  /** Straight to moto: what a test does is not counted, and meets no fault. */
  readonly ec2: aws.EC2Client;
  readonly elb: ElasticLoadBalancingV2Client;
  /** With these a manager calls the proxy for AWS. */
  readonly env: Readonly<Record<string, string>>;
  /** Every instance that was ever made for a machine, those that have ended too. */
  instances(): Promise<aws.Instance[]>;
  /** Those that live. */
  living(): Promise<aws.Instance[]>;
  /** Everything of the account in this region, as sorted JSON. */
  snapshot(): Promise<string>;
  stop(): Promise<void>;
}

export interface RegionOptions {
  readonly moto: Moto;
  /** Of the image, with its `v`. */
  readonly kubernetes: string;
  /** Default us-east-1. */
  readonly name?: string;
}

/** With one image, {@link PROFILES}, and a proxy of its own: managers of other regions are not disturbed by its faults. */
export async function startRegion({ moto, kubernetes, name = 'us-east-1' }: RegionOptions): Promise<Region> {
  const settings = {
    endpoint: moto.url,
    region: name,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const ec2 = new aws.EC2Client(settings);
  await createProfiles(moto, name);
  await createImage(ec2, `machine-${kubernetes.replace(/^v/, '')}-1`);
  const proxy = await startProxy({ upstream: moto.url });
  const instances = () => instancesOf(ec2);
  return {
    name,
    proxy,
    ec2,
    elb: new ElasticLoadBalancingV2Client(settings),
    env: {
      AWS_ENDPOINT_URL: proxy.url,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      // Nothing of the machine that runs the tests.
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    instances,
    living: async () => (await instances()).filter(({ State }) => State?.Name !== 'terminated'),
    snapshot: () => proxy.snapshot({ region: name }),
    stop: () => proxy.stop(),
  };
}

/** The value of a tag; '' without. */
export function tagOf(resource: { readonly Tags?: aws.Tag[] | undefined }, key: string): string {
  return resource.Tags?.find((tag) => tag.Key === key)?.Value ?? '';
}

async function instancesOf(ec2: aws.EC2Client): Promise<aws.Instance[]> {
  const found: aws.Instance[] = [];
  let NextToken: string | undefined;
  do {
    const Filters = [{ Name: 'tag-key', Values: ['ts-provider/machine', 'ts-provider/pool'] }];
    const page: aws.DescribeInstancesCommandOutput = await ec2.send(
      new aws.DescribeInstancesCommand({ Filters, MaxResults: 1000, ...(NextToken && { NextToken }) }),
    );
    found.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances));
    NextToken = page.NextToken === '' ? undefined : page.NextToken;
  } while (NextToken !== undefined);
  return found;
}

/** IAM is asked with a bare request: the manager has no use for its client. */
async function createProfiles(moto: Moto, region: string): Promise<void> {
  const scope = `test/20260101/${region}/iam/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
  for (const InstanceProfileName of Object.values(PROFILES)) {
    const body = new URLSearchParams({
      Action: 'CreateInstanceProfile',
      Version: '2010-05-08',
      InstanceProfileName,
    });
    const answer = await fetch(moto.url, { method: 'POST', body, headers: { authorization } });
    // IAM has no regions: another one may have made it.
    if (!answer.ok && answer.status !== 409) throw new Error(`CreateInstanceProfile: HTTP ${answer.status}`);
  }
}

/** From an instance: moto gives images that are registered no architecture. */
export async function createImage(ec2: aws.EC2Client, Name: string): Promise<void> {
  const Filters = [{ Name: 'name', Values: [SEED_IMAGE] }];
  const { Images = [] } = await ec2.send(new aws.DescribeImagesCommand({ Filters }));
  const input = { ImageId: Images[0]?.ImageId, InstanceType: 'm5.large' as const, MinCount: 1, MaxCount: 1 };
  const { Instances = [] } = await ec2.send(new aws.RunInstancesCommand(input));
  const InstanceId = Instances[0]?.InstanceId ?? '';
  await ec2.send(new aws.CreateImageCommand({ InstanceId, Name }));
  await ec2.send(new aws.TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
}

/** A VPC of somebody else. */
export interface ExistingVPC {
  readonly id: string;
  /** Zone names of its subnets, one private and one public in each. */
  readonly zones: readonly string[];
  readonly subnets: readonly string[];
}

/** Three zones with a public and a private subnet each, which carry {@link SUBNET_TAG}; public ones have a route to the internet. */
export async function createVPC({ ec2, name }: Region): Promise<ExistingVPC> {
  const { Vpc } = await ec2.send(new aws.CreateVpcCommand({ CidrBlock: '10.50.0.0/16' }));
  const VpcId = Vpc?.VpcId ?? '';
  const { InternetGateway } = await ec2.send(new aws.CreateInternetGatewayCommand({}));
  const GatewayId = InternetGateway?.InternetGatewayId ?? '';
  await ec2.send(new aws.AttachInternetGatewayCommand({ VpcId, InternetGatewayId: GatewayId }));
  const { RouteTable } = await ec2.send(new aws.CreateRouteTableCommand({ VpcId }));
  const RouteTableId = RouteTable?.RouteTableId ?? '';
  await ec2.send(new aws.CreateRouteCommand({ RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId }));
  const zones = ['a', 'b', 'c'].map((zone) => `${name}${zone}`);
  const subnets: string[] = [];
  for (const [index, zone] of [...zones, ...zones].entries()) {
    const id = await createSubnet(ec2, { VpcId, index, zone });
    subnets.push(id);
    if (index < zones.length)
      await ec2.send(new aws.AssociateRouteTableCommand({ RouteTableId, SubnetId: id }));
  }
  return { id: VpcId, zones, subnets };
}

async function createSubnet(
  ec2: aws.EC2Client,
  { VpcId, index, zone }: { readonly VpcId: string; readonly index: number; readonly zone: string },
): Promise<string> {
  const { Subnet } = await ec2.send(
    new aws.CreateSubnetCommand({
      VpcId,
      CidrBlock: `10.50.${index}.0/24`,
      AvailabilityZone: zone,
      TagSpecifications: [{ ResourceType: 'subnet', Tags: [{ Key: SUBNET_TAG, Value: 'yes' }] }],
    }),
  );
  return Subnet?.SubnetId ?? '';
}

/** The credentials of the manager, for these namespaces. */
export async function createIdentity(
  client: ApiClient,
  name: string,
  namespaces: readonly string[],
): Promise<void> {
  const { apiVersion, kind } = TSClusterIdentityKind;
  await client.create<TSClusterIdentity>(TSClusterIdentityKind, {
    apiVersion,
    kind,
    metadata: { name },
    spec: { aws: { source: 'Manager' }, allowedNamespaces: { names: [...namespaces] } },
  });
}

/** Clusters in an existing VPC, whose API server is somewhere else. */
export function clusterSpec(region: Region, vpc: ExistingVPC, identity: string): TSClusterSpec {
  const network = {
    vpc: { id: vpc.id },
    subnets: [{ filters: [{ name: `tag:${SUBNET_TAG}`, values: ['*'] }] }],
  };
  return {
    controlPlaneEndpoint: { host: '127.0.0.1', port: 6443 },
    controlPlaneLoadBalancer: { type: 'NLB' },
    aws: { region: region.name, identityRef: { name: identity }, network },
  };
}
