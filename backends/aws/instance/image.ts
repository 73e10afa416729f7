// SPDX-License-Identifier: Apache-2.0
// Which AMI a machine boots.
import { DescribeImagesCommand, type DescribeImagesCommandInput, type Image } from '@aws-sdk/client-ec2';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import type { AWSImage } from '../../../api/aws/machine.ts';
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { createAnswerCache } from './answer-cache.ts';

const KEEP_MS = 5 * 60_000;
/** So many names are listed where several images match. */
const MAX_NAMES = 3;
const VERSION = '{kubernetesVersion}';

export interface ResolvedImage {
  readonly id: string;
  readonly name: string;
  /** `x86_64` or `arm64`. */
  readonly architecture: string;
  /** Device name of its root volume; '' where the root is not an EBS volume. */
  readonly rootDevice: string;
  /** Of its root volume; '' where the image does not say. */
  readonly rootSizeGiB: string;
  /** Device names, sorted, of its further EBS volumes that would stay when the instance ends. */
  readonly keptDevices: readonly string[];
}

/** What the image is for. */
export interface ImageUse {
  /** Of the Machine, with a leading `v`. */
  readonly version: string | undefined;
  /** What the instance type runs; empty: unknown, and nothing is checked. */
  readonly architectures: readonly string[];
}

/** Finds images. */
export interface Images {
  /**
   * Throws TerminalError(ImageNotFound | ImageAmbiguous | InvalidMachine). Answers are kept for 5 minutes for each account and question.
   */
  resolve(ctx: Ctx, session: AWSSession, image: AWSImage, use: ImageUse): Promise<ResolvedImage>;
}

export function createImages(clock: Clock): Images {
  const cache = createAnswerCache<ResolvedImage>(clock, KEEP_MS);
  return {
    async resolve(ctx, session, image, use) {
      const asked = { image: withVersion(image, use.version), architectures: use.architectures };
      const key = `${session.account} ${session.region} ${JSON.stringify(asked)}`;
      return cache.get(ctx, key, (asking) => find(asking, session, asked));
    },
  };
}

interface Asked {
  readonly image: AWSImage;
  readonly architectures: readonly string[];
}

async function find(ctx: Ctx, session: AWSSession, { image, architectures }: Asked): Promise<ResolvedImage> {
  const { id, lookup, ssmParameter } = image;
  if (lookup !== undefined)
    return resolved(await search(ctx, session, { ...lookup, architectures }), architectures);
  const named =
    ssmParameter === undefined
      ? { id: id ?? '', field: 'id' }
      : { id: await readParameter(ctx, session, ssmParameter), field: 'ssmParameter' };
  return resolved(await byID(ctx, session, named), architectures);
}

function resolved(image: Image, architectures: readonly string[]): ResolvedImage {
  const { ImageId = '', Name = '', Architecture = '' } = image;
  if (architectures.length > 0 && !architectures.includes(Architecture)) {
    const message = `spec.aws.image: ${ImageId} is for ${Architecture}, and the instance type runs ${architectures.join(' or ')}`;
    throw new TerminalError(Reason.InvalidMachine, `${message}; change one of them`);
  }
  return {
    id: ImageId,
    name: Name,
    architecture: Architecture,
    ...volumesOf(image),
  };
}

function volumesOf(image: Image): Pick<ResolvedImage, 'rootDevice' | 'rootSizeGiB' | 'keptDevices'> {
  const { RootDeviceType, RootDeviceName = '', BlockDeviceMappings = [] } = image;
  const rootDevice = RootDeviceType === 'instance-store' ? '' : RootDeviceName;
  const root = BlockDeviceMappings.find(({ DeviceName }) => DeviceName === rootDevice);
  const kept = BlockDeviceMappings.filter(
    ({ DeviceName, Ebs }) =>
      DeviceName !== rootDevice && Ebs !== undefined && Ebs.DeleteOnTermination !== true,
  );
  return {
    rootDevice,
    rootSizeGiB: String(root?.Ebs?.VolumeSize ?? ''),
    keptDevices: kept.map(({ DeviceName = '' }) => DeviceName).sort(),
  };
}

