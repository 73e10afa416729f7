// SPDX-License-Identifier: Apache-2.0
import type { TSClusterSpec } from '../api/tscluster.ts';
import type { MachineAddress, TSMachineSpec } from '../api/tsmachine.ts';
import type { Ctx } from '../runtime/context.ts';
import { TransientError } from '../runtime/errors.ts';

/**
 * What a backend may know of a machine: plain data, no Kubernetes object. Names never find an instance (IM-15), the client
 * token and the providerID do. Namespace and name are its tags, and say whose it is: a copy of an object carries both identities,
 * a move to another management cluster keeps the names.
 */
export interface MachineFacts {
  readonly namespace: string;
  readonly name: string;
  /** Changes with a move to another management cluster, and tells a copy from the original. */
  readonly uid: string;
  readonly clusterName: string;
  /** The machine carries the control plane label (IM-11). */
  readonly controlPlane: boolean;
  /** Kubernetes version with a leading `v`, where the owner says one. */
  readonly version: string | undefined;
  /** Placement that the owner asked for (IM-3). */
  readonly failureDomain: string | undefined;
  /** `spec.providerID`: set once, identical to the Node's (IM-2). */
  readonly providerID: string | undefined;
  /** The create intent that was read back from the API server; without one nothing was ever created for this machine. */
  readonly intent: CreateIntent | undefined;
  readonly spec: TSMachineSpec;
  /** `undefined` while deleting a machine whose TSCluster is gone. */
  readonly cluster: TSClusterSpec | undefined;
  /** `spec.infrastructureID` of the TSCluster, where it has one. */
  readonly infrastructureID: string | undefined;
  /** Core has found the Node of the machine: what was only needed to boot can go. */
  readonly hasNode: boolean;
}

/**
 * The promise to make at most one instance: stored in `spec.createIntent` before the first side effect (invariants 1 and 2).
 * The same token always means the same instance, also after a move to another management cluster.
 */
export interface CreateIntent {
  /** Counts instances that were proven to have made nothing; starts at 1. */
  readonly attempt: number;
  /** Unique to this attempt; the backend's idempotency key. */
  readonly clientToken: string;
  /** SHA-256, hex, of everything that is sent with the create call. */
  readonly requestHash: string;
  /** What a {@link Planning} backend has chosen for this attempt: with it a replay is the same request. */
  readonly choice?: Readonly<Record<string, string>>;
}

/** The bootstrap data secret's two keys (IM-9). Never logged. */
export interface BootstrapData {
  readonly format: 'cloud-config' | 'ignition';
  readonly value: Buffer;
}

/** What is there. `absent` is a positive answer of the backend, never a failed look-up (those throw). */
export type Observed =
  | {
      readonly state: 'absent';
      /** Who has ended it, and when, where the infrastructure tells of one that somebody else has. */
      readonly message?: string;
    }
  | {
      readonly state: 'pending' | 'running' | 'stopped' | 'failed';
      /** Known as soon as the instance exists. */
      readonly providerID: string;
      readonly addresses: readonly MachineAddress[];
      /** Where the instance really is (IM-3b). */
      readonly failureDomain: string | undefined;
      /** For `failed` and `pending`: the reason of the condition, where the backend knows a better one than InstanceFailed or InstancePending. */
      readonly reason?: string;
      /** One line for people: what it waits for, or why it failed or stopped. */
      readonly message: string;
      /** When it is worth to look again; the controller's default otherwise. */
      readonly pollMs?: number;
      /** The infrastructure may take it back (IM-6). */
      readonly interruptible?: boolean;
    };

/** An instance that is there. */
export type ExistingInstance = Exclude<Observed, { state: 'absent' }>;

/** Answer of {@link MachineBackend.create}. */
export type Created =
  | { readonly state: 'started' }
  /** Nothing was made, since there is nothing to make it of yet; the same intent is tried again. */
  | {
      readonly state: 'deferred';
      readonly reason: string;
      readonly message: string;
      readonly pollMs?: number;
    };

/** Answer of {@link MachineBackend.destroy}. `gone` only with positive proof (invariant 5). */
export type Destroyed =
  | { readonly state: 'gone' }
  | { readonly state: 'inProgress'; readonly message: string; readonly pollMs?: number };

/**
 * One infrastructure. All calls are idempotent, bounded by `ctx.signal`, and none waits. Errors are classified here, once:
 * TransientError, TerminalError(reason, message). A machine that carries the identity of a living instance that was made for
 * another one is refused by all three with TerminalError(DuplicateInstances), which names the other.
 */
