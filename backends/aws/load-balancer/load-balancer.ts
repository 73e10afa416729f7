// SPDX-License-Identifier: Apache-2.0
// The load balancer of the API servers on AWS: a network load balancer, a listener and a target group.
import type { LoadBalancer } from '@aws-sdk/client-elastic-load-balancing-v2';
import { Reason } from '../../../api/conditions.ts';
import type { Endpoint } from '../../../api/tscluster.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { ClusterFacts, ClusterLoadBalancer, Ensured } from '../../cluster-backend.ts';
import { openCluster } from '../account.ts';
import { createNameMemory, type NameMemory } from '../name-memory.ts';
import type { NetworkFacts, NetworkReader } from '../network/facts.ts';
import type { Rest } from '../rest.ts';
import type { AWSSession, AWSSessions } from '../session/session.ts';
import { settleBalancer, subnetByZone } from './balancer.ts';
import { createFreshNetwork, type FreshNetwork } from './fresh-network.ts';
import { type Balancer, balancerByARN, look } from './look.ts';
import { settleListener } from './listener.ts';
import { balancerKey, groupKey, removeParts } from './remove.ts';
import { invalid, type Scope, scopeOf } from './scope.ts';
import { settleGroup } from './target-group.ts';
import { createTargets, type TargetRegistry, type Targets } from './targets.ts';

/** What it is made of. */
export interface LoadBalancerDeps {
  readonly sessions: AWSSessions;
  readonly network: NetworkReader;
  readonly rest: Rest;
  readonly clock: Clock;
  /** After so long a look shows everything that was made before it. Default: a minute. */
  readonly windowMs?: number;
}

/** How often all parts are looked at for what was changed outside, and in how many calls. */
const CHECK_MS = 10 * 60_000;
const CHECK_CALLS = 6;
/** AWS takes two to three minutes; one call each time. */
const PROVISIONING_POLL_MS = 5_000;

interface Deps extends LoadBalancerDeps {
  readonly targets: Targets;
  readonly fresh: FreshNetwork;
  readonly memory: NameMemory;
  /** By infrastructureID. */
  readonly settled: Map<string, Settled>;
}

/** All parts were as they shall be, for this spec; to be looked at again at `untilMs`. */
interface Settled {
  readonly spec: string;
  readonly untilMs: number;
  readonly balancer: Balancer;
}

type Answer = Ensured<{ readonly endpoint: Required<Endpoint>; readonly covers: readonly string[] }>;

/**
 * Ready once AWS says that the load balancer is active, and not before: the first machine asks its own API server through the endpoint
 * for some minutes only, and is lost when the name does not lead anywhere by then. Until then it costs one call each time; then none
 * for ten minutes or more, and six to look at all parts.
 */
export function createAWSLoadBalancer(given: LoadBalancerDeps): ClusterLoadBalancer & TargetRegistry {
  const targets = createTargets(given);
  const memory = createNameMemory(given.clock, given.windowMs);
  const fresh = createFreshNetwork(given.clock);
  const deps: Deps = { ...given, targets, fresh, memory, settled: new Map() };
  return {
    ensureLoadBalancer: (ctx, cluster) => ensure(ctx, cluster, deps),
    removeLoadBalancer: (ctx, cluster) => remove(ctx, cluster, deps),
    register: (ctx, session, cluster, instanceID) => targets.register(ctx, session, cluster, instanceID),
    deregister: (ctx, session, infrastructureID, instanceID) =>
      targets.deregister(ctx, session, infrastructureID, instanceID),
  };
}

async function ensure(ctx: Ctx, cluster: ClusterFacts, deps: Deps): Promise<Answer> {
  const scope = await open(ctx, cluster, deps);
  if (scope === undefined)
    throw invalid('spec.controlPlaneLoadBalancer.type is NLB, which needs spec.aws: add it');
  const known = await settledBefore(ctx, scope, deps);
  if (known !== undefined) return answerOf(scope, known, deps.clock);
  deps.settled.delete(cluster.infrastructureID);
  const balancer = await settle(ctx, scope, deps);
  const what = `load balancer ${cluster.infrastructureID}`;
  const restMs = deps.rest.after(scope.session, { what, calls: CHECK_CALLS, atLeastMs: CHECK_MS });
  const untilMs = deps.clock.now().getTime() + restMs;
  const settled = { spec: specOf(scope), untilMs, balancer };
  deps.settled.set(cluster.infrastructureID, settled);
  return answerOf(scope, settled, deps.clock);
}

