// SPDX-License-Identifier: Apache-2.0
// Versions of Kubernetes that may not meet in one cluster: asked before anything is done to a host.
import type { Machine } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { MachineKind } from '../../api/kinds.ts';
import { isControlPlane } from '../../contract/owners.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Cache } from '../../runtime/informer.ts';
import type { ClaimingMachine } from './machine.ts';
import type { Transition } from './scope.ts';

/** So many minors a kubelet may be older than an API server. */
const KUBELET_MINORS = 3;

/** So many minors API servers of one cluster may be apart. */
const SERVER_MINORS = 1;

/**
 * What is wrong with the version of a machine that would join the control plane that runs; `undefined` when nothing is. Patch releases
 * do not count. Machines that no Node has come of do not count either: they run nothing.
 */
export function versionSkew(
  cache: Cache,
  { machine, isControlPlane: isServer }: ClaimingMachine,
): Transition['error'] | undefined {
  const own = versionOf(machine);
  if (machine === undefined || own === undefined) return undefined;
  const servers = runningServers(cache, machine).toSorted((a, b) => a.minor - b.minor);
  const [oldest, newest] = [servers[0], servers.at(-1)];
  if (oldest === undefined || newest === undefined) return undefined;
  const wrong = isServer ? serverSkew(own, oldest, newest) : workerSkew(own, oldest, newest);
  return wrong === undefined
    ? undefined
    : { reason: Reason.VersionSkew, message: `${wrong}; nothing is done to the host` };
}

interface Version {
  readonly text: string;
  /** Majors are far apart. */
  readonly minor: number;
}

/** Of the oldest and the newest: the oldest is who may not know what is new. */
function workerSkew(own: Version, oldest: Version, newest: Version): string | undefined {
  if (own.minor > oldest.minor)
    return (
      `The Machine asks for ${own.text}, and a control plane machine of its Cluster still runs ${oldest.text}: a kubelet must not be newer than its API server; ` +
      'bring the control plane to this version first, or set an older version on the owner of the Machine'
    );
  if (newest.minor - own.minor > KUBELET_MINORS)
    return (
      `The Machine asks for ${own.text}, more than ${KUBELET_MINORS} minor versions older than the control plane, which runs ${newest.text}; ` +
      'set a newer version on the owner of the Machine'
    );
  return undefined;
}

function serverSkew(own: Version, oldest: Version, newest: Version): string | undefined {
  if (own.minor < newest.minor)
    return (
      `The control plane machine asks for ${own.text}, and another one of its Cluster runs ${newest.text} already: a control plane does not go back; ` +
      `set version ${newest.text} or newer on the control plane`
    );
  if (own.minor - oldest.minor > SERVER_MINORS)
    return (
      `The control plane machine asks for ${own.text}, and another one of its Cluster still runs ${oldest.text}: a control plane goes one minor version at a time; ` +
      'set the next minor version on the control plane first'
    );
  return undefined;
}

function runningServers(cache: Cache, self: Machine): Version[] {
  return byCluster(self)
    .flatMap((cluster) => cache.byIndex(MachineKind, CLUSTER_INDEX, cluster))
    .filter((one) => one.metadata.name !== self.metadata.name && one.status?.nodeRef !== undefined)
    .filter((one) => isControlPlane(one))
    .flatMap((one) => versionOf(one) ?? []);
}

function versionOf(machine: Machine | undefined): Version | undefined {
  const text = machine?.spec.version ?? '';
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(text) ?? [];
  return minor === undefined ? undefined : { text, minor: Number(major) * 1000 + Number(minor) };
}
