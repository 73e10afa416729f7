// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { Node } from '../../api/cluster-api.ts';
import type { ApiObject } from '../../api/meta.ts';

/** The static pods of a control plane machine; etcd only where it is stacked. */
export const COMPONENTS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'] as const;

/** One of {@link COMPONENTS}. */
export type Component = (typeof COMPONENTS)[number];

/** What pods of one machine have in common. `now` is RFC 3339. */
export interface PodFacts {
  readonly node: Node;
  readonly internalIP: string;
  readonly bindPort: number;
  readonly imageRepository: string;
  readonly version: string;
  readonly now: string;
}

const ETCD_TAG = '3.6.8-0';

/** The kubelet names a mirror pod after its node (KCP-13). */
export function staticPodName(component: Component, nodeName: string): string {
  return `${component}-${nodeName}`;
}

/** The mirror pod of a component, as the kubelet would make it from kubeadm's manifest. */
export function staticPod(component: Component, facts: PodFacts): ApiObject {
  const { node } = facts;
  const image = imageOf(component, facts);
  const hash = createHash('sha256').update(`${node.metadata.name}/${image}`).digest('hex').slice(0, 32);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: staticPodName(component, node.metadata.name),
      namespace: 'kube-system',
      labels: { component, tier: 'control-plane' },
      annotations: {
        'kubernetes.io/config.hash': hash,
        'kubernetes.io/config.mirror': hash,
        'kubernetes.io/config.seen': facts.now,
        'kubernetes.io/config.source': 'file',
        ...endpointAnnotation(component, facts),
      },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Node',
          name: node.metadata.name,
          uid: node.metadata.uid ?? '',
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: node.metadata.name,
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      // Nobody would confirm the end of a grace period.
      terminationGracePeriodSeconds: 0,
      tolerations: [{ effect: 'NoExecute', operator: 'Exists' }],
      containers: [{ name: component, image, imagePullPolicy: 'IfNotPresent' }],
    },
  };
  return pod;
}

/** A pod that runs and is ready, which is what makes a control plane component healthy (KCP-8). */
export function staticPodStatus(component: Component, facts: PodFacts): Record<string, unknown> {
  const conditions = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];
  return {
    phase: 'Running',
    hostIP: facts.internalIP,
    hostIPs: [{ ip: facts.internalIP }],
    podIP: facts.internalIP,
    podIPs: [{ ip: facts.internalIP }],
    startTime: facts.now,
    conditions: conditions.map((type) => ({ type, status: 'True', lastTransitionTime: facts.now })),
    containerStatuses: [
      {
        name: component,
        image: imageOf(component, facts),
        imageID: '',
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: facts.now } },
      },
    ],
  };
}

function imageOf(component: Component, facts: PodFacts): string {
  const tag = component === 'etcd' ? ETCD_TAG : imageTag(facts.version);
  return `${facts.imageRepository}/${component}:${tag}`;
}

/** A tag has no `+`, which versions of own builds have. */
export function imageTag(version: string): string {
  return version.replaceAll('+', '_');
}

function endpointAnnotation(component: Component, facts: PodFacts): Record<string, string> {
  switch (component) {
    case 'kube-apiserver':
      return {
        'kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint': `${facts.internalIP}:${facts.bindPort}`,
      };
    case 'etcd':
      return { 'kubeadm.kubernetes.io/etcd.advertise-client-urls': `https://${facts.internalIP}:2379` };
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return {};
  }
}
