// SPDX-License-Identifier: Apache-2.0
import type { BootstrapData, Changes } from '../backend.ts';
import type { GuestJob, Instance, Rehearsal } from './instance.ts';

/** Everything that an instance is made from. */
export interface RunRequest {
  readonly clientToken: string;
  readonly requestHash: string;
  readonly namespace: string;
  readonly name: string;
  readonly clusterName: string;
  readonly controlPlane: boolean;
  readonly version: string | undefined;
  readonly failureDomain: string | undefined;
  readonly capacity: Readonly<Record<string, string>>;
  readonly rehearsal: Rehearsal;
  readonly bootstrapData: BootstrapData;
}

/** Which guest work to lease. */
export interface Claim {
  /** Unique to the claiming process. */
  readonly owner: string;
  readonly limit: number;
  /** At most so many at once of one cluster, so that a cluster that does not answer leaves room for the others. */
  readonly perCluster: number;
  readonly leaseMs: number;
}

/** How a piece of guest work ended. */
export type JobResult =
  | { readonly kind: 'done' }
  /** `letOthersTry`: another process may be able to do what this one is not. */
  | {
      readonly kind: 'retry';
      readonly afterMs: number;
      readonly message: string;
      readonly letOthersTry?: boolean;
    }
  /** It can never succeed; a guest that was to be brought up leaves its instance `failed`. */
  | { readonly kind: 'failed'; readonly message: string };

/** What tests and the bench count. */
export interface CloudCounts {
  /** Instances ever made, tombstones included. */
  readonly instancesMade: number;
  /** Calls of the backend by verb, of all processes that have flushed theirs. Looks at the change feed are not counted. */
  readonly calls: Readonly<Record<string, number>>;
}

/**
 * The instances as a cloud would hold them: outside the manager, so they outlive it, and shared by all managers that open the
 * same file. Nothing here knows Kubernetes. Time passes only in `advance`.
 */
export interface InMemoryCloud {
  /** By id where given, else by client token. Tombstones are found too. */
  find(by: { readonly id: string } | { readonly clientToken: string }): Instance | undefined;
  /**
   * The same token always answers the same instance. Throws TerminalError: DuplicateInstances when it was made for another
   * machine, IdempotencyMismatch when the request differs.
   */
  run(request: RunRequest): Instance;
  /** Ends the instance and erases its bootstrap data; the tombstone stays. */
  terminate(id: string): void;
  /** Takes over changed failures on demand. Writes nothing when nothing changed. */
  rehearse(instance: Instance, rehearsal: Rehearsal): void;
  /** Counts one call of `caller`; true while it is among the first `limit`. */
  throttle(caller: string, limit: number): boolean;
  /** The backend's change feed; see ChangeFeed in backend.ts. */
  changes(cursor: string): Changes;
  /** Lets time pass: boots, failures and deaths that are due, old tombstones forgotten. Answers how many instances changed. */
  advance(): number;
  /** Leases guest work that is due. Nobody else gets it until it is settled or the lease has run out. */
  claim(claim: Claim): GuestJob[];
  /** Leases the work of these instances on, for `leaseMs` from now. Answers which of them `owner` still has. */
  prolong(owner: string, instanceIDs: readonly string[], leaseMs: number): ReadonlySet<string>;
  /** Remembers under which name the guest joins, before it does. False when the job is not this owner's any more. */
  recordNode(job: GuestJob, owner: string, nodeName: string): boolean;
  /** Ends the lease with a result. A result for work that was overtaken by a termination only ends the lease. */
  settle(job: GuestJob, owner: string, result: JobResult): void;
  /** Counts a call of the backend; written by `flush` and `close`. */
  count(verb: string): void;
  flush(): void;
  counts(): CloudCounts;
  /** Writes the counts down. Every later call throws, but another close. */
  close(): void;
}
