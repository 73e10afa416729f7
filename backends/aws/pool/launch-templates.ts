// SPDX-License-Identifier: Apache-2.0
// The launch template of a pool: one, whose versions carry in their description what they were made from.
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DeleteLaunchTemplateCommand,
  DeleteLaunchTemplateVersionsCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type LaunchTemplate,
  type LaunchTemplateVersion,
  ModifyLaunchTemplateCommand,
} from '@aws-sdk/client-ec2';
import { Reason } from '../../../api/conditions.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TerminalError, TransientError } from '../../../runtime/errors.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { POOL_TAG, tagList, tagValue } from '../tags.ts';
import { hashOf, type TemplateContent } from './launch-data.ts';

/** Whose template it is. */
export interface TemplateOwner {
  /** Of the template: as the group's. */
  readonly name: string;
  /** `<namespace>/<name>` of the TSMachinePool. */
  readonly pool: string;
}

interface Version {
  readonly id: string;
  readonly version: string;
}

/** A template that is there, and the version that a group has to use. */
export interface CurrentTemplate extends Version {
  /** Made a moment ago: others at AWS may not know it yet. */
  readonly isFresh: boolean;
}

/** Launch templates of all pools. What is known of one is kept, since nobody else writes it, and read again every ten minutes. */
export interface LaunchTemplates {
  /** The version with this content, made where there is none. */
  ensure(
    ctx: Ctx,
    session: AWSSession,
    wanted: TemplateOwner & {
      readonly tags: Readonly<Record<string, string>>;
      readonly content: TemplateContent;
    },
  ): Promise<CurrentTemplate>;
  /** Id of the image of the present version, where that was found for the same question ({@link TemplateContent.asked}). */
  image(ctx: Ctx, session: AWSSession, owner: TemplateOwner, asked: string): Promise<string | undefined>;
  /** What versions were made from, by number. A version that is not among them is not known any more. */
  materials(
    ctx: Ctx,
    session: AWSSession,
    owner: TemplateOwner,
    versions: readonly string[],
  ): Promise<ReadonlyMap<string, string>>;
  /** Deletes versions that no instance was made from, except for the current one. Never fails: what stays is tried again. */
  prune(ctx: Ctx, session: AWSSession, owner: TemplateOwner, inUse: ReadonlySet<string>): Promise<void>;
  /** It is gone when this returns. */
  remove(ctx: Ctx, session: AWSSession, owner: TemplateOwner): Promise<void>;
}

/** What the description of a version says. */
type Made = Pick<TemplateContent, 'material' | 'request' | 'asked' | 'image'>;

interface Known {
  readonly id: string;
  readonly readMs: number;
  default: string;
  /** By number. */
  readonly versions: Map<string, Made>;
  /** Asked for and not there. */
  readonly missing: Set<string>;
}

const READ_AGAIN_MS = 10 * 60_000;
const NOT_FOUND = ['InvalidLaunchTemplateName.', 'InvalidLaunchTemplateId.NotFound'];
/** Most versions that one call deletes (EC2 API reference, DeleteLaunchTemplateVersions). */
const DELETED_AT_ONCE = 200;

