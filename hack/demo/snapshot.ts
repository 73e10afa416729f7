// SPDX-License-Identifier: Apache-2.0
// What the demo shows and waits for, read in one go.
import type { Condition } from '../../api/meta.ts';
import { ClusterKind, MachineKind, NodeKind, TSMachineKind } from '../../api/kinds.ts';
import type { Client } from '../../runtime/client.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind, type MachineOwner } from '../stack/kinds.ts';

export const NAMESPACE = 'default';
export const CLUSTER = 'demo';

export interface MachineRow {
  readonly name: string;
  readonly controlPlane: boolean;
  /** As core says it; empty before it says anything. */
  readonly phase: string;
  readonly version: string;
  readonly zone: string;
  readonly node: string;
  readonly deleting: boolean;
  readonly conditions: readonly Condition[];
}

export interface DemoSnapshot {
  /** Control plane first, then by name. */
  readonly machines: readonly MachineRow[];
  readonly tsMachines: readonly KubeObject[];
  /** Cluster, KubeadmControlPlane and MachineDeployment, as far as they exist. */
  readonly owners: readonly KubeObject[];
  readonly controlPlane: MachineOwner | undefined;
  readonly workers: MachineOwner | undefined;
}

interface LiveMachine extends KubeObject {
  spec?: { version?: string };
  status?: { phase?: string; failureDomain?: string; nodeRef?: { name?: string }; conditions?: Condition[] };
}

/** Reads it. Throws while the API server does not answer. */
export async function readSnapshot(client: Client): Promise<DemoSnapshot> {
  const here = { namespace: NAMESPACE };
  const cluster = await client.get(ClusterKind, { ...here, name: CLUSTER });
  const [controlPlane] = await client.list(KubeadmControlPlaneKind, here);
  const [workers] = await client.list(MachineDeploymentKind, here);
  const machines = (await client.list(MachineKind, here)) as LiveMachine[];
  const tsMachines: KubeObject[] = await client.list(TSMachineKind, here);
  const owners: (KubeObject | undefined)[] = [cluster, controlPlane, workers];
  return {
    machines: machines.map(rowOf).sort(byRoleAndName),
    tsMachines,
    owners: owners.filter((object) => object !== undefined),
    controlPlane,
    workers,
  };
}

/** Names of the Nodes that are Ready, as the cluster itself says. */
export async function readyNodes(workload: Client): Promise<string[]> {
  const nodes = (await workload.list(NodeKind)) as (KubeObject & { status?: { conditions?: Condition[] } })[];
  const ready = (conditions: readonly Condition[] = []) =>
    conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  return nodes.filter(({ status }) => ready(status?.conditions)).map(({ metadata }) => metadata.name);
}

/** A machine that is there to stay and works. */
export function isRunning(machine: MachineRow): boolean {
  const ready = machine.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  return machine.phase === 'Running' && ready && !machine.deleting;
}

function rowOf({ metadata, spec = {}, status = {} }: LiveMachine): MachineRow {
  const { phase = '', failureDomain = '', nodeRef = {}, conditions = [] } = status;
  return {
    name: metadata.name,
    controlPlane: metadata.labels?.['cluster.x-k8s.io/control-plane'] !== undefined,
    phase,
    version: spec.version ?? '',
    zone: failureDomain,
    node: nodeRef.name ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    conditions,
  };
}

function byRoleAndName(a: MachineRow, b: MachineRow): number {
  if (a.controlPlane !== b.controlPlane) return a.controlPlane ? -1 : 1;
  return a.name.localeCompare(b.name);
}
