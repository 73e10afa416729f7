// SPDX-License-Identifier: Apache-2.0
// Subnets, security groups and instance profiles that were made a moment ago: EC2 does not know them everywhere yet.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { AWSRefusal, AWSSession } from '../session/session.ts';
import { PROFILE } from './refusal.ts';

/** What a launch names that may be that new. */
export interface NamedResources {
  readonly subnetID: string;
  readonly securityGroupIDs: readonly string[];
  /** '' without one. */
  readonly profile: string;
}

/** What EC2 has refused to know of late. */
export interface FreshResources {
  /**
   * How long to wait before it is asked again; `undefined` for a refusal of something else, and where the same thing has not been known
   * for the whole window: then it is a mistake.
   */
  refused(session: AWSSession, named: NamedResources, error: AWSRefusal): number | undefined;
  /** EC2 knows all of them. */
  known(session: AWSSession, named: NamedResources): void;
}

const POLL_MS = 5_000;
/** Longer than a mistake rests until it is tried again; what was refused before is forgotten. */
const FORGET_MS = 3_600_000;

interface Unknown {
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Nothing was refused yet. What one machine has found out counts for all that name the same. */
export function createFreshResources({ clock, windowMs }: FreshResourcesOptions): FreshResources {
  const unknown = new Map<string, Unknown>();
  return {
    refused(session, named, error) {
      const kind = kindOf(error);
      if (kind === undefined) return undefined;
      const nowMs = clock.now().getTime();
      for (const [key, { lastMs }] of unknown) if (hasPassed(clock, lastMs, FORGET_MS)) unknown.delete(key);
      const key = keysOf(session, named)[kind];
      const { sinceMs } = unknown.get(key) ?? { sinceMs: nowMs };
      unknown.set(key, { sinceMs, lastMs: nowMs });
      if (hasPassed(clock, sinceMs, windowMs)) return undefined;
      const forMs = nowMs - sinceMs;
      return Math.min(Math.max(forMs, POLL_MS), windowMs - forMs);
    },
    known(session, named) {
      for (const key of Object.values(keysOf(session, named))) unknown.delete(key);
    },
  };
}

export interface FreshResourcesOptions {
  readonly clock: Clock;
  /** How far EC2 may be behind. */
  readonly windowMs: number;
}

type Kind = 'subnet' | 'groups' | 'profile';

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['InvalidSubnetID.NotFound', 'subnet'],
  ['InvalidGroup.NotFound', 'groups'],
  ['InvalidSecurityGroupID.NotFound', 'groups'],
]);

function kindOf({ code, message }: AWSRefusal): Kind | undefined {
  return code === 'InvalidParameterValue' && PROFILE.test(message) ? 'profile' : KINDS.get(code);
}

function keysOf({ account, region }: AWSSession, { subnetID, securityGroupIDs, profile }: NamedResources) {
  const at = `${account} ${region}`;
  return {
    subnet: `${at} ${subnetID}`,
    groups: `${at} ${securityGroupIDs.toSorted().join(',')}`,
    profile: `${at} ${profile}`,
  };
}