/** Nothing is known at first. */
export function createLaunchTemplates({ clock }: { readonly clock: Clock }): LaunchTemplates {
  const memory = new Map<string, Known>();
  const isFresh = createFreshness(clock);
  const keyOf = (session: AWSSession, name: string) => `${session.account} ${session.region} ${name}`;

  const look = async (ctx: Ctx, session: AWSSession, owner: TemplateOwner) => {
    const key = keyOf(session, owner.name);
    const kept = memory.get(key);
    if (kept !== undefined && !hasPassed(clock, kept.readMs, READ_AGAIN_MS)) return kept;
    memory.delete(key);
    const read = await readTemplate(ctx, session, owner, clock.now().getTime());
    if (read !== undefined) memory.set(key, read);
    return read;
  };

  return {
    async ensure(ctx, session, wanted) {
      const known = await look(ctx, session, wanted);
      const key = keyOf(session, wanted.name);
      try {
        const current =
          known === undefined
            ? await createTemplate(ctx, session, wanted)
            : await ensureVersion(ctx, session, known, wanted);
        return { ...current, isFresh: isFresh(key, current) };
      } catch (error) {
        // Nothing is known of what was done.
        memory.delete(key);
        throw error;
      }
    },
    async image(ctx, session, owner, asked) {
      const known = await look(ctx, session, owner);
      const present = known?.versions.get(known.default);
      return present?.asked === asked && present.image !== '' ? present.image : undefined;
    },
    async materials(ctx, session, owner, versions) {
      const known = await look(ctx, session, owner);
      if (known === undefined) return new Map();
      const unknown = versions.filter((one) => !known.versions.has(one) && !known.missing.has(one));
      if (unknown.length === 0) return materialsOf(known);
      memory.delete(keyOf(session, owner.name));
      const again = await look(ctx, session, owner);
      unknown.filter((one) => again?.versions.has(one) === false).forEach((one) => again?.missing.add(one));
      return again === undefined ? new Map() : materialsOf(again);
    },
    async prune(ctx, session, owner, inUse) {
      const kept = memory.get(keyOf(session, owner.name));
      if (kept !== undefined) await deleteVersions(ctx, session, kept, inUse);
    },
    async remove(ctx, session, owner) {
      memory.delete(keyOf(session, owner.name));
      if ((await findTemplate(ctx, session, owner)) === undefined) return;
      ctx.log.info({ launchTemplate: owner.name }, 'Deleting launch template');
      try {
        await session.ec2(ctx, new DeleteLaunchTemplateCommand({ LaunchTemplateName: owner.name }));
      } catch (error) {
        if (!isRefused(error, ...NOT_FOUND)) throw error;
      }
    },
  };
}

const FRESH_MS = 60_000;

/** Whether a version was first heard of a moment ago: one that a process before this one made counts as well. */
function createFreshness(clock: Clock): (key: string, current: Version) => boolean {
  const first = new Map<string, Version & { readonly atMs: number }>();
  return (key, { id, version }) => {
    const known = first.get(key);
    if (known?.id === id && known.version === version) return !hasPassed(clock, known.atMs, FRESH_MS);
    first.set(key, { id, version, atMs: clock.now().getTime() });
    return true;
  };
}

function materialsOf({ versions }: Known): ReadonlyMap<string, string> {
  return new Map([...versions].map(([number, { material }]) => [number, material]));
}

