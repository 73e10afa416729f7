// SPDX-License-Identifier: Apache-2.0
// Gives Nodes what they lack.
import { Reason } from '../../api/conditions.ts';
import type { Node } from '../../api/cluster-api.ts';
import { NodeKind } from '../../api/kinds.ts';
import type { Ctx } from '../../runtime/context.ts';
import { ApiError, errorMessage, isConflict, isNotFound } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/object.ts';
import { addressMismatch, isLinked, type Link, linkNodes, nodeChange } from './linking.ts';
import type { NodeScope } from './scope.ts';

/** A Node as young as this may lack something yet that its kubelet, or another controller, is about to write. */
const YOUNG_MS = 120_000;

/** What a pass found out about the Nodes. */
export interface LinkedNodes {
  /** Machines whose Node carries their providerID, by the Node's name. */
  readonly byNode: ReadonlyMap<string, Link>;
  /** Something is about to change: it is worth to look again soon. */
  readonly unsettled: boolean;
}

/** Links every machine that has a Node. A Node that cannot be written is told of and left, the others go on. */
export async function tendNodes(ctx: Ctx, scope: NodeScope, nodes: readonly Node[]): Promise<LinkedNodes> {
  const { links, conflicts } = linkNodes(scope.machines, nodes);
  for (const { machine, message } of conflicts)
    scope.told.warn(machine, { reason: Reason.NodeIdentityConflict, action: 'LinkNode', note: message });

  const byNode = new Map<string, Link>();
  const settled = new Set(conflicts.map(({ machine }) => machine));
  const nowMs = ctx.clock.now().getTime();
  for (const link of links) {
    const tended = await tendNode(ctx, scope, link);
    if (!isLinked(tended)) continue;
    byNode.set(tended.node.metadata.name, tended);
    if (!isYoung(tended.node, nowMs)) settled.add(link.machine);
    tellMismatch(scope, tended);
  }
  const waitedFor = scope.machines.filter(({ status }) => status?.initialization?.provisioned === true);
  return { byNode, unsettled: waitedFor.some((machine) => !settled.has(machine)) };
}

/** The link with the Node as it is afterwards; as it was when somebody else has written it, and the next pass reads it again. */
async function tendNode(ctx: Ctx, scope: NodeScope, link: Link): Promise<Link> {
  const externalCloudProvider = scope.object.spec.hosts?.cloudControllerManager === 'External';
  const change = nodeChange(link, { externalCloudProvider });
  if (change === undefined) return link;
  const { machine, node } = link;
  ctx.log.info({ Node: node.metadata.name, TSMachine: machine.metadata.name }, 'Completing Node');
  try {
    return {
      machine,
      node: await scope.workload.patch(NodeKind, nameOf(node), change, { signal: ctx.signal }),
    };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!isConflict(error) && !isNotFound(error)) tellRefusal(scope, link, error);
    return link;
  }
}

/** Such as an admission webhook of the workload cluster that does not want it. */
function tellRefusal({ told }: NodeScope, { machine, node }: Link, error: ApiError): void {
  const note = `Node ${node.metadata.name} cannot be given its providerID, label or taints: ${errorMessage(error)}`;
  told.warn(machine, { reason: Reason.NodeIdentityConflict, action: 'LinkNode', note });
}

function tellMismatch({ told }: NodeScope, link: Link): void {
  const note = addressMismatch(link);
  if (note !== undefined)
    told.warn(link.machine, { reason: Reason.NodeIdentityConflict, action: 'CheckAddresses', note });
}

/** By the workload cluster's clock: one that is wrong makes us look a little more often, or less. */
function isYoung({ metadata }: Node, nowMs: number): boolean {
  return Math.abs(nowMs - Date.parse(metadata.creationTimestamp ?? '')) < YOUNG_MS;
}
