// SPDX-License-Identifier: Apache-2.0
// The Node in the workload cluster: out of service while its pods move, which only happens when nothing of them can run any more.
import type { Node, Pod } from '../../api/cluster-api.ts';
import { NodeKind, PodKind, TSHostKind } from '../../api/kinds.ts';
import { HOLD_KUBELET_ANNOTATION } from '../../api/labels.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { ApiError, errorMessage, TransientError } from '../../runtime/errors.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { isClaimedBy, type RemediationDeps, type RemediationScope } from './scope.ts';

/** The taint by which the control plane takes pods and volumes away from a Node that is proven to be down. */
const OUT_OF_SERVICE = {
  key: 'node.kubernetes.io/out-of-service',
  value: 'nodeshutdown',
  effect: 'NoExecute',
} as const;

/** Of a static pod's image in the API. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** One look at the workload cluster. */
const CALL_MS = 10_000;

/** What came of it, or why the workload cluster could not be worked with: that may heal alone. */
export type Worked<T> = { readonly result: T } | { readonly trouble: string };

/** Declares the Node out of service, and names the pods that have not moved yet; none where there is no Node. */
export async function evacuate(
  ctx: Ctx,
  scope: RemediationScope,
  deps: RemediationDeps,
): Promise<Worked<readonly string[] | undefined>> {
  const proven = await isProven(ctx, scope, deps);
  return atWorkload(ctx, scope, deps, async (workload, node, signal) => {
    const fieldSelector = `spec.nodeName=${node.metadata.name}`;
    const pods = (await workload.list(PodKind, { fieldSelector }, signal)).filter((pod) => !stays(pod));
    if (pods.length > 0 && !isTainted(node) && proven)
      await setTaints(workload, node, [...taintsOf(node), OUT_OF_SERVICE], signal);
    return pods.map((pod) => keyOf(nameOf(pod))).toSorted();
  });
}

/** Takes the taint back. */
export function returnToService(
  ctx: Ctx,
  scope: RemediationScope,
  deps: RemediationDeps,
): Promise<Worked<undefined>> {
  return atWorkload(ctx, scope, deps, async (workload, node, signal) => {
    if (!isTainted(node)) return undefined;
    const others = taintsOf(node).filter(({ key }) => key !== OUT_OF_SERVICE.key);
    await setTaints(workload, node, others, signal);
    return undefined;
  });
}

/** Read past the cache: whoever has let the kubelet start meanwhile has its pods running. */
async function isProven(
  ctx: Ctx,
  { host, tsMachine }: RemediationScope,
  { client }: RemediationDeps,
): Promise<boolean> {
  if (host === undefined || tsMachine === undefined) return false;
  const now = await client.get(TSHostKind, nameOf(host), ctx.signal);
  return (
    now !== undefined &&
    isClaimedBy(now, tsMachine) &&
    now.metadata.annotations?.[HOLD_KUBELET_ANNOTATION] === 'held'
  );
}

/** `undefined` where there is no kubeconfig or no Node, and so nothing to do. */
async function atWorkload<T>(
  ctx: Ctx,
  scope: RemediationScope,
  { workloads }: RemediationDeps,
  work: (workload: Client, node: Node, signal: AbortSignal) => Promise<T>,
): Promise<Worked<T | undefined>> {
  const { live, tsMachine } = scope;
  const name = live?.status?.nodeRef?.name;
  if (live === undefined || name === undefined) return { result: undefined };
  const cluster = { namespace: nameOf(live).namespace, clusterName: live.spec.clusterName };
  const workload = await workloads.connect(ctx, cluster);
  if (workload === undefined) return { result: undefined };
  return tried(ctx, async (signal) => {
    const node = await workload.get(NodeKind, { namespace: '', name }, signal);
    // A namesake is another machine's.
    const isOurs = node !== undefined && node.spec?.providerID === tsMachine?.spec.providerID;
    return isOurs ? work(workload, node, signal) : undefined;
  });
}

async function tried<T>(ctx: Ctx, call: (signal: AbortSignal) => Promise<T>): Promise<Worked<T>> {
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(CALL_MS)]);
  try {
    return { result: await call(signal) };
  } catch (error) {
    const mayHeal = error instanceof ApiError || error instanceof TransientError || signal.aborted;
    if (ctx.signal.aborted || !mayHeal) throw error;
    return { trouble: `The workload cluster does not answer: ${errorMessage(error)}` };
  }
}

async function setTaints(
  workload: Client,
  node: Node,
  taints: ReturnType<typeof taintsOf>,
  signal: AbortSignal,
): Promise<void> {
  const { resourceVersion, uid } = node.metadata;
  const body = { metadata: { resourceVersion, uid }, spec: { taints: taints.length > 0 ? taints : null } };
  await workload.patch(NodeKind, nameOf(node), body, { signal });
}

function taintsOf({ spec }: Node): readonly { key: string; value?: string; effect: string }[] {
  return spec?.taints ?? [];
}

function isTainted(node: Node): boolean {
  return taintsOf(node).some(({ key }) => key === OUT_OF_SERVICE.key);
}

/** A pod that the taint does not move, or whose work is done. */
function stays(pod: Pod): boolean {
  const isDone = ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
  return isDone || isOfNode(pod) || pod.spec?.tolerations?.some(tolerates) === true;
}

/** Made for this very Node: by a DaemonSet, or by its kubelet. */
function isOfNode({ metadata: { annotations = {}, ownerReferences = [] } }: Pod): boolean {
  return (
    annotations[MIRROR_ANNOTATION] !== undefined ||
    ownerReferences.some(({ kind, controller }) => kind === 'DaemonSet' && controller === true)
  );
}

type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];

function tolerates({
  key = '',
  operator = 'Equal',
  value,
  effect = '',
  tolerationSeconds,
}: Toleration): boolean {
  const isMeant =
    operator === 'Exists'
      ? ['', OUT_OF_SERVICE.key].includes(key)
      : key === OUT_OF_SERVICE.key && value === OUT_OF_SERVICE.value;
  return isMeant && ['', OUT_OF_SERVICE.effect].includes(effect) && tolerationSeconds === undefined;
}
