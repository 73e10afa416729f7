// SPDX-License-Identifier: Apache-2.0
// One machine of a cluster runs `kubeadm init` (KB-9). The lock is a ConfigMap: to create it is the atomic step (PIT-14).
import type { Cluster, ConfigMap } from '../../api/cluster-api.ts';
import { ClusterKind, ConfigMapKind, MachineKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';

/** Whether the lock is ours; else one line about who holds it. */
export type LockState = { readonly held: true } | { readonly held: false; readonly why: string };

/** The init locks of the clusters. */
export interface InitLock {
  /** Takes the lock for a Machine. The lock of a Machine that is gone is taken from it. */
  acquire(ctx: Ctx, cluster: Cluster, machineName: string): Promise<LockState>;
  /** Gives up the lock if this Machine holds it. */
  release(ctx: Ctx, cluster: Cluster, machineName: string): Promise<void>;
  /** Removes the lock of a cluster that has a control plane. Asks the API server only when the watch knows of a lock. */
  remove(ctx: Ctx, cluster: Cluster): Promise<void>;
}

const LOCK_KEY = 'lock-information';

/** `cache` holds metadata of ConfigMaps that have the cluster's label. */
export function createInitLock({ client, cache }: { client: Client; cache: Cache }): InitLock {
  // UIDs of locks that are being removed: a wave of workers would each do it until the watch tells that it is done.
  const removing = new Set<string>();

  return {
    async acquire(ctx, cluster, machineName) {
      const lock = await known(ctx, cluster);
      if (lock === undefined) return take(ctx, cluster, machineName);
      const holder = holderOf(lock);
      if (holder === machineName) return { held: true };
      if (holder === undefined) return unreadable(lock);
      const machine = { ...nameOf(lock), name: holder };
      // Not from the cache, which may not have heard of a new Machine yet.
      if ((await client.get(MachineKind, machine, ctx.signal)) !== undefined) return heldBy(machine);
      ctx.log.info({ lock: lock.metadata.name, holder }, 'Taking the init lock of a Machine that is gone');
      await remove(ctx, lock);
      return take(ctx, cluster, machineName);
    },
    async release(ctx, cluster, machineName) {
      const lock = await client.get(ConfigMapKind, lockName(cluster), ctx.signal);
      if (lock !== undefined && holderOf(lock) === machineName) await remove(ctx, lock);
    },
    async remove(ctx, cluster) {
      const lock = cache.peek(ConfigMapKind, lockName(cluster));
      if (lock === undefined || removing.has(lock.metadata.uid ?? '')) return;
      await remove(ctx, lock);
    },
  };

  /** The lock with its content, where the watch knows of one. */
  async function known(ctx: Ctx, cluster: Cluster): Promise<ConfigMap | undefined> {
    const name = lockName(cluster);
    if (cache.peek(ConfigMapKind, name) === undefined) return undefined;
    return client.get(ConfigMapKind, name, ctx.signal);
  }

  /** The watch may be behind: only CREATE can tell. */
  async function take(ctx: Ctx, cluster: Cluster, machineName: string): Promise<LockState> {
    try {
      await client.create(ConfigMapKind, newLock(cluster, machineName), ctx.signal);
      return { held: true };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const lock = await client.get(ConfigMapKind, lockName(cluster), ctx.signal);
    const holder = lock && holderOf(lock);
    if (holder === machineName) return { held: true };
    return holder === undefined ? justTaken(cluster) : heldBy({ ...lockName(cluster), name: holder });
  }

  /** This very lock, not one that somebody else took meanwhile. */
  async function remove(ctx: Ctx, lock: ConfigMap): Promise<void> {
    const { uid } = lock.metadata;
    if (uid !== undefined) removing.add(uid);
    try {
      const options = { signal: ctx.signal, ...(uid !== undefined && { uid }) };
      await client.delete(ConfigMapKind, nameOf(lock), options);
    } catch (error) {
      if (uid !== undefined) removing.delete(uid);
      throw error;
    }
  }
}

/** The name of the ConfigMap that is a cluster's lock. */
export function lockName(cluster: Cluster): ObjectName {
  const { namespace, name } = nameOf(cluster);
  return { namespace, name: `${name}-lock` };
}

function newLock(cluster: Cluster, machineName: string): ConfigMap {
  const { apiVersion, kind } = ClusterKind;
  const { name, uid = '' } = cluster.metadata;
  return {
    apiVersion: ConfigMapKind.apiVersion,
    kind: ConfigMapKind.kind,
    metadata: {
      ...lockName(cluster),
      labels: { [CLUSTER_NAME_LABEL]: name },
      ownerReferences: [{ apiVersion, kind, name, uid }],
    },
    data: { [LOCK_KEY]: JSON.stringify({ machineName }) },
  };
}

/** The name of the Machine; `undefined` for what nobody of us wrote. */
function holderOf(lock: ConfigMap): string | undefined {
  try {
    const { machineName } = JSON.parse(lock.data?.[LOCK_KEY] ?? '') as { machineName?: unknown };
    return typeof machineName === 'string' && machineName !== '' ? machineName : undefined;
  } catch {
    return undefined;
  }
}

function heldBy({ namespace, name }: ObjectName): LockState {
  return { held: false, why: `Machine ${namespace}/${name} holds the init lock` };
}

function justTaken(cluster: Cluster): LockState {
  const { namespace, name } = lockName(cluster);
  return {
    held: false,
    why: `another Machine has just taken the init lock (ConfigMap ${namespace}/${name})`,
  };
}

function unreadable(lock: ConfigMap): LockState {
  const { namespace, name } = nameOf(lock);
  const why = `the init lock, ConfigMap ${namespace}/${name}, does not name its Machine under "${LOCK_KEY}": delete it`;
  return { held: false, why };
}
