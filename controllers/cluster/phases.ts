// SPDX-License-Identifier: Apache-2.0
import { Reason } from '../../api/conditions.ts';
import { TSCLUSTER_FINALIZER } from '../../api/labels.ts';
import { hold, next, type Phase, type Step } from '../../contract/phases.ts';
import type { Ctx } from '../../runtime/context.ts';
import { removeFinalizer } from '../../runtime/finalizers.ts';
import {
  ensureLoadBalancer,
  ensureNetwork,
  isAtCloud,
  recordInfrastructureID,
  removeCloudLoadBalancer,
  removeNetwork,
} from './cloud.ts';
import { claimLoadBalancer, DEFAULT_PORT, isValid, releaseLoadBalancer } from './load-balancer.ts';
import type { ClusterScope } from './scope.ts';

/** How many machine names a message carries before it says "and N more". */
const NAMES_SHOWN = 5;

/** Endpoint and failure domains are there before `provisioned` is (IC-5): core latches it and places the first machine at once. */
export const NORMAL: readonly Phase<ClusterScope>[] = [
  { name: 'recordInfrastructureID', role: 'acts', run: recordInfrastructureID },
  { name: 'ensureNetwork', role: 'acts', run: ensureNetwork },
  { name: 'ensureLoadBalancer', role: 'goesAhead', run: ensureLoadBalancer },
  { name: 'reportFailureDomains', role: 'reports', run: reportFailureDomains },
  { name: 'claimLoadBalancer', role: 'acts', run: claimLoadBalancer },
  { name: 'resolveEndpoint', role: 'acts', run: resolveEndpoint },
  { name: 'reportProvisioned', role: 'acts', run: reportProvisioned },
];

/** Core deletes the InfraCluster after all Machines (IC-13); somebody else may not, so we look. */
export const DELETE: readonly Phase<ClusterScope>[] = [
  { name: 'waitForMachines', role: 'acts', run: waitForMachines },
  { name: 'releaseLoadBalancer', role: 'acts', run: releaseLoadBalancer },
  { name: 'removeCloudLoadBalancer', role: 'acts', run: removeCloudLoadBalancer },
  { name: 'removeNetwork', role: 'acts', run: removeNetwork },
  { name: 'releaseFinalizer', role: 'acts', run: releaseFinalizer },
];

/** Of all backends, sorted by name, so that the status never changes by itself (PIT-23). */
function reportFailureDomains(_ctx: Ctx, scope: ClusterScope): Step {
  // Of a network that does not answer just now it is known what was there.
  if (isAtCloud(scope) && scope.facts.failureDomains === undefined) return next();
  const domains = new Map<string, boolean>();
  for (const { name, controlPlane = true } of allFailureDomains(scope))
    domains.set(name, controlPlane || domains.get(name) === true);
  const status = (scope.object.status ??= {});
  if (domains.size === 0) {
    delete status.failureDomains;
    return next();
  }
  status.failureDomains = [...domains]
    .map(([name, controlPlane]) => ({ name, controlPlane }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return next();
}

function allFailureDomains({ object, facts }: ClusterScope): { name: string; controlPlane?: boolean }[] {
  const { inMemory, hosts } = object.spec;
  const ofHosts = (hosts?.failureDomains ?? []).map((name) => ({ name }));
  return [...ofHosts, ...(inMemory?.failureDomains ?? []), ...(facts.failureDomains ?? [])];
}

/**
 * With an external load balancer the endpoint is given, here (IC-2) or on the Cluster (IC-2b); it is not copied between the two. Of an address
 * that hosts share the host is given here, and it answers where their API servers do.
 */
function resolveEndpoint(_ctx: Ctx, scope: ClusterScope): Step {
  const { controlPlaneEndpoint, controlPlaneLoadBalancer } = scope.object.spec;
  if (controlPlaneLoadBalancer?.type === 'VirtualIP' && controlPlaneEndpoint !== undefined)
    controlPlaneEndpoint.port ??= DEFAULT_PORT;
  if (isValid(scope.object.spec.controlPlaneEndpoint) || isValid(scope.cluster?.spec?.controlPlaneEndpoint))
    return next();
  const message =
    'Waiting for an endpoint: controlPlaneLoadBalancer is External, so set spec.controlPlaneEndpoint {host, port} ' +
    'of this TSCluster or of its Cluster';
  return hold(Reason.WaitingForControlPlaneEndpoint, message);
}

function reportProvisioned(_ctx: Ctx, scope: ClusterScope): Step {
  (scope.object.status ??= {}).initialization = { provisioned: true };
  return next();
}

function waitForMachines(_ctx: Ctx, scope: ClusterScope): Step {
  const names = scope.machineNames();
  if (names.length === 0) return next();
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  const message = `Waiting for the machines of the cluster to go first: ${shown}${more}; delete the Cluster, or these Machines`;
  return hold(Reason.WaitingForMachines, message);
}

function releaseFinalizer(_ctx: Ctx, scope: ClusterScope): Step {
  removeFinalizer(scope.object, TSCLUSTER_FINALIZER);
  return next();
}
