// SPDX-License-Identifier: Apache-2.0
import type { Node } from '../../api/cluster-api.ts';
import type { Instance } from './instance.ts';

/** Condition types of a Node, and the status that means health. */
const HEALTHY = [
  ['MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  ['DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  ['PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  ['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'],
] as const;

const PODS = '110';

/** What the kubelet of a healthy machine reports. `now` is RFC 3339. */
export function nodeStatus(
  instance: Instance,
  facts: { readonly hostname: string; readonly version: string; readonly now: string },
): NonNullable<Node['status']> {
  const capacity = { ...instance.capacity, pods: PODS };
  return {
    addresses: [
      { type: 'InternalIP', address: instance.internalIP },
      { type: 'Hostname', address: facts.hostname },
    ],
    capacity,
    allocatable: capacity,
    conditions: HEALTHY.map(([type, status, reason, message]) => ({
      ...{ type, status, reason, message },
      ...{ lastHeartbeatTime: facts.now, lastTransitionTime: facts.now },
    })),
    nodeInfo: {
      architecture: 'amd64',
      operatingSystem: 'linux',
      osImage: 'ts-provider in-memory machine',
      kernelVersion: '0.0.0-inmemory',
      containerRuntimeVersion: 'inmemory://0.0.0',
      kubeletVersion: facts.version,
      kubeProxyVersion: '',
      machineID: instance.id,
      systemUUID: instance.id,
      bootID: instance.id,
    },
  };
}

/** Every condition Unknown, as of a kubelet that fell silent. One that is Unknown already keeps its transition time. */
export function lostConditions(node: Node, now: string): unknown[] {
  const before = (node.status?.conditions ?? []) as readonly {
    type: string;
    status: string;
    lastTransitionTime?: string;
  }[];
  return HEALTHY.map(([type]) => {
    const known = before.find((condition) => condition.type === type);
    const lastTransitionTime = known?.status === 'Unknown' ? (known.lastTransitionTime ?? now) : now;
    const message = 'Kubelet stopped posting node status.';
    return {
      type,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message,
      lastHeartbeatTime: now,
      lastTransitionTime,
    };
  });
}
