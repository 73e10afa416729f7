// SPDX-License-Identifier: Apache-2.0
import type { Node } from '../../api/cluster-api.ts';
import { NodeKind } from '../../api/kinds.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists, TerminalError } from '../../runtime/errors.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import type { FirstBoot, Taint } from './bootstrap-data.ts';
import {
  CONTROL_PLANE_ROLE,
  initCluster,
  readClusterFacts,
  removeStaticPods,
  runStaticPods,
} from './guest-control-plane.ts';
import type { Instance } from './instance.ts';
import { lostConditions, nodeStatus } from './node-status.ts';
import type { WorkloadAPI } from './workload.ts';

/** One guest: the machine it runs on, what its first boot says, and the API server of its cluster. */
export interface Guest {
  readonly api: WorkloadAPI;
  readonly instance: Instance;
  readonly boot: FirstBoot;
}

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** While another object of the same name goes away, or a control plane comes up. */
const WAIT_MS = 2_000;

/**
 * What kubeadm and the kubelet do at the first boot, as far as others can see it: the Node, and on control planes the static
 * pods, kubeadm-config and the addons. Every step looks before it writes, so it can be cut off anywhere and started again.
 */
export async function bringUp(ctx: Ctx, guest: Guest): Promise<Outcome> {
  const facts = await readClusterFacts(ctx, guest);
  if (facts === undefined) return waitFor(WAIT_MS, 'Waiting for the control plane to be initialized');

  const node = await ensureNode(ctx, guest, facts.kubernetesVersion);
  if (node === undefined) {
    return waitFor(WAIT_MS, `Waiting for Node ${guest.boot.nodeName} of an earlier machine to go away`);
  }
  if (guest.boot.role !== 'workerJoin') await runStaticPods(ctx, guest, facts, node);
  await liftNotReady(ctx, guest.api, node);
  // Last: whoever sees kubeadm-config takes the cluster for initialized (KCP-6).
  if (guest.boot.role === 'init') await initCluster(ctx, guest, facts);
  return done();
}

/** The Node of an instance that died, as the node lifecycle controller leaves it when a kubelet falls silent. */
export async function markNodeLost(ctx: Ctx, api: WorkloadAPI, instance: Instance): Promise<void> {
  const node = await ownNode(ctx, api, instance);
  if (node === undefined) return;
  const now = ctx.clock.now().toISOString();
  const name = { namespace: '', name: node.metadata.name };
  const status = { conditions: lostConditions(node, now) };
  const lost = await api.patch(NodeKind, name, { status }, { subresource: 'status', signal: ctx.signal });
  const others = (lost.spec?.taints ?? []).filter((taint) => taint.key !== UNREACHABLE);
  const taints = ['NoSchedule', 'NoExecute'].map((effect) => ({ key: UNREACHABLE, effect, timeAdded: now }));
  await patchTaints(ctx, api, lost, [...others, ...taints]);
}

/**
 * What is left of a terminated instance. Cluster API deletes the Node; where it never learnt of it, this does, as a cloud
 * controller manager would. Mirror pods go with their Node, as the pod garbage collector would see to.
 */
export async function leaveCluster(ctx: Ctx, api: WorkloadAPI, instance: Instance): Promise<void> {
  const { nodeName } = instance;
  if (nodeName === undefined) return;
  const found = await api.get(NodeKind, { namespace: '', name: nodeName }, ctx.signal);
  const ours = found === undefined || found.spec?.providerID === instance.providerID;
  // A successor of the same name has pods of the same names.
  if (!ours) return;
  if (instance.controlPlane) await removeStaticPods(ctx, api, nodeName);
  const uid = found?.metadata.uid;
  if (uid !== undefined)
    await api.delete(NodeKind, { namespace: '', name: nodeName }, { uid, signal: ctx.signal });
}

async function ownNode(ctx: Ctx, api: WorkloadAPI, instance: Instance): Promise<Node | undefined> {
  if (instance.nodeName === undefined) return undefined;
  const node = await api.get(NodeKind, { namespace: '', name: instance.nodeName }, ctx.signal);
  return node?.spec?.providerID === instance.providerID ? node : undefined;
}

/** `undefined` while a Node of that name belongs to another instance: it is never taken over. */
async function ensureNode(ctx: Ctx, guest: Guest, version: string): Promise<Node | undefined> {
  const { api, instance, boot } = guest;
  const wanted = nodeOf(guest, version, ctx.clock.now().toISOString());
  try {
    return await api.create(NodeKind, wanted, ctx.signal);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  const known = await api.get(NodeKind, { namespace: '', name: boot.nodeName }, ctx.signal);
  return known?.spec?.providerID === instance.providerID ? known : undefined;
}

/** A kubelet registers its Node with the status in it: one request. */
function nodeOf(guest: Guest, version: string, now: string): Node {
  const { instance, boot } = guest;
  checkProviderID(guest);
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: boot.nodeName,
      labels: nodeLabels(guest),
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: { providerID: instance.providerID, taints: nodeTaints(boot).map((taint) => ({ ...taint })) },
    status: nodeStatus(instance, { hostname: boot.nodeName, version, now }),
  };
}

/** A Node's providerID is write-once: one that differs from the TSMachine's could never be matched (IM-2). */
function checkProviderID({ instance, boot }: Guest): void {
  const asked = boot.kubeletExtraArgs.get('provider-id');
  if (asked === undefined || asked === '' || asked === instance.providerID) return;
  throw new TerminalError(
    'BootstrapDataInvalid',
    `kubeletExtraArgs asks for provider-id ${asked} where the instance is ${instance.providerID}; leave provider-id out`,
  );
}

function nodeLabels({ instance, boot }: Guest): Record<string, string> {
  const zone = instance.failureDomain;
  return {
    'kubernetes.io/hostname': boot.nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': 'amd64',
    ...(zone !== undefined && { 'topology.kubernetes.io/zone': zone }),
    ...askedLabels(boot.kubeletExtraArgs.get('node-labels')),
    ...(boot.role !== 'workerJoin' && {
      [CONTROL_PLANE_ROLE]: '',
      'node.kubernetes.io/exclude-from-external-load-balancers': '',
    }),
  };
}

/** `--node-labels=a=b,c=d`. */
function askedLabels(argument: string | undefined): Record<string, string> {
  const pairs = (argument ?? '').split(',').filter((pair) => pair.includes('='));
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

/** An absent list means kubeadm's default; an empty one means none (KB-41). */
function nodeTaints(boot: FirstBoot): readonly Taint[] {
  if (boot.taints !== undefined) return boot.taints;
  return boot.role === 'workerJoin' ? [] : [{ key: CONTROL_PLANE_ROLE, effect: 'NoSchedule' }];
}

/** Admission taints every new Node not-ready; the node lifecycle controller, where one runs, would take that away now. */
async function liftNotReady(ctx: Ctx, api: WorkloadAPI, node: Node): Promise<void> {
  const taints = node.spec?.taints ?? [];
  if (!taints.some((taint) => taint.key === NOT_READY)) return;
  await patchTaints(
    ctx,
    api,
    node,
    taints.filter((taint) => taint.key !== NOT_READY),
  );
}

/** Others write taints too (Cluster API lifts `uninitialized`): refused, and done again, when the Node has moved on. */
async function patchTaints(ctx: Ctx, api: WorkloadAPI, node: Node, taints: readonly Taint[]): Promise<void> {
  const { name, resourceVersion } = node.metadata;
  await api.patch(
    NodeKind,
    { namespace: '', name },
    { metadata: { resourceVersion }, spec: { taints } },
    { signal: ctx.signal },
  );
}
