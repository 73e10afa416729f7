// SPDX-License-Identifier: Apache-2.0
import type { Secret } from '../api/cluster-api.ts';
import { SecretKind } from '../api/kinds.ts';
import type { Client } from '../runtime/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Ctx } from '../runtime/context.ts';
import { errorMessage, TerminalError } from '../runtime/errors.ts';
import { compareResourceVersions } from '../runtime/informer-store.ts';

/** A Cluster by name, as the owner of a workload cluster's API. */
export interface ClusterName {
  readonly namespace: string;
  readonly clusterName: string;
}

/** Clients of workload clusters, made from the `<cluster>-kubeconfig` Secret (CP-11). */
export interface WorkloadClusters {
  /**
   * `undefined` while the Secret does not exist yet. Throws TerminalError(KubeconfigInvalid) naming the Secret and the key when
   * it cannot be used. The content never reaches a message. `watched` is the Secret's resourceVersion where a watch knows it: what
   * was read before that is read again at once.
   */
  connect(ctx: Ctx, cluster: ClusterName, watched?: string): Promise<Client | undefined>;
}

interface Entry {
  /** `undefined`: there was no Secret. */
  readonly client: Client | undefined;
  readonly resourceVersion: string;
  readonly checkedAt: number;
  usedAt: number;
}

/** Kubeconfigs are renewed about twice a year (KCP-5): looking once a minute follows them and costs a read per cluster. */
const RECHECK_MS = 60_000;

/** A Secret that is not there yet: many guests of one cluster may ask in the same moment. */
const RECHECK_ABSENT_MS = 1_000;

/** The client of a cluster that nobody asked for in this time is forgotten; its idle connections close by themselves. */
const FORGET_MS = 10 * 60_000;

/** The control plane provider writes the same data under this key for every kind of cluster. */
const KUBECONFIG_KEY = 'value';

/** Keeps one client per workload cluster. `clientFrom` turns kubeconfig text into a client and throws when it cannot. */
export function createWorkloadClusters(deps: {
  readonly client: Client;
  readonly clock: Clock;
  readonly clientFrom: (kubeconfig: string) => Client;
}): WorkloadClusters {
  const entries = new Map<string, Entry>();
  return {
    async connect(ctx, cluster, watched) {
      const key = `${cluster.namespace}/${cluster.clusterName}`;
      const nowMs = deps.clock.now().getTime();
      const known = entries.get(key);
      // The clock may have been set back: then the age says nothing, and looking again is right.
      if (known !== undefined && isRecent(known, nowMs) && !isOlder(known, watched)) {
        known.usedAt = nowMs;
        return known.client;
      }
      forgetUnused(nowMs);

      const name = { namespace: cluster.namespace, name: `${cluster.clusterName}-kubeconfig` };
      const secret = await deps.client.get(SecretKind, name, ctx.signal);
      if (secret === undefined) {
        entries.set(key, { client: undefined, resourceVersion: '', checkedAt: nowMs, usedAt: nowMs });
        return undefined;
      }
      const resourceVersion = secret.metadata.resourceVersion ?? '';
      const kept = entries.get(key);
      const client = kept?.resourceVersion === resourceVersion ? kept.client : usable(key, secret);
      entries.set(key, { client, resourceVersion, checkedAt: nowMs, usedAt: nowMs });
      return client;
    },
  };

  /** Only when somebody looks up a cluster anew: without that the map does not grow. */
  function forgetUnused(nowMs: number): void {
    for (const [key, { usedAt }] of entries) if (nowMs - usedAt > FORGET_MS) entries.delete(key);
  }

  function usable(cluster: string, secret: Secret): Client {
    try {
      const encoded = secret.data?.[KUBECONFIG_KEY] ?? '';
      if (encoded === '') throw new Error(`it has no data under the key "${KUBECONFIG_KEY}"`);
      return deps.clientFrom(Buffer.from(encoded, 'base64').toString('utf8'));
    } catch (error) {
      throw invalid(cluster, secret.metadata.name, error);
    }
  }
}

function isRecent({ client, checkedAt }: Entry, nowMs: number): boolean {
  return Math.abs(nowMs - checkedAt) < (client === undefined ? RECHECK_ABSENT_MS : RECHECK_MS);
}

function isOlder({ resourceVersion }: Entry, watched: string | undefined): boolean {
  return watched !== undefined && compareResourceVersions(resourceVersion, watched) < 0;
}

/** Which Secret, what is wrong, the way out. */
function invalid(cluster: string, secretName: string, why: unknown): TerminalError {
  const namespace = cluster.split('/')[0] ?? '';
  return new TerminalError(
    'KubeconfigInvalid',
    `Secret ${namespace}/${secretName} is not a usable kubeconfig: ${errorMessage(why)}. ` +
      `Delete it to have the control plane provider make it again, or write a kubeconfig under its key "${KUBECONFIG_KEY}"`,
  );
}