async function open(ctx: Ctx, cluster: ClusterFacts, { sessions }: Deps): Promise<Scope | undefined> {
  const { namespace, spec } = cluster;
  if (spec.aws === undefined) return undefined;
  const session = await openCluster(ctx, sessions, { namespace, aws: spec.aws });
  return scopeOf(session, cluster, spec.aws);
}

/** What was settled a short while ago; of one that is still provisioning the state is asked for. */
async function settledBefore(ctx: Ctx, scope: Scope, deps: Deps): Promise<Settled | undefined> {
  const { infrastructureID } = scope.cluster;
  const known = deps.settled.get(infrastructureID);
  if (known === undefined || known.spec !== specOf(scope)) return undefined;
  if (deps.clock.now().getTime() >= known.untilMs) return undefined;
  if (isActive(known.balancer)) return known;
  const balancer = await balancerByARN(ctx, scope.session, known.balancer.LoadBalancerArn);
  if (balancer === undefined) return undefined;
  const renewed = { ...known, balancer };
  deps.settled.set(infrastructureID, renewed);
  return renewed;
}

/** All that the parts are made of, but for the host of the endpoint, which comes from them. */
function specOf({ session, cluster, aws, nlb, port }: Scope): string {
  const { namespace, name, clusterName } = cluster;
  return JSON.stringify([session.account, namespace, name, clusterName, aws, nlb, port]);
}

/** In an order in which each part finds what it needs; a load balancer that is provisioning takes a listener. */
async function settle(ctx: Ctx, scope: Scope, deps: Deps): Promise<Balancer> {
  const { network, targets, fresh, memory } = deps;
  const { session, cluster, aws } = scope;
  const { infrastructureID } = cluster;
  const facts = await network.networkFacts(ctx, session, { infrastructureID, spec: aws });
  const seen = await look(ctx, scope);
  if (seen.balancer === undefined) requireGroups(scope, facts, network);
  const balancer = await sending(balancerKey(scope), memory, () =>
    fresh.tolerate({ infrastructureID, spec: specOf(scope) }, () =>
      settleBalancer(ctx, scope, { seen, network: facts }),
    ),
  );
  const group = await sending(groupKey(scope), memory, () =>
    settleGroup(ctx, scope, { seen, network: facts }),
  );
  targets.found(session, infrastructureID, group.TargetGroupArn);
  await settleListener(ctx, scope, { balancer, group, listeners: seen.listeners });
  return balancer;
}

/** Whatever becomes of it: an answer may be lost, and a look of the next moment may not show what was made. */
async function sending<T>(key: string, memory: NameMemory, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } finally {
    memory.mayBe(key);
  }
}

/** AWS never gives groups to a load balancer that was made without. */
function requireGroups(
  { nlb, cluster }: Scope,
  { securityGroups }: NetworkFacts,
  network: NetworkReader,
): void {
  if (nlb.name !== undefined || securityGroups.loadBalancer.length > 0) return;
  network.forget(cluster.infrastructureID);
  throw new TransientError('The security group of the load balancer is not made, or not shown, yet');
}

function answerOf(scope: Scope, { balancer, untilMs }: Settled, clock: Clock): Answer {
  const name = balancer.LoadBalancerName ?? scope.name;
  const { Code, Reason: why } = balancer.State ?? {};
  if (Code === 'failed')
    throw invalid(
      `AWS could not make load balancer ${name}: ${why ?? 'it says not why'}. Delete it to try again`,
    );
  if (!isActive(balancer)) {
    const message = `AWS makes load balancer ${name}, which takes two to three minutes`;
    return {
      state: 'pending',
      reason: Reason.LoadBalancerCreating,
      message,
      pollMs: PROVISIONING_POLL_MS,
    };
  }
  const { host = balancer.DNSName ?? '' } = scope.cluster.spec.controlPlaneEndpoint ?? {};
  return {
    state: 'ready',
    endpoint: { host, port: scope.port },
    covers: [...subnetByZone(balancer).keys()].sort(),
    pollMs: Math.max(1_000, untilMs - clock.now().getTime()),
  };
}

/** `active_impaired` serves, but has no room to grow. */
function isActive({ State }: LoadBalancer): boolean {
  return State?.Code === 'active' || State?.Code === 'active_impaired';
}

async function remove(ctx: Ctx, cluster: ClusterFacts, deps: Deps): ReturnType<typeof removeParts> {
  const scope = await open(ctx, cluster, deps);
  if (scope === undefined) return { state: 'gone' };
  forget(scope.session, cluster.infrastructureID, deps);
  return removeParts(ctx, scope, deps.memory);
}

function forget(session: AWSSession, infrastructureID: string, { settled, targets }: Deps): void {
  settled.delete(infrastructureID);
  targets.forget(session, infrastructureID);
}
