// SPDX-License-Identifier: Apache-2.0
// One pass over a network: it goes as far as it can, and notes what it waits for.
import type { Tag, TagSpecification } from '@aws-sdk/client-ec2';
import type { AWSClusterSpec } from '../../../api/aws/cluster.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { ClusterFacts } from '../../cluster-backend.ts';
import { ownerTag } from '../cluster-owner.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import { tagList, tagsOf } from '../tags.ts';
import type { NetworkMemory } from './memory.ts';
import { type Kind, KINDS, type Part, type Parts, type PartsByKind, ZONE_TAG } from './parts.ts';

/** A pass over one network. Steps return early where something is missing, and say in `waits` what. */
export interface Run {
  readonly ctx: Ctx;
  readonly session: AWSSession;
  readonly cluster: ClusterFacts;
  readonly aws: AWSClusterSpec;
  readonly memory: NetworkMemory;
  /** What is ours; what this pass makes is added. */
  readonly seen: PartsByKind;
  /** Sentences for people; empty: everything is as it shall be. */
  readonly waits: Set<string>;
  /** The same, of what only machines need: a load balancer can be made meanwhile. */
  readonly waitsOfMachines: Set<string>;
  /** The same, of what failed: milliseconds until it is looked at again. */
  readonly postponed: Map<string, number>;
}

/** Which part of a network something is; there is one for each. */
export interface Slot<K extends Kind> {
  readonly kind: K;
  readonly role: string;
  /** Absent where there is one for all zones. */
  readonly zone?: string;
  /** Further tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** Codes that say that somebody, maybe we, has made this before. */
const CONFLICT = /\.(Conflict|Duplicate|AlreadyAssociated)$|AlreadyExists$/;
/** The same, without a code of its own. */
const CONFLICT_MESSAGE = /already has an internet gateway/;

/** Whether AWS says that something which was named does not exist, or no longer. */
export function isUnknown(error: unknown): boolean {
  return error instanceof AWSRefusal && /NotFound$/.test(error.code);
}

/** The part in a slot, where it exists. */
export function find<K extends Kind>(run: Run, { kind, role, zone }: Slot<K>): Parts[K] | undefined {
  const parts: readonly Parts[K][] = run.seen[kind];
  return parts.find((part) => part.role === role && (zone === undefined || part.zone === zone));
}

/** How often `create` can be sent. */
export interface Repetition {
  /** A second call makes a second thing: AWS knows no token and no name for it. */
  readonly doubles: boolean;
}

/**
 * The part in a slot, made where it is missing; `undefined` while it cannot be known, or not be made yet. A call whose answer was lost is
 * only repeated after the consistency window where it may double.
 */
export async function make<K extends Kind>(
  run: Run,
  slot: Slot<K>,
  { doubles }: Repetition,
  create: () => Promise<Parts[K]>,
): Promise<Parts[K] | undefined> {
  const what = nameOf(slot);
  const present = find(run, slot);
  if (present !== undefined) {
    run.memory.trust(what);
    return present;
  }
  if (doubles && run.memory.doubtOf(what) === 'open') {
    run.waits.add(`waiting to see whether the ${what} was made, since the answer of AWS was lost`);
    return undefined;
  }
  const answer = await attempt(run, what, async () => {
    try {
      return await create();
    } catch (error) {
      if (error instanceof TransientError) run.memory.doubt(what);
      throw error;
    }
  });
  if (answer === undefined) return undefined;
  // Not every answer repeats the tags that it was asked for.
  const made = { ...answer, role: slot.role, zone: slot.zone ?? '', tags: slotTags(run, slot) };
  run.memory.remember(slot.kind, made);
  (run.seen[slot.kind] as Part[]).push(made);
  return made;
}

/**
 * Sends a call that changes something. `undefined` where its success is not clear yet: what was made a moment ago is not known
 * everywhere at AWS, and something that we do not see may be ours. What is not cleared up within the window is thrown.
 */
export async function attempt<T>(run: Run, what: string, send: () => Promise<T>): Promise<T | undefined> {
  try {
    const answer = await send();
    run.memory.trust(what);
    return answer;
  } catch (error) {
    if (!isUnclear(run, what, error)) throw error;
    run.waits.add(`waiting for AWS to know of the ${what} everywhere`);
    return undefined;
  }
}

function isUnclear({ memory }: Run, what: string, error: unknown): boolean {
  if (isUnknown(error)) return memory.hasFresh();
  if (!(error instanceof AWSRefusal)) return false;
  if (!CONFLICT.test(error.code) && !CONFLICT_MESSAGE.test(error.message)) return false;
  if (memory.doubtOf(what) === 'clear') memory.doubt(what);
  return memory.doubtOf(what) === 'open';
}

/** For people: `subnet (private, eu-central-1a)`. */
export function nameOf({ kind, role, zone }: Slot<Kind>): string {
  const { noun } = KINDS[kind];
  const details = [role, zone].filter((detail) => detail !== undefined && detail !== kindRole(kind));
  return details.length === 0 ? noun : `${noun} (${details.join(', ')})`;
}

/** What of a kind there is one of has it as its role. */
function kindRole(kind: Kind): string | undefined {
  if (kind === 'vpcs') return 'vpc';
  if (kind === 'internetGateways') return 'internet-gateway';
  return kind === 'natGateways' || kind === 'addresses' ? 'nat' : undefined;
}

/** Tags of what is made for a slot, by key. */
export function slotTags({ cluster, aws }: Run, { role, zone, tags }: Slot<Kind>): Record<string, string> {
  return tagsOf({
    infrastructureID: cluster.infrastructureID,
    clusterName: cluster.clusterName,
    role,
    name: [cluster.clusterName, role, zone].filter((word) => word !== undefined).join('-'),
    user: [aws.tags],
    own: { ...ownerTag(cluster), ...(zone !== undefined && { [ZONE_TAG]: zone }), ...tags },
  });
}

/** Tags in the create call, so that there is never anything of ours without them. */
export function tagSpecification(run: Run, slot: Slot<Kind>): TagSpecification[] {
  const Tags: Tag[] = tagList(slotTags(run, slot));
  return [{ ResourceType: KINDS[slot.kind].type, Tags }];
}
