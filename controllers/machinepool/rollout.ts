// SPDX-License-Identifier: Apache-2.0
// Which machines of a pool go: those that are too many, and those that were made from something else than new ones.
import type { Machine } from '../../api/cluster-api.ts';
import { MachineKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, DELETE_MACHINE_ANNOTATION, POOL_NAME_LABEL } from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { PoolGroup } from '../../backends/machine-pool-backend.ts';
import { next, type Step } from '../../contract/phases.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Ctx } from '../../runtime/context.ts';
import { endMachine, machineOf, type MachineStore } from './machines.ts';
import { poolNameLabel } from './pool-label.ts';
import { clusterNameOf, isSizedElsewhere, type PoolScope, replicasOf } from './scope.ts';

/** An instance that is not on its way out, and what stands for it. */
interface Member {
  readonly name: string;
  /** `undefined` where it was not made yet. */
  readonly tsMachine: TSMachine | undefined;
  readonly machine: Machine | undefined;
}

/** Makes the pool as small as it is to be. Who decides on its size elsewhere chooses there. */
export async function shrink(ctx: Ctx, scope: PoolScope, store: MachineStore): Promise<Step> {
  if (isSizedElsewhere(scope.machinePool)) return next();
  const wanted = replicasOf(scope.machinePool);
  if (staying(scope, cached(store)).length <= wanted) return next();
  const members = staying(scope, await fresh(ctx, scope, store));
  const surplus = Math.max(0, members.length - wanted);
  scope.facts.surplus = surplus;
  const template = scope.facts.ensured?.template;
  const first = members.filter(({ tsMachine }) => tsMachine !== undefined).sort(byRank(template));
  for (const { tsMachine } of first.slice(0, surplus)) await endMachine(ctx, store, tsMachine!);
  return next();
}

/**
 * Replaces machines that are behind, so many at once as the spec allows: those that are not available anyway, which costs nobody anything,
 * then the others while enough are. Of a machine whose Node cannot be asked nothing is known: it is neither.
 */
export async function refresh(ctx: Ctx, scope: PoolScope, store: MachineStore): Promise<Step> {
  const { ensured, group, surplus = 0 } = scope.facts;
  if (ensured === undefined || group?.state !== 'present') return next();
  const isBehind = ({ tsMachine }: Member) =>
    tsMachine !== undefined && tsMachine.spec.createIntent?.requestHash !== ensured.template;
  scope.facts.outdated = staying(scope, cached(store)).filter(isBehind).length;
  // One thing after the other: those that are too many are chosen among those that are behind.
  if (scope.facts.outdated === 0 || surplus > 0) return next();
  const members = staying(scope, await fresh(ctx, scope, store));
  const behind = members.filter(isBehind).sort(byRank(undefined));
  for (const { tsMachine } of replaceable(behind, budgetOf(scope, group, members)))
    await endMachine(ctx, store, tsMachine!);
  return next();
}

/** How many machines that are of use may go now. */
function budgetOf({ object, machinePool }: PoolScope, group: PoolGroup, members: readonly Member[]): number {
  const wanted = isSizedElsewhere(machinePool) ? group.desired : replicasOf(machinePool);
  const available = members.filter((member) => readiness(member) === 'True').length;
  const maxUnavailable = object.spec.aws?.refresh?.maxUnavailable ?? 1;
  return Math.max(0, maxUnavailable - Math.max(0, wanted - available));
}

function replaceable(behind: readonly Member[], budget: number): Member[] {
  const broken = behind.filter((member) => readiness(member) === 'False');
  return [...broken, ...behind.filter((member) => readiness(member) === 'True').slice(0, budget)];
}

type Machines = (tsMachine: TSMachine) => Machine | undefined;

function cached({ cache }: MachineStore): Machines {
  return (tsMachine) => machineOf(cache, tsMachine);
}

/** As the API server has them now: whom we have deleted a moment ago goes already, and nobody else has to. */
async function fresh(ctx: Ctx, scope: PoolScope, { client }: MachineStore): Promise<Machines> {
  const { namespace = '' } = scope.object.metadata;
  const labels = {
    [POOL_NAME_LABEL]: poolNameLabel(scope.machinePool?.metadata.name ?? ''),
    [CLUSTER_NAME_LABEL]: clusterNameOf(scope.object, scope),
  };
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const machines = await client.list(MachineKind, { namespace, labelSelector }, ctx.signal);
  const byTSMachine = new Map(machines.map((one) => [one.spec.infrastructureRef.name, one]));
  return (tsMachine) => byTSMachine.get(tsMachine.metadata.name);
}

function staying({ facts }: PoolScope, machines: Machines): Member[] {
  const instances = facts.group?.state === 'present' ? facts.group.instances : [];
  return instances
    .filter(({ state }) => state !== 'leaving')
    .map(({ name }) => {
      const tsMachine = facts.tsMachines?.get(name);
      return { name, tsMachine, machine: tsMachine && machines(tsMachine) };
    })
    .filter((one) => ![one.tsMachine, one.machine].some((each) => each !== undefined && isDeleting(each)));
}

/** As core says; a machine that has not joined is of no use to anybody. */
function readiness({ machine }: Member): 'True' | 'False' | 'Unknown' {
  if (machine?.status?.nodeRef === undefined) return 'False';
  return machine.status.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'True';
}

/** Who goes first: whoever was named (IMP-9), who is not ready, who is behind, who is oldest. */
function byRank(template: string | undefined): (a: Member, b: Member) => number {
  const rank = (member: Member) => {
    const { tsMachine, machine } = member;
    const isNamed = machine?.metadata.annotations?.[DELETE_MACHINE_ANNOTATION] !== undefined;
    const isBehind = template !== undefined && tsMachine?.spec.createIntent?.requestHash !== template;
    return [
      ...[isNamed, readiness(member) !== 'True', isBehind].map((isFirst) => (isFirst ? '0' : '1')),
      // RFC 3339 in UTC sorts as text.
      ...[tsMachine?.metadata.creationTimestamp ?? '', member.name],
    ].join(' ');
  };
  return (a, b) => (rank(a) < rank(b) ? -1 : 1);
}
