// SPDX-License-Identifier: Apache-2.0
// The cloud of one measurement: moto, a network that the candidates bring along, and in front the proxy that counts calls.
import {
  AssociateDhcpOptionsCommand,
  CreateDhcpOptionsCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeImagesCommand,
  EC2Client,
  paginateDescribeInstances,
} from '@aws-sdk/client-ec2';
import { startMoto } from '../../hack/stack/moto.ts';
import { startProxy } from '../../test/aws/proxy/server.ts';

/** Made by the bench and not by a candidate, so that none of its calls are counted. */
export interface Network {
  readonly vpcID: string;
  /** One private subnet for each zone. */
  readonly subnets: readonly { readonly id: string; readonly zone: string }[];
}

export interface Cloud {
  readonly region: string;
  /** What candidates take for every service: it counts. */
  readonly url: string;
  /** Environment variables of a program that takes {@link url} for the cloud. moto takes any credentials. */
  readonly env: Readonly<Record<string, string>>;
  readonly network: Network;
  /** An image of moto's, x86_64. */
  readonly imageID: string;
  /** Of candidates, up to now: `ec2.RunInstances` -> 5. A retry counts again. */
  calls(): ReadonlyMap<string, number>;
  /** How many of them were answered with an error, or with nothing. */
  failures(): number;
  /** Instances that are pending or running, asked of moto directly. */
  instances(): Promise<number>;
  /** Process of the cloud itself: what candidates wait for. */
  readonly pid: number;
  stop(): Promise<void>;
}

const REGION = 'us-east-1';
const ZONES = ['us-east-1a', 'us-east-1b'];
const DHCP = [
  { Key: 'domain-name', Values: ['ec2.internal'] },
  { Key: 'domain-name-servers', Values: ['AmazonProvidedDNS'] },
];
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** Nothing in it but the network. */
export async function startCloud(dir: string): Promise<Cloud> {
  const moto = await startMoto({ dir });
  const ec2 = new EC2Client({ region: REGION, endpoint: moto.url, credentials: CREDENTIALS });
  try {
    const [network, imageID] = [await createNetwork(ec2), await anyImage(ec2)];
    const proxy = await startProxy({ upstream: moto.url });
    return {
      region: REGION,
      url: proxy.url,
      env: environmentOf(proxy.url),
      network,
      imageID,
      calls: () => new Map(Object.entries(proxy.counts())),
      failures: () => proxy.calls().filter(({ status }) => status < 200 || status >= 400).length,
      instances: () => livingInstances(ec2),
      pid: moto.pid,
      async stop() {
        ec2.destroy();
        await proxy.stop();
        await moto.stop();
      },
    };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}

function environmentOf(url: string): Record<string, string> {
  return {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_ENDPOINT_URL: url,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

async function createNetwork(ec2: EC2Client): Promise<Network> {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }));
  const vpcID = Vpc?.VpcId ?? '';
  // Every VPC of AWS has such a set; moto names one that does not exist, and the peer asks for it again and again.
  const { DhcpOptions } = await ec2.send(new CreateDhcpOptionsCommand({ DhcpConfigurations: DHCP }));
  const DhcpOptionsId = DhcpOptions?.DhcpOptionsId;
  await ec2.send(new AssociateDhcpOptionsCommand({ VpcId: vpcID, DhcpOptionsId }));
  const subnets = [];
  for (const [index, zone] of ZONES.entries()) {
    const CidrBlock = `10.0.${index * 64}.0/18`;
    const { Subnet } = await ec2.send(
      new CreateSubnetCommand({ VpcId: vpcID, CidrBlock, AvailabilityZone: zone }),
    );
    subnets.push({ id: Subnet?.SubnetId ?? '', zone });
  }
  return { vpcID, subnets };
}

async function anyImage(ec2: EC2Client): Promise<string> {
  const Filters = [{ Name: 'architecture', Values: ['x86_64'] }];
  const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Filters }));
  const image = Images.find(
    ({ Platform, RootDeviceType }) => Platform === undefined && RootDeviceType === 'ebs',
  );
  if (image?.ImageId === undefined) throw new Error('moto has no x86_64 Linux image');
  return image.ImageId;
}

async function livingInstances(ec2: EC2Client): Promise<number> {
  const Filters = [{ Name: 'instance-state-name', Values: ['pending', 'running'] }];
  let count = 0;
  for await (const { Reservations = [] } of paginateDescribeInstances({ client: ec2 }, { Filters }))
    for (const { Instances = [] } of Reservations) count += Instances.length;
  return count;
}
