// SPDX-License-Identifier: Apache-2.0
// Machine pools on Auto Scaling groups: one group and one launch template for each pool, both named by its infrastructureID.
import type { AutoScalingGroup } from '@aws-sdk/client-auto-scaling';
import type { AWSClusterSpec } from '../../../api/aws/cluster.ts';
import { Reason } from '../../../api/conditions.ts';
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { BootstrapData, Destroyed, Sizing } from '../../backend.ts';
import type { EnsuredPool, MachinePoolBackend, PoolFacts, PoolGroup } from '../../machine-pool-backend.ts';
import { openCluster, openRecorded } from '../account.ts';
import { createNameMemory } from '../name-memory.ts';
import type { Rest } from '../rest.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { tagsOf, POOL_TAG } from '../tags.ts';
import { launchFailure } from './activities.ts';
import { groupName, stateOf } from './group.ts';
import { changeGroup, createGroup, emptyGroup, findGroup, poolTag, setProtection } from './groups.ts';
import { templateContent } from './launch-data.ts';
import { createLaunchTemplates, type LaunchTemplates, type TemplateOwner } from './launch-templates.ts';
import { machineSpec, poolInstances, versionOf } from './machines.ts';
import { findPlace, type PlaceSources } from './place.ts';
import { removePool } from './removal.ts';

/** What a pool backend is made of. */
export interface AWSPoolDeps extends PlaceSources {
  readonly sessions: AWSSessions;
  readonly rest: Rest;
  readonly clock: Clock;
  /** Absent: sizes of machines are not known. */
  readonly sizing?: Sizing;
}

/** A group on its way is looked at this often; one that is as it shall be, less. */
const MOVING_POLL_MS = 5_000;
const CREATED_POLL_MS = 2_000;
const STEADY_POLL_MS = 120_000;
/** The group, and its templates now and then. */
const STEADY_CALLS = 1.5;
/** Nobody tells us when somebody else scales. */
const SIZED_ELSEWHERE_POLL_MS = 30_000;
/** A launch takes about so long to be visible as an instance: before, nothing is wrong. */
const LAUNCH_MS = 30_000;

/** The pool backend of AWS. */
export function createAWSPoolBackend(deps: AWSPoolDeps): MachinePoolBackend {
  const templates = createLaunchTemplates(deps);
  const shortages = createShortages(deps.clock);
  const memory = createNameMemory(deps.clock);
  return {
    place: (ctx, pool) => placeOf(ctx, deps.sessions, pool),
    async observe(ctx, pool) {
      const session = await open(ctx, deps.sessions, pool);
      const group = await findGroup(ctx, session, pool);
      if (group === undefined) return { state: 'absent' };
      memory.mayBe(groupName(pool));
      const versions = [...new Set((group.Instances ?? []).map(versionOf))];
      const materials =
        versions.length === 0
          ? new Map<string, string>()
          : await templates.materials(ctx, session, ownerOf(pool), versions);
      return {
        state: 'present',
        providerID: group.AutoScalingGroupARN ?? '',
        instances: poolInstances(pool, group, materials),
        desired: group.DesiredCapacity ?? 0,
        native: group,
      };
    },
    async ensure(ctx, pool, seen, data) {
      const session = await open(ctx, deps.sessions, pool);
      memory.mayBe(groupName(pool));
      const wanted = await wantedGroup(ctx, session, { deps, templates, pool, data });
      if (seen.state === 'absent') {
        await createGroup(ctx, session, wanted);
        const waiting = { reason: Reason.PoolScaling, message: 'The Auto Scaling group was asked for' };
        return { template: wanted.material, waiting, pollMs: CREATED_POLL_MS };
      }
      const group = nativeOf(seen);
      const isChanged = await changeGroup(ctx, session, wanted, group);
      const inUse = new Set([wanted.template.version, ...(group.Instances ?? []).map(versionOf)]);
      await templates.prune(ctx, session, ownerOf(pool), inUse);
      if (isChanged) return { template: wanted.material, pollMs: CREATED_POLL_MS };
      const waiting = await shortages.of(ctx, session, group);
      if (waiting.waiting !== undefined)
        return { template: wanted.material, ...waiting, pollMs: MOVING_POLL_MS };
      return { template: wanted.material, pollMs: restOf(pool, session, deps.rest) };
    },
    async close(ctx, pool, seen) {
      const session = await open(ctx, deps.sessions, pool);
      const group = nativeOf(seen);
      // What somebody else scaled was not protected: it would go without a drain.
      await setProtection(ctx, session, group, true);
      await emptyGroup(ctx, session, group);
    },
    async remove(ctx, pool): Promise<Destroyed> {
      const session = await open(ctx, deps.sessions, pool);
      return removePool(ctx, session, { pool, templates, owner: ownerOf(pool), memory });
    },
    async size(ctx, { namespace, spec, cluster }) {
      if (spec.aws === undefined) return undefined;
      return deps.sizing?.size(ctx, { namespace, spec: { aws: machineSpec(spec.aws) }, cluster });
    },
  };
}

