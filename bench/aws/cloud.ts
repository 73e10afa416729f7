// SPDX-License-Identifier: Apache-2.0
// The cloud of a run: one moto, emptied before each measurement, a network that the candidates bring along, and in front the proxy that counts calls.
import {
  AssociateDhcpOptionsCommand,
  CreateDhcpOptionsCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeImagesCommand,
  EC2Client,
  paginateDescribeInstances,
} from '@aws-sdk/client-ec2';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { usageOf } from '../process-usage.ts';
import { type CountingProxy, startCountingProxy } from './proxy.ts';

/** Made by the bench and not by a candidate, so that none of its calls are counted. */
export interface Network {
  readonly vpcID: string;
  /** One private subnet for each zone. */
  readonly subnets: readonly { readonly id: string; readonly zone: string }[];
}

/** How many instances there are. */
export interface Instances {
  /** In any state, the terminated ones included: as many as were ever made. */
  readonly made: number;
  /** Those that are not terminated. */
  readonly living: number;
}

/** As one measurement sees it. */
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
  calls(): Promise<ReadonlyMap<string, number>>;
  /** How many of them were answered with an error, or with nothing. */
  failures(): Promise<number>;
  /** Asked of moto directly. */
  instances(): Promise<Instances>;
  /** CPU seconds of moto, for which candidates wait, and of the proxy. */
  cpuSeconds(): { readonly moto: number; readonly proxy: number };
}

/** The servers of a run. */
export interface CloudServers {
  /** As new: nothing in it but the network, and no call counted. */
  renew(): Promise<Cloud>;
  stop(): Promise<void>;
}

const REGION = 'us-east-1';
const ZONES = ['us-east-1a', 'us-east-1b'];
const DHCP = [
  { Key: 'domain-name', Values: ['ec2.internal'] },
  { Key: 'domain-name-servers', Values: ['AmazonProvidedDNS'] },
];
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** `dir` gets the logs. */
export async function startCloud(dir: string): Promise<CloudServers> {
  const moto = await startMoto({ dir });
  try {
    const proxy = await startCountingProxy(moto.url, dir);
    const ec2 = new EC2Client({ region: REGION, endpoint: moto.url, credentials: CREDENTIALS });
    return {
      async renew() {
        await proxy.reset();
        return cloudOf({ moto, proxy, ec2 });
      },
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

interface Parts {
  readonly moto: Moto;
  readonly proxy: CountingProxy;
  /** Of moto itself. */
  readonly ec2: EC2Client;
}

async function cloudOf({ moto, proxy, ec2 }: Parts): Promise<Cloud> {
  return {
    region: REGION,
    url: proxy.url,
    env: environmentOf(proxy.url),
    network: await createNetwork(ec2),
    imageID: await anyImage(ec2),
    calls: proxy.counts,
    failures: proxy.failures,
    instances: () => instancesOf(ec2),
    cpuSeconds: () => ({ moto: usageOf(moto.pid).cpuSeconds, proxy: proxy.cpuSeconds() }),
  };
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

/** moto keeps the terminated ones until it is reset. */
async function instancesOf(ec2: EC2Client): Promise<Instances> {
  const states = [];
  for await (const { Reservations = [] } of paginateDescribeInstances({ client: ec2 }, {}))
    for (const { Instances = [] } of Reservations) states.push(...Instances.map(({ State }) => State?.Name));
  return { made: states.length, living: states.filter((state) => state !== 'terminated').length };
}
