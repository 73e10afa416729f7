// SPDX-License-Identifier: Apache-2.0
// Links the Nodes of a cluster to its machines on hosts, and approves what their kubelets serve with. One pass reads all Nodes and
// requests of the cluster once, however many machines there are (invariant 12). Links: linking.ts; what wakes it: watches.ts.
import { CertificateSigningRequestKind, NodeKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { ownerCluster } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { isDeleting, servedBy } from '../../contract/served.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import { ApiError, errorMessage, TransientError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { tendNodes } from './nodes.ts';
import { createTold, type NodeDeps, type NodeScope } from './scope.ts';
import { approveServingCertificates } from './serving-certificates.ts';
import { KUBELET_SERVING } from './serving-request.ts';

/** While a machine is to get its Node, or has a young one. */
const SOON_MS = 2_000;
/** Otherwise: a kubelet that renews its certificate waits this long at most. */
const SETTLED_MS = 30_000;
/** One look at the workload cluster: its load balancer may swallow what nobody behind it answers. */
const READ_MS = 10_000;

/** What is remembered of a cluster between two passes; nothing depends on it but how often something is said or tried. */
interface Memory extends Pick<NodeScope, 'told' | 'refused'> {
  failures: number;
  /** The last refusal of the API server that was logged. */
  trouble: string;
}

/** The reconcile function of the node linker, which has a TSCluster as its key. */
export function nodeReconciler(deps: NodeDeps): Reconcile {
  const memories = new Map<string, Memory>();
  return async (ctx, name) => {
    const object = toLink(deps, deps.cache.peek(TSClusterKind, name));
    const cluster = object && ownerCluster(deps.cache, object);
    // Watches on both wake us (IC-12, GEN-11).
    if (object === undefined || cluster === undefined || pausedMessage(cluster, object) !== '') {
      memories.delete(keyOf(name));
      return done();
    }
    const machines = machinesOnHosts(deps.cache, object);
    if (machines.length === 0) return done();

    const memory = memories.get(keyOf(name)) ?? begin(deps);
    memories.set(keyOf(name), memory);
    const { namespace = '', name: clusterName } = cluster.metadata;
    const workload = await deps.workloads.connect(ctx, { namespace, clusterName });
    if (workload === undefined) return waitFor(SETTLED_MS, 'WaitingForKubeconfig');
    return drive(ctx, { object, cluster, cache: deps.cache, machines, workload, ...memory }, memory);
  };
}

/** The object if there is anything to do for it. */
function toLink({ watchFilter }: NodeDeps, object: TSCluster | undefined): TSCluster | undefined {
  return object === undefined || isDeleting(object) || !servedBy(watchFilter, object) ? undefined : object;
}

function begin({ events }: NodeDeps): Memory {
  return { told: createTold(events), refused: new Map(), failures: 0, trouble: '' };
}

/** A workload cluster that does not answer is none of our trouble: it may not be up yet. Anything else is thrown. */
async function drive(ctx: Ctx, scope: NodeScope, memory: Memory): Promise<Outcome> {
  try {
    const unsettled = await pass(ctx, scope);
    Object.assign(memory, { failures: 0, trouble: '' });
    return unsettled ? waitFor(SOON_MS, 'LinkingNodes') : waitFor(SETTLED_MS, 'NodesLinked');
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof ApiError || error instanceof TransientError)) throw error;
    tellTrouble(ctx, memory, error);
    return waitFor(Math.min(SOON_MS * 2 ** memory.failures++, SETTLED_MS), 'WorkloadClusterNotAnswering');
  }
}

async function pass(ctx: Ctx, scope: NodeScope): Promise<boolean> {
  const [nodes, requests] = await read(ctx, scope.workload);
  scope.told.begin();
  const { byNode, unsettled } = await tendNodes(ctx, scope, nodes);
  await approveServingCertificates(ctx, scope, { requests, byNode });
  return unsettled;
}

function read({ signal }: Ctx, workload: Client) {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(READ_MS)]);
  const fieldSelector = `spec.signerName=${KUBELET_SERVING}`;
  return Promise.all([
    workload.list(NodeKind, {}, bounded),
    workload.list(CertificateSigningRequestKind, { fieldSelector }, bounded),
  ]);
}

/** No answer is what every cluster gives at first; a refusal is worth a line, once. */
function tellTrouble({ log }: Ctx, memory: Memory, error: Error): void {
  const message = errorMessage(error);
  if (!(error instanceof ApiError))
    return log.debug({ error: message }, 'The workload cluster does not answer');
  if (memory.trouble !== message) log.warn({ error: message }, 'The workload cluster refuses us');
  memory.trouble = message;
}

function machinesOnHosts(cache: Cache, object: TSCluster): TSMachine[] {
  return byCluster(object)
    .flatMap((cluster) => cache.byIndex(TSMachineKind, CLUSTER_INDEX, cluster))
    .filter(({ spec }) => spec.host !== undefined && spec.providerID !== undefined)
    .filter((machine) => !isDeleting(machine) && pausedMessage(undefined, machine) === '')
    .sort((a, b) => (keyOf(nameOf(a)) < keyOf(nameOf(b)) ? -1 : 1));
}
