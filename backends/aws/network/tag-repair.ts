// SPDX-License-Identifier: Apache-2.0
// Tags of the spec that parts do not have: it got them since, or somebody took them off.
import { CreateTagsCommand } from '@aws-sdk/client-ec2';
import { tagList } from '../tags.ts';
import { together } from './observation.ts';
import { type Kind, type Part } from './parts.ts';
import { attempt, type Run, slotTags } from './run.ts';
import { subnetSlot } from './vpc.ts';

/** Adds what is missing, one call for all parts that miss the same. Tags of others stay, and those that the spec has no more. */
export async function repairTags(run: Run): Promise<void> {
  const missing = Object.entries(run.seen).flatMap(([kind, parts]) =>
    parts.map((part: Part) => ({ id: part.id, tags: missingTags(run, kind as Kind, part) })),
  );
  const incomplete = missing.filter(({ tags }) => Object.keys(tags).length > 0);
  const byTags = Map.groupBy(incomplete, ({ tags }) => JSON.stringify(tagList(tags)));
  await together(
    [...byTags.values()].map((parts) => {
      const Resources = parts.map(({ id }) => id);
      const Tags = tagList(parts[0]?.tags ?? {});
      return attempt(run, 'tags', () => run.session.ec2(run.ctx, new CreateTagsCommand({ Resources, Tags })));
    }),
  );
}

function missingTags(run: Run, kind: Kind, part: Part): Record<string, string> {
  // A deleted NAT gateway is listed for a while.
  if (kind === 'natGateways' && 'state' in part && part.state !== 'available') return {};
  const { Name, ...wanted } = slotTags(run, slotOf(kind, part));
  // A name is for people: they may change it. It is only made where there is none.
  const name = part.tags['Name'] === undefined && Name !== undefined ? { Name } : {};
  const different = Object.entries(wanted).filter(([key, value]) => part.tags[key] !== value);
  return { ...name, ...Object.fromEntries(different) };
}

function slotOf(kind: Kind, { role, zone }: Part) {
  if (kind === 'subnets' && (role === 'public' || role === 'private')) return subnetSlot(role, zone);
  return { kind, role, ...(zone !== '' && { zone }) };
}
