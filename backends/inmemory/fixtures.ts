// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: bootstrap data as bootstrap providers write it, machines, and a logger that is silent.
import type { MachineFacts } from '../backend.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Clock } from '../../runtime/clock.ts';

const silent: Ctx['log'] = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A call's context that nobody aborts. */
export function contextOf(clock: Clock): Ctx {
  return { signal: new AbortController().signal, log: silent, clock };
}

/** A worker of cluster `c1` in namespace `default`, with an intent. */
export function machineNamed(name: string, overrides: Partial<MachineFacts> = {}): MachineFacts {
  return {
    namespace: 'default',
    name,
    uid: `uid-of-${name}`,
    clusterName: 'c1',
    controlPlane: false,
    version: 'v1.36.3',
    failureDomain: undefined,
    providerID: undefined,
    intent: { attempt: 1, clientToken: `token-${name}`, requestHash: 'hash' },
    spec: { inMemory: {} },
    cluster: { inMemory: {} },
    infrastructureID: undefined,
    hasNode: false,
    ...overrides,
  };
}

/** A cloud-config document with these files. */
export function cloudConfig(files: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(files).map(([path, content]) => {
    const lines = content.split('\n').map((line) => `      ${line}`);
    return `  - path: ${path}\n    owner: root:root\n    permissions: '0640'\n    content: |\n${lines.join('\n')}\n`;
  });
  return Buffer.from(
    `## template: jinja\n#cloud-config\n\nwrite_files:\n${entries.join('')}runcmd:\n  - "true"\n`,
  );
}

export const INIT_FILE = '/run/kubeadm/kubeadm.yaml';
export const JOIN_FILE = '/run/kubeadm/kubeadm-join-config.yaml';

export const INIT_CONFIGURATION = `---
apiVersion: kubeadm.k8s.io/v1beta4
apiServer: {}
dns: {}
etcd:
  external:
    caFile: /a
    certFile: /b
    endpoints:
      - https://127.0.0.1:2379
    keyFile: /c
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking:
  podSubnet: 192.168.0.0/16
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {}
nodeRegistration:
  name: '{{ ds.meta_data.local_hostname }}'
  taints: null`;

export const CONTROL_PLANE_JOIN = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
controlPlane:
  localAPIEndpoint:
    bindPort: 7443
discovery:
  bootstrapToken: {token: abcdef.0123456789abcdef}
nodeRegistration:
  taints: []`;

export const WORKER_JOIN = `---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {}
nodeRegistration:
  kubeletExtraArgs:
    - name: node-labels
      value: pool=blue,node.kubernetes.io/role=worker
    - name: provider-id
      value: '{{ ds.meta_data.provider_id }}'
  taints:
    - key: node.cluster.x-k8s.io/uninitialized
      effect: NoSchedule`;