/** Refuses one that was made for another pool: its name is in the spec, and specs are copied. */
async function findTemplate(
  ctx: Ctx,
  session: AWSSession,
  { name, pool }: TemplateOwner,
): Promise<LaunchTemplate | undefined> {
  const template = await unlessNotFound(async () => {
    const answer = await session.ec2(
      ctx,
      new DescribeLaunchTemplatesCommand({ LaunchTemplateNames: [name] }),
    );
    return answer.LaunchTemplates?.[0];
  });
  if (template === undefined || tagValue(template.Tags, POOL_TAG) === pool) return template;
  const whose = tagValue(template.Tags, POOL_TAG) ?? 'nobody that we know';
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Launch template ${name} belongs to ${whose}: take spec.infrastructureID off the copy of that TSMachinePool`,
  );
}

async function readTemplate(
  ctx: Ctx,
  session: AWSSession,
  owner: TemplateOwner,
  readMs: number,
): Promise<Known | undefined> {
  const template = await findTemplate(ctx, session, owner);
  if (template === undefined) return undefined;
  const versions = new Map<string, Made>();
  let NextToken: string | undefined;
  do {
    const page = await session.ec2(
      ctx,
      new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateName: owner.name, NextToken }),
    );
    for (const version of page.LaunchTemplateVersions ?? [])
      versions.set(String(version.VersionNumber), madeFrom(version));
    NextToken = page.NextToken;
  } while (NextToken !== undefined && NextToken !== '');
  const id = template.LaunchTemplateId ?? '';
  return { id, readMs, default: String(template.DefaultVersionNumber), versions, missing: new Set() };
}

async function unlessNotFound<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (isRefused(error, ...NOT_FOUND)) return undefined;
    throw error;
  }
}

async function createTemplate(
  ctx: Ctx,
  session: AWSSession,
  { name, tags, content }: Parameters<LaunchTemplates['ensure']>[2],
): Promise<Version> {
  ctx.log.info({ launchTemplate: name }, 'Creating launch template');
  try {
    const answer = await session.ec2(
      ctx,
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: name,
        LaunchTemplateData: content.data,
        VersionDescription: described(content),
        TagSpecifications: [{ ResourceType: 'launch-template', Tags: tagList(tags) }],
        ClientToken: hashOf([name, content.request]),
      }),
    );
    return { id: answer.LaunchTemplate?.LaunchTemplateId ?? '', version: '1' };
  } catch (error) {
    if (!isRefused(error, 'InvalidLaunchTemplateName.AlreadyExistsException')) throw error;
    throw new TransientError(`Launch template ${name} was made and is not visible yet`, { cause: error });
  }
}

/** An older version with the same content serves again: a change that is taken back needs no new one. */
async function ensureVersion(
  ctx: Ctx,
  session: AWSSession,
  known: Known,
  { name, content }: Parameters<LaunchTemplates['ensure']>[2],
): Promise<Version> {
  const same = [...known.versions].filter(([, { request }]) => request === content.request);
  const version = newest(same.map(([number]) => number)) ?? (await addVersion());
  // Versions cannot be deleted while they are the default one.
  if (known.default !== version) {
    const change = { LaunchTemplateName: name, DefaultVersion: version };
    await session.ec2(ctx, new ModifyLaunchTemplateCommand(change));
    known.default = version;
  }
  return { id: known.id, version };

  async function addVersion(): Promise<string> {
    ctx.log.info({ launchTemplate: name }, 'Creating launch template version');
    const last = newest([...known.versions.keys()]);
    const answer = await session.ec2(
      ctx,
      new CreateLaunchTemplateVersionCommand({
        LaunchTemplateName: name,
        LaunchTemplateData: content.data,
        VersionDescription: described(content),
        ClientToken: hashOf([name, last, content.request]),
      }),
    );
    const number = String(answer.LaunchTemplateVersion?.VersionNumber);
    known.versions.set(number, content);
    return number;
  }
}

async function deleteVersions(
  ctx: Ctx,
  session: AWSSession,
  known: Known,
  inUse: ReadonlySet<string>,
): Promise<void> {
  const unused = [...known.versions.keys()].filter((one) => one !== known.default && !inUse.has(one));
  if (unused.length === 0) return;
  const Versions = unused.slice(0, DELETED_AT_ONCE);
  try {
    await session.ec2(ctx, new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId: known.id, Versions }));
    for (const one of Versions) known.versions.delete(one);
  } catch (error) {
    // They cost nothing and go with the template: no reason to keep the pool from what it has to do.
    ctx.log.warn({ reason: errorMessage(error) }, 'Old versions of a launch template stay for now');
  }
}

function newest(numbers: readonly string[]): string | undefined {
  return numbers.toSorted((a, b) => Number(b) - Number(a))[0];
}

/** The description of a version: at most 255 characters. */
function described({ material, request, asked, image }: TemplateContent): string {
  return `material=${material} request=${request} asked=${asked} image=${image}`;
}

function madeFrom({ VersionDescription = '' }: LaunchTemplateVersion): Made {
  const words = VersionDescription.split(' ').map((word): [string, string] => {
    const [key = '', value = ''] = word.split('=');
    return [key, value];
  });
  return { ...{ material: '', request: '', asked: '', image: '' }, ...Object.fromEntries(words) };
}
