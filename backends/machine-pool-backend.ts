// SPDX-License-Identifier: Apache-2.0
// Port for infrastructure that makes and replaces machines by itself, from one description.
import type { TSClusterSpec } from '../api/tscluster.ts';
import type { TSMachineSpec } from '../api/tsmachine.ts';
import type { TSMachinePoolSpec } from '../api/tsmachinepool.ts';
import type { Ctx } from '../runtime/context.ts';
import type { BootstrapData, Destroyed, MachineSize } from './backend.ts';

/** What a backend may know of a pool: plain data, no Kubernetes object. */
export interface PoolFacts {
  readonly namespace: string;
  /** Of the TSMachinePool. */
  readonly name: string;
  readonly clusterName: string;
  /** Name of the group. It was read back from the API server before anything was made. */
  readonly infrastructureID: string;
  /** What {@link MachinePoolBackend.place} has answered, recorded with the name; with it a pool is deleted without its cluster. */
  readonly choice: Readonly<Record<string, string>>;
  /** Kubernetes version with a leading `v`, where the MachinePool says one. */
  readonly version: string | undefined;
  /** Where its machines may be (IMP-11); empty: anywhere. */
  readonly failureDomains: readonly string[];
  /** `spec.replicas` of the MachinePool. */
  readonly replicas: number;
  /** Somebody else decides how many machines there are; `replicas` is where the group begins (IMP-10). */
  readonly isSizedElsewhere: boolean;
  readonly spec: TSMachinePoolSpec;
  /** `undefined` while deleting a pool whose TSCluster is gone. */
  readonly cluster: TSClusterSpec | undefined;
}

/** One instance of a group. */
export interface PoolInstance {
  /** Of its TSMachine, see {@link poolMachineName}. */
  readonly name: string;
  readonly providerID: string;
  /** `leaving`: its end has begun, nothing stops it any more. */
  readonly state: 'starting' | 'running' | 'leaving';
  /** The spec that its TSMachine has to get: providerID, settings, and a create intent whose hash says what it was made from. */
  readonly machine: TSMachineSpec;
}

/** What there is of a pool. `absent` is a positive answer, never a failed look-up (those throw). */
export type PoolObserved = { readonly state: 'absent' } | PoolGroup;

/** A group that is there. */
export interface PoolGroup {
  readonly state: 'present';
  /** What the infrastructure calls it (IMP-5). */
  readonly providerID: string;
  /** Sorted by name. */
  readonly instances: readonly PoolInstance[];
  /** How many it is to have. */
  readonly desired: number;
  /** What the backend needs of it again, for `ensure`. Nobody else reads it. */
  readonly native: unknown;
}

/** Answer of {@link MachinePoolBackend.ensure}. */
export interface EnsuredPool {
  /**
   * What a new machine is made from: a hash of everything but what is renewed without need of new machines, such as bootstrap tokens and
   * tags. A machine whose create intent has another request hash was made from something else (IMP-13).
   */
  readonly template: string;
  /** The group is not as it shall be yet: the reason of the condition, and one line for people. */
  readonly waiting?: { readonly reason: string; readonly message: string };
  /** When it is worth to look again. */
  readonly pollMs: number;
}

/**
 * Groups of one infrastructure. Calls are idempotent, bounded by `ctx.signal`, none waits. The group never picks a machine to end while
 * we decide its size: a pool gets smaller by the deletion of Machines, so that they are drained, and an instance that is ended by
 * `MachineBackend.destroy` is replaced where the group is to have as many as before. A group that was made for another TSMachinePool is
 * refused by all with TerminalError(DuplicateInstances).
 */
export interface MachinePoolBackend {
  /**
   * Where the group of a new pool will be, and as whom. Read only. Throws TerminalError(InvalidMachine) where the cluster is not on this
   * infrastructure, and where it cannot be reached as that.
   */
  place(ctx: Ctx, pool: Pick<PoolFacts, 'namespace' | 'cluster'>): Promise<Readonly<Record<string, string>>>;
  /** Read only. */
  observe(ctx: Ctx, pool: PoolFacts): Promise<PoolObserved>;
  /** Makes the group, or changes what differs of it: template, size, place. `seen` is the answer of `observe` in the same pass. */
  ensure(ctx: Ctx, pool: PoolFacts, seen: PoolObserved, data: BootstrapData): Promise<EnsuredPool>;
  /** From now on the group makes no machine any more. Those that it has stay. No call where `seen` says that it is so. */
  close(ctx: Ctx, pool: PoolFacts, seen: PoolGroup): Promise<void>;
  /** Starts the end of the group, or says how far it is. Call it when its Machines are gone: what it still has goes without a drain. */
  remove(ctx: Ctx, pool: PoolFacts): Promise<Destroyed>;
  /** What a machine of the pool will be (IMT-6); `undefined` where it cannot be known. */
  size?(ctx: Ctx, pool: Pick<PoolFacts, 'namespace' | 'spec' | 'cluster'>): Promise<MachineSize | undefined>;
}

/** Finds the backend of a pool. One that this manager does not carry is answered by one whose calls throw TerminalError. */
export interface MachinePoolBackends {
  for(spec: TSMachinePoolSpec): MachinePoolBackend;
}

/** So that core may make a Machine of the same name, and a Node a label of it. */
const MAX_NAME = 63;

/**
 * Name of the TSMachine of an instance: the pool's, shortened where it has to be, and the instance's own id, which is what tells them
 * apart. The same instance always has the same name, so that nobody makes two objects for it.
 */
export function poolMachineName(pool: string, instanceID: string): string {
  const id = instanceID.replace(/^i-/, '');
  const prefix = pool.slice(0, MAX_NAME - id.length - 1).replace(/[-.]+$/, '');
  return `${prefix}-${id}`;
}