export interface MachineBackend {
  /** Read only. Looks up by providerID where known, else by the intent's client token. */
  observe(ctx: Ctx, machine: MachineFacts): Promise<Observed>;
  /** Starts the machine and returns. Replaying the same intent is harmless and makes nothing new. */
  create(
    ctx: Ctx,
    machine: MachineFacts,
    intent: CreateIntent,
    bootstrapData: BootstrapData,
  ): Promise<Created>;
  /** Starts the end of the machine, or says how far it is. Needs no bootstrap data and no cluster. */
  destroy(ctx: Ctx, machine: MachineFacts): Promise<Destroyed>;
}

/**
 * Optional capability: one call per account tells which machines changed, so that a converged fleet is watched without a call
 * per machine (invariant 12). It only speeds waking up: what is true is what `observe` says.
 */
export interface ChangeFeed {
  /** `cursor` is '' at first, which answers no machines and where to go on from. Throws {@link CursorLostError}. */
  changes(ctx: Ctx, cursor: string): Promise<Changes>;
}

/** What has changed since the cursor cannot be told any more: whoever reads begins anew, and looks at every machine. */
export class CursorLostError extends TransientError {}

export interface Changes {
  readonly cursor: string;
  readonly machines: readonly { readonly namespace: string; readonly name: string }[];
}

/**
 * Optional capability of an infrastructure that has to choose before it makes (image, subnet, market). The choice is recorded with the
 * intent, so that a replay asks for the same. It is also who knows that an attempt has made nothing: without that proof the recorded
 * intent is kept whatever has changed meanwhile, bootstrap data included (invariant 2).
 */
export interface Planning {
  plan(ctx: Ctx, machine: MachineFacts): Promise<Planned>;
}

/** Answer of {@link Planning.plan}. */
export type Planned =
  | {
      readonly state: 'planned';
      /** What an attempt that begins now would ask for. Values of at most 512 characters. */
      readonly choice: Readonly<Record<string, string>>;
      /** The infrastructure has refused the recorded attempt, so that it is proven to have made nothing. */
      readonly refused: boolean;
    }
  /** Nothing can be chosen now, and nothing is asked for: the reason of the condition, and when to try again. */
  | {
      readonly state: 'deferred';
      readonly reason: string;
      readonly message: string;
      readonly pollMs?: number;
    };

/**
 * Optional capability: looks after a living instance (load balancer, tags, settings that may change) and after what was needed to boot
 * it. Called on every pass over a machine that is pending, running or stopped; idempotent, and without a call where nothing is due.
 */
export interface Upkeep {
  upkeep(ctx: Ctx, machine: MachineFacts, instance: ExistingInstance): Promise<UpkeepReport>;
}

/** What {@link Upkeep.upkeep} has seen. */
export interface UpkeepReport {
  /** When something is due again; absent: only when the change feed says so. */
  readonly pollMs?: number;
  /** What differs from the spec and could not be put right, one line. Absent: all is as it shall be. */
  readonly differs?: string;
  /** The infrastructure is about to take the instance away or to stop it, or expects to. */
  readonly interruption?: {
    readonly reason: 'SpotInterruption' | 'MaintenanceScheduled' | 'RebalanceRecommended';
    readonly message: string;
    /** The spec asks that the Machine is replaced for it. */
    readonly replace: boolean;
    /** It is not soon: one Machine of an owner after the other will do. */
    readonly canWait?: boolean;
  };
}

/** Optional capability: says what a machine will be before there is one, for scaling from zero (IMT-6). */
export interface Sizing {
  /** `undefined` where it cannot be known (yet): without the cluster it may be unknown whom to ask. */
  size(ctx: Ctx, machine: SizedMachine): Promise<MachineSize | undefined>;
}

/** What {@link Sizing.size} is asked about. */
export interface SizedMachine {
  readonly namespace: string;
  readonly spec: TSMachineSpec;
  readonly cluster: TSClusterSpec | undefined;
}

export interface MachineSize {
  /** Quantities as strings by resource name, such as `cpu: '4'` (AS-7: one number among them spoils all). */
  readonly capacity: Readonly<Record<string, string>>;
  readonly architecture: 'amd64' | 'arm64' | 's390x' | 'ppc64le';
  readonly operatingSystem: 'linux';
}

/** Finds the backend of a machine. One that this manager does not carry is answered by one whose calls throw TerminalError. */
export interface Backends {
  for(spec: TSMachineSpec): MachineBackend & Partial<Planning & Upkeep & Sizing>;
}