function restOf(pool: PoolFacts, session: AWSSession, rest: Rest): number {
  const atLeastMs = pool.isSizedElsewhere ? SIZED_ELSEWHERE_POLL_MS : STEADY_POLL_MS;
  return rest.after(session, { what: `pool ${groupName(pool)}`, calls: STEADY_CALLS, atLeastMs });
}

async function placeOf(
  ctx: Ctx,
  sessions: AWSSessions,
  { namespace, cluster }: Pick<PoolFacts, 'namespace' | 'cluster'>,
): Promise<Readonly<Record<string, string>>> {
  const aws = awsOf(cluster);
  const infrastructureID = cluster?.infrastructureID;
  if (infrastructureID === undefined)
    throw new TransientError('The TSCluster has no spec.infrastructureID yet');
  const { region, account } = await openCluster(ctx, sessions, { namespace, aws });
  return { region, identity: aws.identityRef.name, account, cluster: infrastructureID };
}

function awsOf(cluster: PoolFacts['cluster']): AWSClusterSpec {
  if (cluster?.aws !== undefined) return cluster.aws;
  const message = 'The TSMachinePool has aws, and its cluster no TSCluster with aws: take a cluster on AWS';
  throw new TerminalError(Reason.InvalidMachine, message);
}

/** By what was recorded, not by what the cluster says: it may be gone. An older version has not recorded the account. */
function open(
  ctx: Ctx,
  sessions: AWSSessions,
  { namespace, choice, cluster }: PoolFacts,
): Promise<AWSSession> {
  const { region = '', identity = '', account = cluster?.aws?.accountID } = choice;
  const told = 'this pool was made in';
  const home = { namespace, identity, region, account, told };
  return openRecorded(ctx, sessions, home, cluster?.aws?.identityRef.name);
}

function ownerOf(pool: PoolFacts): TemplateOwner {
  return { name: groupName(pool), pool: poolTag(pool) };
}

function nativeOf({ native }: PoolGroup): AutoScalingGroup {
  return native as AutoScalingGroup;
}

interface Wanting {
  readonly deps: AWSPoolDeps;
  readonly templates: LaunchTemplates;
  readonly pool: PoolFacts;
  readonly data: BootstrapData;
}

async function wantedGroup(ctx: Ctx, session: AWSSession, { deps, templates, pool, data }: Wanting) {
  const clusterSpec = awsOf(pool.cluster);
  const spec = pool.spec.aws!;
  const { cluster: infrastructureID = '' } = pool.choice;
  const cluster = { infrastructureID, spec: clusterSpec };
  const presentImage = (asked: string) => templates.image(ctx, session, ownerOf(pool), asked);
  const place = await findPlace(ctx, session, deps, { pool, spec, cluster, presentImage });
  const tags = tagsOf({
    infrastructureID,
    clusterName: pool.clusterName,
    role: 'node',
    name: pool.name,
    user: [clusterSpec.tags, spec.tags],
    own: { [POOL_TAG]: poolTag(pool) },
  });
  const content = templateContent(spec, place, { tags, bootstrap: data });
  const template = await templates.ensure(ctx, session, { ...ownerOf(pool), tags, content });
  return { pool, spec, template, tags, subnetIDs: place.subnetIDs, material: content.material };
}

/** Says why a group has fewer instances than it is to have, and asks AWS for it now and then only. */
function createShortages(clock: Clock) {
  const asked = new Map<string, { readonly atMs: number; readonly waiting: EnsuredPool['waiting'] }>();
  return {
    async of(ctx: Ctx, session: AWSSession, group: AutoScalingGroup): Promise<Pick<EnsuredPool, 'waiting'>> {
      const { AutoScalingGroupName: name = '', DesiredCapacity: desired = 0, Instances = [] } = group;
      const states = Instances.map(stateOf);
      const running = states.filter((state) => state === 'running').length;
      const coming = states.filter((state) => state === 'starting').length;
      const key = `${session.account} ${session.region} ${name}`;
      if (running >= desired) {
        asked.delete(key);
        return {};
      }
      const message = `${running} of ${desired} instances of the group run`;
      const scaling = { waiting: { reason: Reason.PoolScaling, message } };
      const known = asked.get(key) ?? { atMs: clock.now().getTime(), waiting: undefined };
      asked.set(key, known);
      if (running + coming >= desired) return scaling;
      if (!hasPassed(clock, known.atMs, LAUNCH_MS)) return { waiting: known.waiting ?? scaling.waiting };
      const waiting = await launchFailure(ctx, session, name);
      asked.set(key, { atMs: clock.now().getTime(), waiting });
      return { waiting: waiting ?? scaling.waiting };
    },
  };
}
