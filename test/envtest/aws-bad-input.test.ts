// SPDX-License-Identifier: Apache-2.0
// Input that AWS cannot serve: one line on the object says which field and what to do, and AWS is not asked again and again. Everything is
// wrong at the same time, so that one look at the calls judges all of it.
import { randomBytes } from 'node:crypto';
import { CreateSubnetCommand, CreateVpcCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AWSClusterSpec } from '../../api/aws/cluster.ts';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import { SecretKind, TSClusterIdentityKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import {
  clusterSpec,
  createIdentity,
  createImage,
  createVPC,
  type ExistingVPC,
  IMAGE,
  type Region,
  startRegion,
} from './aws-region.ts';
import { type BareCluster, bareCluster } from './bare-cluster.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { conditionText } from './machines.ts';
import { bundleManager } from './manager-bundle.ts';
import { growth, quietFor } from './quiet.ts';

const IDENTITY = 'bad-input';
const soon = { timeout: 60_000, interval: 250 };
const WATCHED_MS = 20_000;
/** For each mistake. A machine without quota asks once a minute. */
const CALLS_PER_MINUTE = 6;

let environment: Environment;
let moto: Moto;
let region: Region;
let vpc: ExistingVPC;
let strangeSubnet: string;
let provider: Provider;
const clusters = new Map<string, BareCluster>();

interface Mistake {
  readonly what: string;
  /** In spec.aws of the TSCluster. */
  readonly cluster?: () => Partial<AWSClusterSpec>;
  /** In spec.aws of the TSMachine. */
  readonly machine?: Partial<AWSMachineSpec>;
  /** Size of the bootstrap data, which cannot be compressed. */
  readonly dataBytes?: number;
  /** The namespace is not among those of the identity. */
  readonly isStranger?: boolean;
  /** Whose condition Ready says what. */
  readonly of: 'TSCluster' | 'TSMachine';
  readonly says: RegExp;
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'a region that does not exist',
    cluster: () => ({ region: 'us-nowhere-1' }),
    of: 'TSCluster',
    says: /^False RegionInvalid: .*us-nowhere-1/,
  },
  {
    what: 'an identity that does not exist',
    cluster: () => ({ identityRef: { name: 'nobody' } }),
    of: 'TSCluster',
    says: /^False IdentityMissing: .*"nobody" does not exist/,
  },
  {
    what: 'an identity that does not allow the namespace',
    isStranger: true,
    of: 'TSCluster',
    says: /^False IdentityNotAllowed: .*"bad-input".*spec\.allowedNamespaces/,
  },
  {
    what: 'a subnet of another VPC',
    cluster: () => ({ network: { vpc: { id: vpc.id }, subnets: [{ id: strangeSubnet }] } }),
    of: 'TSCluster',
    says: /^False SubnetInvalid: .*spec\.aws\.network\.subnets\[0\].*subnet-/,
  },
  {
    what: 'an image pattern without a match',
    machine: { image: { lookup: { owner: 'self', name: 'nothing-{kubernetesVersion}-*' } } },
    of: 'TSMachine',
    says: /^False ImageNotFound: spec\.aws\.image\.lookup: .*nothing-1\./,
  },
  {
    what: 'an image pattern with several matches',
    machine: { image: { lookup: { ...IMAGE } } },
    of: 'TSMachine',
    says: /^False ImageAmbiguous: spec\.aws\.image\.lookup: 2 AMIs match .*set mostRecent: true/,
  },
  {
    what: 'bootstrap data that are too large to travel and may not wait elsewhere',
    machine: { userData: { storage: 'Inline' } },
    dataBytes: 40_000,
    of: 'TSMachine',
    says: /^False UserDataTooLarge: .*16384: set spec\.aws\.userData\.storage to SecretsManager/,
  },
  {
    what: 'bootstrap data that are too large for an instance without a profile',
    dataBytes: 40_000,
    of: 'TSMachine',
    says: /^False UserDataTooLarge: .*spec\.aws\.iamInstanceProfile/,
  },
  {
    what: 'no quota',
    of: 'TSMachine',
    says: /^False QuotaExceeded: .*m5\.large on-demand.*quota of the account/,
  },
];

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  moto = await startMoto({ dir: environment.dir });
  const kubernetes = environment.stack.versions.kubernetes;
  region = await startRegion({ moto, kubernetes });
  await createImage(region.ec2, `machine-${kubernetes.replace(/^v/, '')}-2`);
  vpc = await createVPC(region);
  strangeSubnet = await createStrangeSubnet();
  region.proxy.options.maxInstances = 0;
  for (const mistake of MISTAKES) clusters.set(mistake.what, await make(mistake));
  const allowed = MISTAKES.filter(({ isStranger }) => isStranger !== true);
  const namespaces = allowed.map(({ what }) => clusterOf(what).namespace);
  await createIdentity(environment.client, IDENTITY, namespaces);
  const main = await bundleManager(environment.dir);
  provider = await environment.startProvider({ main, env: region.env });
});

