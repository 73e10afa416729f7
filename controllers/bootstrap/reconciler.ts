// SPDX-License-Identifier: Apache-2.0
// Drives one KubeadmConfig to its bootstrap data. Phases live in phases.ts, init.ts, join.ts and refresh.ts, conditions in
// conditions.ts, what wakes it in watches.ts.
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, KubeadmConfigKind, SecretKind } from '../../api/kinds.ts';
import { pausedMessage } from '../../contract/paused.ts';
import { runPhases } from '../../contract/phases.ts';
import { reportPaused } from '../../contract/report-paused.ts';
import { isDeleting, servedBy } from '../../contract/served.ts';
import type { WorkloadClusters } from '../../contract/workload-cluster.ts';
import type { GenerateKey } from '../../kubeadm/certificate-authority.ts';
import type { Client } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Reconcile } from '../../runtime/controller.ts';
import { isConflict, TerminalError } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { patchHelper, type PatchHelper } from '../../runtime/patch-helper.ts';
import { done, type Outcome, waitFor } from '../../runtime/result.ts';
import { createCertificateStore } from './certificate-store.ts';
import { BOOTSTRAP_CONDITIONS, bootstrapConditions, newTrouble } from './conditions.ts';
import { controlPlaneVersion } from './control-plane-version.ts';
import { createInitLock } from './init-lock.ts';
import { type ConfigOwner, configOwner } from './owners.ts';
import { phasesFor } from './phases.ts';
import type { PhaseDeps } from './publish.ts';
import type { BootstrapScope } from './scope.ts';
import { createSecretReader, lookAgain } from './secret-reader.ts';
import { singleFlight } from './single-flight.ts';

export interface BootstrapDeps {
  readonly client: Client;
  /**
   * Knows KubeadmConfigs by CLUSTER_INDEX, Machines, MachinePools and Clusters; of Secrets and ConfigMaps the metadata of those
   * with the cluster's label.
   */
  readonly cache: Cache;
  readonly clock: Clock;
  readonly workloads: WorkloadClusters;
  readonly events: EventRecorder;
  /** `--watch-filter` (GEN-15). */
  readonly watchFilter?: string | undefined;
  /** `--bootstrap-token-ttl` (KB-22). */
  readonly tokenTTLMs: number;
  readonly generateKey: GenerateKey;
  readonly randomBytes: (n: number) => Uint8Array;
}

type SharedDeps = Omit<PhaseDeps, 'persist'>;

/** The reconcile function of the KubeadmConfig controller. */
export function bootstrapReconciler(deps: BootstrapDeps): Reconcile {
  const shared = sharedDeps(deps);
  return async (ctx, name) => {
    const object = deps.cache.get(KubeadmConfigKind, name);
    // Nothing is to be done for one that goes: what it owns goes with it (KB-5).
    if (object === undefined || !servedBy(deps.watchFilter, object) || isDeleting(object)) return done();

    const owner = configOwner(deps.cache, object);
    const cluster = owner && ownerCluster(deps.cache, owner);
    // Core sets the owner, and the watches on both wake us.
    if (owner === undefined || cluster === undefined) return done();

    const log = ctx.log.child({ [owner.kind]: keyOf(owner), Cluster: keyOf(nameOf(cluster)) });
    const patch = patchHelper({
      ...deps,
      kind: KubeadmConfigKind,
      object,
      ownedConditions: BOOTSTRAP_CONDITIONS,
    });
    const paused = pausedMessage(cluster, object);
    if (paused !== '') return reportPaused({ object, patch, message: paused, now: ctx.clock.now() });
    return drive({ ...ctx, log }, { object, owner, cluster, facts: {} }, { ...shared, patch });
  };
}

/** Phases, conditions, one patch: in this order, also when a phase failed. */
async function drive(
  ctx: Ctx,
  scope: BootstrapScope,
  { patch, ...shared }: SharedDeps & { readonly patch: PatchHelper },
): Promise<Outcome> {
  const { object, facts } = scope;
  const deps: PhaseDeps = { ...shared, persist: () => patch.applySpec({ signal: ctx.signal }) };
  const outcome = await runPhases(ctx, phasesFor(scope, deps), scope);
  // Our copy is stale: the next pass says what is true.
  if (isConflict(outcome.error)) throw outcome.error;
  const before = object.status?.conditions;
  const conditions = bootstrapConditions(scope, outcome, ctx.clock.now());
  object.status = { ...object.status, conditions };
  await patch.apply({ observedGeneration: outcome.ok, signal: ctx.signal });
  const trouble = newTrouble(scope, before);
  if (trouble !== undefined) shared.events.event(object, trouble);
  const end = outcome.settle();
  return end.kind === 'done' && facts.recheckMs !== undefined
    ? waitFor(facts.recheckMs, 'TokenRefresh')
    : end;
}

/** What all reconciles share: each cluster's certificates, kubeconfig and lock are asked for once, whoever needs them. */
function sharedDeps(deps: BootstrapDeps): SharedDeps {
  const { client, cache, workloads, events, tokenTTLMs, randomBytes } = deps;
  const secrets = createSecretReader(deps);
  const flight = singleFlight<Client | undefined>();
  const never = new AbortController().signal;
  return {
    ...{ client, cache, events, secrets, tokenTTLMs, randomBytes },
    certificates: createCertificateStore({ ...deps, secrets }),
    lock: createInitLock(deps),
    controlPlaneVersion: controlPlaneVersion(client),
    // Without the signal of the one who asked first: the others must not fail with it.
    connect: (ctx, { owner: { namespace, clusterName } }) =>
      flight(`${namespace}/${clusterName}`, async () => {
        const secret = cache.peek(SecretKind, { namespace, name: `${clusterName}-kubeconfig` });
        const watched = secret?.metadata.resourceVersion;
        try {
          return await workloads.connect({ ...ctx, signal: never }, { namespace, clusterName }, watched);
        } catch (error) {
          throw watched === undefined && error instanceof TerminalError ? lookAgain(error) : error;
        }
      }),
  };
}

function ownerCluster(cache: Cache, owner: ConfigOwner): Cluster | undefined {
  return cache.peek(ClusterKind, { namespace: owner.namespace, name: owner.clusterName });
}