/** Versions of images have no leading `v`. */
function withVersion(image: AWSImage, version: string | undefined): AWSImage {
  const text = image.lookup?.name ?? image.ssmParameter ?? '';
  if (!text.includes(VERSION)) return image;
  const field = image.lookup === undefined ? 'ssmParameter' : 'lookup.name';
  if (version === undefined) {
    const message = `spec.aws.image.${field} asks for the Kubernetes version, and the Machine has none; set spec.version of the Machine`;
    throw new TerminalError(Reason.InvalidMachine, message);
  }
  const filled = text.replaceAll(VERSION, version.replace(/^v/, ''));
  return image.lookup === undefined
    ? { ssmParameter: filled }
    : { lookup: { ...image.lookup, name: filled } };
}

async function readParameter(ctx: Ctx, session: AWSSession, name: string): Promise<string> {
  try {
    const { Parameter } = await session.parameters(ctx, new GetParameterCommand({ Name: name }));
    const value = Parameter?.Value?.trim() ?? '';
    if (/^ami-[0-9a-f]+$/.test(value)) return value;
    throw notFound(`ssmParameter: the value of ${name} is not the id of an AMI`);
  } catch (error) {
    if (!isRefused(error, 'ParameterNotFound', 'ParameterVersionNotFound', 'ValidationException'))
      throw error;
    throw notFound(`ssmParameter: region ${session.region} has no parameter ${name}`);
  }
}

async function byID(
  ctx: Ctx,
  session: AWSSession,
  { id, field }: { readonly id: string; readonly field: string },
): Promise<Image> {
  try {
    const [image] = await describe(ctx, session, { ImageIds: [id] });
    if (image !== undefined) return image;
  } catch (error) {
    if (!isRefused(error, 'InvalidAMIID.')) throw error;
  }
  throw notFound(`${field}: region ${session.region} has no AMI ${id} that this account may use`);
}

async function search(
  ctx: Ctx,
  session: AWSSession,
  lookup: NonNullable<AWSImage['lookup']> & { readonly architectures: readonly string[] },
): Promise<Image> {
  const { owner, name, architecture, mostRecent = false, architectures } = lookup;
  const wanted = architecture === undefined ? architectures : [architecture];
  const images = await describe(ctx, session, {
    Owners: [owner],
    Filters: [
      { Name: 'name', Values: [name] },
      { Name: 'state', Values: ['available'] },
      ...(wanted.length === 0 ? [] : [{ Name: 'architecture', Values: [...wanted] }]),
    ],
  });
  const newestFirst = [...images].sort(
    (a, b) => compare(b.CreationDate, a.CreationDate) || compare(a.ImageId, b.ImageId),
  );
  const [first] = newestFirst;
  const what = `${name} of owner ${owner}${wanted.length === 0 ? '' : ` for ${wanted.join(' or ')}`}`;
  if (first === undefined) throw notFound(`lookup: region ${session.region} has no AMI ${what}`);
  if (images.length === 1 || mostRecent) return first;
  throw ambiguous(what, newestFirst);
}

function ambiguous(what: string, images: readonly Image[]): TerminalError {
  const names = images.slice(0, MAX_NAMES).map(({ Name = '', ImageId = '' }) => `${Name} (${ImageId})`);
  const more = images.length > MAX_NAMES ? ' and others' : '';
  const message = `spec.aws.image.lookup: ${images.length} AMIs match ${what}: ${names.join(', ')}${more}`;
  return new TerminalError(
    Reason.ImageAmbiguous,
    `${message}; make the name narrower, or set mostRecent: true to take the newest`,
  );
}

async function describe(ctx: Ctx, session: AWSSession, input: DescribeImagesCommandInput): Promise<Image[]> {
  const images: Image[] = [];
  let NextToken: string | undefined;
  do {
    const page = await session.ec2(ctx, new DescribeImagesCommand({ ...input, NextToken }));
    images.push(...(page.Images ?? []));
    NextToken = page.NextToken === '' ? undefined : page.NextToken;
  } while (NextToken !== undefined);
  return images;
}

function notFound(message: string): TerminalError {
  const way = 'mend the template and delete the Machine to have it replaced';
  return new TerminalError(Reason.ImageNotFound, `spec.aws.image.${message}; ${way}`);
}

/** ISO 8601 dates and ids sort as text. */
function compare(a = '', b = ''): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
