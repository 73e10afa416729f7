// SPDX-License-Identifier: Apache-2.0
// What of a TSHost wakes TSMachines: the machine that has it is told how far it is, and a host that is free may suit one that waits.
import { isDeepStrictEqual } from 'node:util';
import { ConditionType } from '../../api/conditions.ts';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import { getCondition } from '../../runtime/conditions.ts';
import type { WatchMapping } from '../../runtime/controller.ts';
import type { Cache, InformerEvent } from '../../runtime/informer.ts';
import { nameOf, type ObjectName } from '../../runtime/object.ts';

/** The watch of TSHosts; `cache` watches TSMachines. */
export function hostWatch(cache: Cache): WatchMapping<TSHost> {
  return {
    kind: TSHostKind,
    map: (event) => [...claimants(event), ...(hasBecomeFree(event) ? waiting(cache, event.object) : [])],
  };
}

/** The machine that has the host, and the one that had it: made free is the proof that its machine is gone. */
function claimants(event: InformerEvent<TSHost>): readonly ObjectName[] {
  const now = claimant(event.object);
  if (event.type !== 'update') return now;
  const { previous, object } = event;
  if (isDeepStrictEqual(told(previous), told(object))) return [];
  const before = claimant(previous);
  return isDeepStrictEqual(before, now) ? now : [...now, ...before];
}

function claimant({ spec: { claim } }: TSHost): readonly ObjectName[] {
  const machine = claim?.machine;
  return machine === undefined ? [] : [{ namespace: machine.namespace, name: machine.name }];
}

/** What a machine reports of its host. */
function told({ metadata, spec, status = {} }: TSHost): unknown[] {
  const { state, operationalStatus, operation, error, hostname, hardware, conditions } = status;
  const ready = getCondition(conditions, ConditionType.Ready);
  return [
    ...[spec.claim, spec.ssh.address, spec.failureDomain, metadata.deletionTimestamp],
    ...[state, operationalStatus, operation?.id, operation?.step, error?.reason, error?.message],
    ...[hostname, hardware?.nics, ready?.reason, ready?.message],
  ];
}

/** Machines choose when they are woken; what changed about a host that was free before changes their counted reasons little. */
function hasBecomeFree(event: InformerEvent<TSHost>): boolean {
  if (event.type === 'delete' || !isFree(event.object)) return false;
  return (
    event.type === 'add' ||
    !isFree(event.previous) ||
    !isDeepStrictEqual(offer(event.previous), offer(event.object))
  );
}

function isFree({ metadata, spec, status }: TSHost): boolean {
  const isUsable = status?.state === 'Available' && status.operationalStatus === 'OK';
  return isUsable && spec.claim?.for === undefined && metadata.deletionTimestamp === undefined;
}

/** What a selector may look at. */
function offer({ metadata, spec, status }: TSHost): unknown[] {
  const { failureDomain, maintenance, adopt } = spec;
  return [metadata.labels, failureDomain, maintenance, adopt, status?.hardware, status?.operatingSystem];
}

/** Machines of the namespace that have no host yet. */
function waiting(cache: Cache, host: TSHost): readonly ObjectName[] {
  return cache
    .list(TSMachineKind, host.metadata.namespace)
    .filter(({ spec }) => spec.host !== undefined && spec.providerID === undefined)
    .map(nameOf);
}
