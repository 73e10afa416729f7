// SPDX-License-Identifier: Apache-2.0
import type { Kind } from '../../api/kinds.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { ClusterFacts } from './guest-control-plane.ts';
import { imageTag } from './static-pods.ts';

/** CoreDNS that kubeadm of a minor version installs. The control plane provider migrates from versions that it knows only. */
const COREDNS_TAGS: Readonly<Record<number, string>> = {
  31: 'v1.11.3',
  32: 'v1.11.3',
  33: 'v1.12.0',
  34: 'v1.12.1',
  35: 'v1.13.1',
  36: 'v1.14.2',
};
const NEWEST_COREDNS = 'v1.14.2';

const COREFILE = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

const ConfigMapKind = namespaced('v1', 'ConfigMap', 'configmaps');
const DeploymentKind = namespaced('apps/v1', 'Deployment', 'deployments');
const DaemonSetKind = namespaced('apps/v1', 'DaemonSet', 'daemonsets');
const ClusterRoleBindingKind: Kind = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
};

/** The objects beside kubeadm-config that `kubeadm init` makes and the control plane provider reads or keeps current. */
export function addons(cluster: ClusterFacts): readonly (readonly [Kind, ApiObject])[] {
  return [
    [
      ClusterRoleBindingKind,
      clusterRoleBinding('kubeadm:cluster-admins', 'cluster-admin', 'Group', 'kubeadm:cluster-admins'),
    ],
    [
      ClusterRoleBindingKind,
      clusterRoleBinding(
        'kubeadm:apiserver-kubelet-client',
        'system:kubelet-api-admin',
        'User',
        'kube-apiserver-kubelet-client',
      ),
    ],
    [DaemonSetKind, kubeProxy(cluster)],
    [ConfigMapKind, { ...object('v1', 'ConfigMap', 'coredns'), data: { Corefile: COREFILE } } as ApiObject],
    [DeploymentKind, coreDNS(cluster)],
  ];
}

function kubeProxy(cluster: ClusterFacts): ApiObject {
  const labels = { 'k8s-app': 'kube-proxy' };
  const image = `${cluster.imageRepository}/kube-proxy:${imageTag(cluster.kubernetesVersion)}`;
  return workload('DaemonSet', 'kube-proxy', labels, {
    updateStrategy: { type: 'RollingUpdate' },
    template: {
      metadata: { labels },
      spec: {
        hostNetwork: true,
        priorityClassName: 'system-node-critical',
        tolerations: [{ operator: 'Exists' }],
        containers: [{ name: 'kube-proxy', image, command: ['/usr/local/bin/kube-proxy'] }],
      },
    },
  });
}

function coreDNS(cluster: ClusterFacts): ApiObject {
  const labels = { 'k8s-app': 'kube-dns' };
  return workload('Deployment', 'coredns', labels, {
    replicas: 2,
    template: {
      metadata: { labels },
      spec: {
        priorityClassName: 'system-cluster-critical',
        tolerations: [
          { key: 'CriticalAddonsOnly', operator: 'Exists' },
          { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' },
        ],
        containers: [
          {
            name: 'coredns',
            image: coreDNSImage(cluster),
            args: ['-conf', '/etc/coredns/Corefile'],
            volumeMounts: [{ name: 'config-volume', mountPath: '/etc/coredns', readOnly: true }],
          },
        ],
        volumes: [
          {
            name: 'config-volume',
            configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] },
          },
        ],
      },
    },
  });
}

/** The default registry keeps the image one level deeper than mirrors do. */
function coreDNSImage(cluster: ClusterFacts): string {
  const dns = cluster.configuration['dns'] as { imageRepository?: string; imageTag?: string } | undefined;
  const repository = dns?.imageRepository || cluster.imageRepository;
  const name = repository === 'registry.k8s.io' ? 'coredns/coredns' : 'coredns';
  const minor = Number(/^v?\d+\.(\d+)/.exec(cluster.kubernetesVersion)?.[1]);
  return `${repository}/${name}:${dns?.imageTag || (COREDNS_TAGS[minor] ?? NEWEST_COREDNS)}`;
}

function workload(
  kind: 'DaemonSet' | 'Deployment',
  name: string,
  labels: Record<string, string>,
  spec: Record<string, unknown>,
): ApiObject {
  const base = object('apps/v1', kind, name);
  const made = {
    ...base,
    metadata: { ...base.metadata, labels },
    spec: { selector: { matchLabels: labels }, ...spec },
  };
  return made;
}

function clusterRoleBinding(name: string, role: string, subjectKind: string, subject: string): ApiObject {
  const apiGroup = 'rbac.authorization.k8s.io';
  const binding = {
    apiVersion: ClusterRoleBindingKind.apiVersion,
    kind: ClusterRoleBindingKind.kind,
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup, kind: subjectKind, name: subject }],
  };
  return binding;
}

function object(apiVersion: string, kind: string, name: string): ApiObject {
  return { apiVersion, kind, metadata: { name, namespace: 'kube-system' } };
}

function namespaced(apiVersion: string, kind: string, plural: string): Kind {
  return { apiVersion, kind, plural, namespaced: true };
}
