// SPDX-License-Identifier: Apache-2.0
// Looks up what a pool needs to know before it can be made: image, subnets, security groups. Answers are cached by those who give them.
import type { AWSMachinePoolSpec } from '../../../api/aws/machine-pool.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { PoolFacts } from '../../machine-pool-backend.ts';
import type { ExistingResources } from '../instance/existing.ts';
import type { Images, ResolvedImage } from '../instance/image.ts';
import { architecturesOf, type InstanceTypes } from '../instance/instance-type.ts';
import type { ClusterAWS, NetworkFacts, NetworkReader, Subnet } from '../network/facts.ts';
import type { AWSSession } from '../session/session.ts';
import { askedImage, type PoolPlace } from './launch-data.ts';

/** Who is asked. */
export interface PlaceSources {
  readonly network: NetworkReader;
  readonly images: Images;
  readonly instanceTypes: InstanceTypes;
  readonly existing: ExistingResources;
}

/** A pool and where its cluster is. */
export interface PlacedPool {
  readonly pool: PoolFacts;
  readonly spec: AWSMachinePoolSpec;
  readonly cluster: ClusterAWS;
  /** Id of the image that was found for a question ({@link askedImage}) and is in use. */
  readonly presentImage: (asked: string) => Promise<string | undefined>;
}

/** Throws TerminalError(ImageNotFound | ImageAmbiguous | InvalidMachine | SubnetInvalid | SecurityGroupInvalid), which names the field. */
export async function findPlace(
  ctx: Ctx,
  session: AWSSession,
  sources: PlaceSources,
  placed: PlacedPool,
): Promise<PoolPlace> {
  const { pool, spec, cluster } = placed;
  const facts = await sources.network.networkFacts(ctx, session, cluster);
  const type = { name: spec.instanceType, field: 'spec.aws.instanceType' };
  const architectures = architecturesOf(await sources.instanceTypes.describe(ctx, session, type));
  const asked = askedImage(spec.image, pool.version);
  const image = await findImage(ctx, session, sources, { ...placed, asked, architectures });
  const named = await namedSubnets(ctx, session, { existing: sources.existing, facts, spec });
  const securityGroupIDs = [...facts.securityGroups.nodes];
  for (const [index, reference] of (spec.securityGroups ?? []).entries()) {
    const named = { reference, field: `spec.aws.securityGroups[${index}]` };
    securityGroupIDs.push(...(await sources.existing.securityGroups(ctx, session, facts, named)));
  }
  return {
    image,
    askedImage: asked,
    subnetIDs: chosenSubnets({ facts, named, spec, failureDomains: pool.failureDomains }),
    securityGroupIDs: [...new Set(securityGroupIDs)],
  };
}

/** The one in use, while the question is the same and it is still there; else the answer of today. */
async function findImage(
  ctx: Ctx,
  session: AWSSession,
  { images }: PlaceSources,
  of: PlacedPool & { readonly asked: string; readonly architectures: readonly string[] },
): Promise<ResolvedImage> {
  const use = { version: of.pool.version, architectures: of.architectures };
  const present = of.spec.image.id === undefined ? await of.presentImage(of.asked) : undefined;
  if (present === undefined) return images.resolve(ctx, session, of.spec.image, use);
  try {
    return await images.resolve(ctx, session, { id: present }, use);
  } catch (error) {
    // Deregistered, or the instance type wants another architecture now.
    if (!(error instanceof TerminalError) || !REPLACED.includes(error.reason)) throw error;
    ctx.log.info({ image: present, reason: error.message }, 'The image of the pool is looked up anew');
    return images.resolve(ctx, session, of.spec.image, use);
  }
}

const REPLACED: readonly string[] = [Reason.ImageNotFound, Reason.InvalidMachine];

type PlaceOfSubnet = Pick<Subnet, 'id' | 'availabilityZone'>;

async function namedSubnets(
  ctx: Ctx,
  session: AWSSession,
  ask: {
    readonly existing: ExistingResources;
    readonly facts: NetworkFacts;
    readonly spec: AWSMachinePoolSpec;
  },
): Promise<readonly PlaceOfSubnet[] | undefined> {
  const { subnets } = ask.spec;
  if (subnets === undefined) return undefined;
  const found: PlaceOfSubnet[] = [];
  for (const [index, reference] of subnets.entries()) {
    const asked = { reference, field: `spec.aws.subnets[${index}]` };
    found.push(...(await ask.existing.subnets(ctx, session, ask.facts, asked)));
  }
  return found;
}

/** Ids, sorted: those that are named, else the private ones (the public ones for public addresses), in the failure domains that were asked for. */
export function chosenSubnets({
  facts,
  named,
  spec,
  failureDomains,
}: {
  readonly facts: Pick<NetworkFacts, 'subnets'>;
  readonly named: readonly PlaceOfSubnet[] | undefined;
  readonly spec: Pick<AWSMachinePoolSpec, 'publicIP'>;
  readonly failureDomains: readonly string[];
}): string[] {
  const isPublic = spec.publicIP === true;
  const usable = named ?? facts.subnets.filter((subnet) => subnet.isPublic === isPublic);
  const inDomains = usable.filter(
    ({ availabilityZone }) => failureDomains.length === 0 || failureDomains.includes(availabilityZone),
  );
  if (inDomains.length > 0) return [...new Set(inDomains.map(({ id }) => id))].sort();
  const kind = named === undefined ? (isPublic ? 'public ' : 'private ') : 'named ';
  const where = failureDomains.length === 0 ? '' : ` in the failure domains ${failureDomains.join(', ')}`;
  const way =
    named === undefined
      ? 'name subnets in spec.aws.subnets, or change spec.failureDomains of the MachinePool'
      : 'change spec.aws.subnets, or spec.failureDomains of the MachinePool';
  throw new TerminalError(Reason.SubnetInvalid, `The cluster has no ${kind}subnet${where}: ${way}`);
}