afterAll(async () => {
  await environment?.stop();
  await region?.stop();
  await moto?.stop();
});

async function createStrangeSubnet(): Promise<string> {
  const { Vpc } = await region.ec2.send(new CreateVpcCommand({ CidrBlock: '10.60.0.0/16' }));
  const input = { VpcId: Vpc?.VpcId ?? '', CidrBlock: '10.60.0.0/24' };
  const { Subnet } = await region.ec2.send(new CreateSubnetCommand(input));
  return Subnet?.SubnetId ?? '';
}

async function make({ cluster, machine, dataBytes }: Mistake): Promise<BareCluster> {
  const right = clusterSpec(region, vpc, IDENTITY);
  const made = await bareCluster(environment, {
    purpose: 'bad',
    infrastructure: {
      cluster: { ...right, aws: { ...right.aws!, ...cluster?.() } },
      machine: {
        aws: {
          instanceType: 'm5.large',
          image: { lookup: { ...IMAGE, mostRecent: true } },
          ...machine,
        },
      },
    },
  });
  if (dataBytes !== undefined) {
    const value = Buffer.from(`#cloud-config\n# ${randomBytes(dataBytes / 2).toString('hex')}\n`);
    const secret = { namespace: made.namespace, name: 'bootstrap' };
    const data = { value: value.toString('base64') };
    await environment.client.patch(SecretKind, secret, { data });
  }
  await made.addMachines(1);
  return made;
}

function clusterOf(what: string): BareCluster {
  const found = clusters.get(what);
  if (found === undefined) throw new Error(`nobody made ${what}`);
  return found;
}

async function readyOf({ what, of }: Mistake): Promise<string> {
  const { namespace } = clusterOf(what);
  const [object] =
    of === 'TSCluster'
      ? await environment.client.list(TSClusterKind, { namespace })
      : await environment.client.list(TSMachineKind, { namespace });
  return conditionText(object, 'Ready');
}

describe('what it says', () => {
  it.each(MISTAKES)('$what', async (mistake) => {
    await expect.poll(() => readyOf(mistake), soon).toMatch(mistake.says);
  });

  it('no instance was made', async () => {
    expect(await region.instances()).toEqual([]);
  });
});

describe('while all of it is wrong', () => {
  it(`no mistake costs more than ${CALLS_PER_MINUTE} calls a minute, and nothing is written`, async () => {
    const { client } = environment;
    const versions = async () => {
      const objects = [...(await client.list(TSClusterKind)), ...(await client.list(TSMachineKind))];
      return objects.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
    };
    const before = await quietFor(versions, { forMs: 5_000, timeoutMs: 60_000 });
    const grown = await growth(() => Promise.resolve(region.proxy.counts()), WATCHED_MS);
    const calls = Object.entries(grown).filter(([, count]) => count > 0);
    const perMinute = (calls.reduce((sum, [, count]) => sum + count, 0) * 60_000) / WATCHED_MS;
    console.log(`${MISTAKES.length} mistakes, ${perMinute} calls a minute: ${JSON.stringify(calls)}`);
    expect(perMinute).toBeLessThanOrEqual(CALLS_PER_MINUTE * MISTAKES.length);
    expect(await versions(), provider.server.tail(20)).toEqual(before);
  });
});

describe('once it is mended', () => {
  it('quota that is raised is used', async () => {
    region.proxy.options.maxInstances = 10;
    const { namespace } = clusterOf('no quota');
    const isProvisioned = async () => (await clusterOf('no quota').provisioned()) === 1;
    await expect.poll(isProvisioned, { timeout: 100_000, interval: 500 }).toBe(true);
    expect((await region.living()).length, namespace).toBe(1);
  });

  it('a namespace that is allowed is served', async () => {
    const names = [...clusters.values()].map(({ namespace }) => namespace);
    const { client } = environment;
    const spec = { allowedNamespaces: { names } };
    await client.patch(TSClusterIdentityKind, { namespace: '', name: IDENTITY }, { spec });
    const stranger = MISTAKES.find(({ isStranger }) => isStranger)!;
    await expect.poll(() => readyOf(stranger), soon).toMatch(/^True/);
  });
});
