// SPDX-License-Identifier: Apache-2.0
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import type { Reason } from '../../api/conditions.ts';
import { MachineKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { TSRemediation, TSRemediationStatus } from '../../api/tsremediation.ts';
import { clusterOfMachine, isControlPlane, ownerMachine } from '../../contract/owners.ts';
import type { WorkloadClusters } from '../../contract/workload-cluster.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import type { Cache } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';
import type { Turns } from './turns.ts';

/** Where a remediation is. */
export type Phase = NonNullable<TSRemediationStatus['phase']>;

export interface RemediationDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly workloads: WorkloadClusters;
  readonly events: EventRecorder;
}

/** What every phase may use. */
export interface PhaseDeps extends RemediationDeps {
  /** One for the whole controller. */
  readonly turns: Turns;
}

/** Whom a remediation is for, as far as the cache knows. */
export interface Target {
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  readonly tsMachine: TSMachine | undefined;
  /** The host of the machine; absent where the backend has none, or the claim has ended. */
  readonly host: TSHost | undefined;
  readonly isControlPlane: boolean;
}

/** What one reconcile works on. */
export interface RemediationScope extends Target {
  /** Our own copy: phases change its status, one patch at the end writes it. */
  readonly object: TSRemediation;
  readonly status: TSRemediationStatus;
  /** The Machine with its status, which the cache does not have; read in this pass. */
  readonly live: Machine | undefined;
}

/** Where a remediation is after a pass, and what it waits for. */
export interface Move {
  readonly phase: Phase;
  readonly reason: Reason;
  /** One line for people. */
  readonly message: string;
  /** When to look again; 0: only a watch wakes us. */
  readonly waitMs: number;
}

/** One phase: reads, acts at most once, and says where the remediation is then. */
export type PhaseHandler = (ctx: Ctx, scope: RemediationScope, deps: PhaseDeps) => Promise<Move>;

/** The Machine that owns the object, or has its name where none does: who makes one by hand need not know the UID. */
export function findTarget(cache: Cache, object: TSRemediation): Target {
  const machine = machineOf(cache, object);
  const reference = machine?.spec.infrastructureRef;
  const tsMachine =
    reference?.kind === TSMachineKind.kind
      ? cache.peek(TSMachineKind, { ...nameOf(object), name: reference.name })
      : undefined;
  return {
    machine,
    tsMachine,
    cluster: clusterOfMachine(cache, object, machine),
    host: hostOf(cache, tsMachine),
    isControlPlane: isControlPlane(machine, tsMachine),
  };
}

/** A namesake of the owner is another machine: it is not what the MachineHealthCheck meant. */
function machineOf(cache: Cache, object: TSRemediation): Machine | undefined {
  const owner = ownerMachine(cache, object);
  if (owner === undefined) return cache.peek(MachineKind, nameOf(object));
  const { uid } = owner.metadata;
  const isMeant = object.metadata.ownerReferences?.some(
    (one) => one.kind === MachineKind.kind && one.uid === uid,
  );
  return isMeant === true ? owner : undefined;
}

/** Both name each other: a host that was given to another machine is none of ours. */
export function hostOf(cache: Cache, tsMachine: TSMachine | undefined): TSHost | undefined {
  const named = parseProviderID(tsMachine?.spec.providerID ?? '');
  if (tsMachine === undefined || named?.backend !== 'host') return undefined;
  const host = cache.peek(TSHostKind, { namespace: named.namespace, name: named.host });
  return host !== undefined && isClaimedBy(host, tsMachine) ? host : undefined;
}

/** The host is this machine's, and it is not being given back. */
export function isClaimedBy({ spec: { claim } }: TSHost, { spec }: TSMachine): boolean {
  const token = spec.createIntent?.clientToken;
  return (
    claim?.for === 'Machine' && claim.releasing !== true && token !== undefined && claim.clientToken === token
  );
}

const TIMEOUT_SECONDS = 300;

/** How long one phase should last at most. */
export function timeoutMs({ spec }: TSRemediation): number {
  return (spec.timeoutSeconds ?? TIMEOUT_SECONDS) * 1_000;
}

/** Since the present phase began; a time that is not there, or lies ahead, is now. */
export function elapsedMs({ status }: TSRemediation, now: Date): number {
  const ms = now.getTime() - Date.parse(status?.startedAt ?? '');
  return ms > 0 ? ms : 0;
}

/** For messages. */
export function hostName({ host }: Target): string {
  return host === undefined ? 'Its host' : `Host ${host.metadata.name}`;
}
