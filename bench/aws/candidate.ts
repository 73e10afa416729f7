// SPDX-License-Identifier: Apache-2.0
// One of the programs that are compared: what the measurement asks of it, whichever it is.
import type { Usage } from '../process-usage.ts';
import type { World } from './world.ts';

/** In the order of the calls that a measurement makes. */
export interface Candidate {
  /** For tables: `cluster-api-provider-aws v2.13.0`, `ts-provider`. */
  readonly name: string;
  /** Its user name at the API server; the audit log tells its requests by it. */
  readonly user: string;
  /** Installs its manifests, starts it under its own role, and makes one cluster of {@link World.cloud}'s network until that is ready. */
  start(world: World): Promise<void>;
  /** Makes so many Machines and their infrastructure objects, all at once. Settles when the last one is made. */
  createMachines(count: number): Promise<void>;
  /** Settles when each of them has a provider id and is ready. */
  untilProvisioned(): Promise<void>;
  /** Deletes all Machines at once; core deletes what belongs to them. Settles when the last one is marked. */
  deleteMachines(): Promise<void>;
  /** Settles when no infrastructure object is left. */
  untilGone(): Promise<void>;
  usage(): Usage;
  /** The last lines of its log. */
  tail(): string;
  /** Ends it. Harmless when it was never started, and twice. */
  stop(): Promise<void>;
}
