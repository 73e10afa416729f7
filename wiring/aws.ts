// SPDX-License-Identifier: Apache-2.0
// AWS, as the infrastructure manager sees it.
import { TSClusterIdentityKind } from '../api/kinds.ts';
import type { MachineBackend, Planning, Sizing, Upkeep } from '../backends/backend.ts';
import type { ClusterLoadBalancer, ClusterNetwork } from '../backends/cluster-backend.ts';
import type { MachinePoolBackend } from '../backends/machine-pool-backend.ts';
import { machinesWith } from '../controllers/machine/change-feed.ts';
import { createCloudIdentities } from '../controllers/identity/cloud-identities.ts';
import type { ObjectName } from '../runtime/object.ts';
import type { Runnable } from '../runtime/runnable.ts';
import { createTicker } from '../runtime/ticker.ts';
import { lookAt } from './aws-look.ts';
import { knownMachines, tellOfOrphan } from './aws-orphans.ts';
import type { AWSParts } from './aws-parts.ts';
import type { Flags } from './flags.ts';
import { atStop, type Foundation } from './foundation.ts';

/** Instances in motion are looked at this often, all of an account in one call. */
const LOOK_TICK_MS = 1_500;

/** What the infrastructure manager takes from here. */
export function aws(flags: Flags, base: Foundation) {
  base.informers.add(TSClusterIdentityKind);
  const parts = lazily(async () => {
    const { awsParts } = await import('./aws-parts.ts');
    const identities = createCloudIdentities(base);
    const orphans = {
      known: knownMachines(base),
      onOrphan: tellOfOrphan(base),
      remove: flags.awsRemoveOrphans,
    };
    return awsParts({ ...base, identities, windowMs: flags.awsConsistencyWindowMs, orphans });
  });
  return {
    machines: machinesOf(parts),
    clusters: clustersOf(parts),
    pools: poolsOf(parts),
    /** `wake` is told of machines whose instances have changed. */
    background: (wake: (machine: ObjectName) => void): Runnable[] => [
      createTicker({
        ...base,
        name: 'aws-instances',
        everyMs: LOOK_TICK_MS,
        tick: lookAt(() => parts.known(), {
          wake,
          all: () => machinesWith(base.cache, (spec) => spec.aws !== undefined),
        }),
      }),
      atStop('aws', async () => (await parts.known())?.close()),
    ],
  };
}

export type AWS = ReturnType<typeof aws>;

interface Lazy<T> {
  get(): Promise<T>;
  /** Loads nothing. */
  known(): Promise<T | undefined>;
}

function lazily<T>(load: () => Promise<T>): Lazy<T> {
  let loading: Promise<T> | undefined;
  return { get: () => (loading ??= load()), known: async () => loading };
}

function machinesOf(parts: Lazy<AWSParts>): MachineBackend & Planning & Upkeep & Sizing {
  const backend = async () => (await parts.get()).machines;
  return {
    observe: async (...args) => (await backend()).observe(...args),
    plan: async (...args) => (await backend()).plan(...args),
    create: async (...args) => (await backend()).create(...args),
    destroy: async (...args) => (await backend()).destroy(...args),
    upkeep: async (...args) => (await backend()).upkeep(...args),
    size: async (...args) => (await backend()).size(...args),
  };
}

function clustersOf(parts: Lazy<AWSParts>): ClusterNetwork & ClusterLoadBalancer {
  const backend = async () => (await parts.get()).clusters;
  return {
    accountOf: async (...args) => (await backend()).accountOf(...args),
    ensureNetwork: async (...args) => (await backend()).ensureNetwork(...args),
    removeNetwork: async (...args) => (await backend()).removeNetwork(...args),
    ensureLoadBalancer: async (...args) => (await backend()).ensureLoadBalancer(...args),
    removeLoadBalancer: async (...args) => (await backend()).removeLoadBalancer(...args),
  };
}

function poolsOf(parts: Lazy<AWSParts>): MachinePoolBackend {
  const backend = async () => (await parts.get()).pools;
  return {
    place: async (...args) => (await backend()).place(...args),
    observe: async (...args) => (await backend()).observe(...args),
    ensure: async (...args) => (await backend()).ensure(...args),
    close: async (...args) => (await backend()).close(...args),
    remove: async (...args) => (await backend()).remove(...args),
    size: async (...args) => (await backend()).size?.(...args),
  };
}
