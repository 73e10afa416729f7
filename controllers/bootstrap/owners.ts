// SPDX-License-Identifier: Apache-2.0
import { CLUSTER_API_GROUP, type Machine, type MachinePool } from '../../api/cluster-api.ts';
import { MachineKind, MachinePoolKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { Cache } from '../../runtime/informer.ts';
import { groupOf, type KubeObject, nameOf, type ObjectName } from '../../runtime/object.ts';

/** A Machine or a MachinePool, as far as its bootstrap data is concerned (KB-1 to KB-4). */
export interface ConfigOwner extends ObjectName {
  readonly kind: 'Machine' | 'MachinePool';
  readonly clusterName: string;
  readonly version: string | undefined;
  /** Pools are always workers (KB-2). */
  readonly isControlPlane: boolean;
  /** What core has copied from our status; it survives a move (BC-5). */
  readonly dataSecretName: string | undefined;
  /** What the machine is made of, such as TSMachine. */
  readonly infrastructureKind: string | undefined;
  /** Every Node that is to come has come (KB-4). */
  readonly hasJoined: boolean;
  /** An instance has been made, or may have been: it holds the data that it was given. Always false for pools, which make more. */
  readonly isUsed: boolean;
}

const OWNER_KINDS = ['Machine', 'MachinePool'] as const;

/** The owner of a KubeadmConfig; `undefined` while core has not set it, or when it is gone (KB-1). */
export function configOwner(cache: Cache, object: KubeObject): ConfigOwner | undefined {
  for (const { kind, name, apiVersion } of object.metadata.ownerReferences ?? []) {
    // The version in the reference is ignored: core upgrades its API without rewriting references.
    if (groupOf(apiVersion) !== CLUSTER_API_GROUP || !OWNER_KINDS.some((known) => known === kind)) continue;
    const owner = { namespace: object.metadata.namespace ?? '', name };
    return kind === 'Machine'
      ? fromMachine(cache.peek(MachineKind, owner))
      : fromMachinePool(cache.peek(MachinePoolKind, owner));
  }
  return undefined;
}

function fromMachine(machine: Machine | undefined): ConfigOwner | undefined {
  if (machine === undefined) return undefined;
  const { spec } = machine;
  const hasJoined = isFilled(machine.status?.nodeRef?.name);
  return {
    ...nameOf(machine),
    kind: 'Machine',
    clusterName: spec.clusterName,
    version: spec.version,
    // By presence, the value is empty (PIT-31).
    isControlPlane: machine.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined,
    dataSecretName: spec.bootstrap?.dataSecretName || undefined,
    infrastructureKind: spec.infrastructureRef.kind,
    hasJoined,
    isUsed: hasJoined || isProvisioned(machine),
  };
}

function isProvisioned({ spec, status }: Machine): boolean {
  return isFilled(spec.providerID) || status?.initialization?.infrastructureProvisioned === true;
}

function isFilled(text: string | undefined): boolean {
  return text !== undefined && text !== '';
}

function fromMachinePool(pool: MachinePool | undefined): ConfigOwner | undefined {
  if (pool === undefined) return undefined;
  const machine = pool.spec.template.spec;
  return {
    ...nameOf(pool),
    kind: 'MachinePool',
    clusterName: pool.spec.clusterName,
    version: machine.version,
    isControlPlane: false,
    dataSecretName: machine.bootstrap?.dataSecretName || undefined,
    // No kind of pool is known for what it takes.
    infrastructureKind: undefined,
    hasJoined: (pool.status?.nodeRefs?.length ?? 0) === (pool.spec.replicas ?? 1),
    isUsed: false,
  };
}
