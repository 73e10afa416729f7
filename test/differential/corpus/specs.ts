// SPDX-License-Identifier: Apache-2.0
// Parts of specs that several scenarios share. Every call gives new objects, so that nothing is shared by accident.
import type { Arg, ClusterConfiguration, EnvVar } from '../../../api/bootstrap/cluster-configuration.ts';
import type { NodeRegistrationOptions, Timeouts } from '../../../api/bootstrap/node-registration.ts';
import type { KubeadmConfigSpec } from '../../../api/kubeadmconfig.ts';

export const TOKEN = 'abcdef.0123456789abcdef';

/** Flags whose values YAML would take for something else. */
export function args(): Arg[] {
  return [
    { name: 'v', value: '2' },
    { name: 'feature-gates', value: 'A=true,B=false' },
    { name: 'empty', value: '' },
    { name: 'yes', value: 'on' },
    { name: 'octal', value: '0755' },
    { name: 'version', value: '1.30' },
  ];
}

/** One variable for each source. */
export function envs(): EnvVar[] {
  return [
    { name: 'PLAIN', value: 'value' },
    { name: 'NOTHING' },
    { name: 'NODE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.hostIP' } } },
    {
      name: 'CPU',
      valueFrom: { resourceFieldRef: { containerName: 'etcd', resource: 'limits.cpu', divisor: '1m' } },
    },
    { name: 'MAP', valueFrom: { configMapKeyRef: { name: 'map', key: 'key', optional: true } } },
    { name: 'SECRET', valueFrom: { secretKeyRef: { name: 'secret', key: 'key', optional: false } } },
    {
      name: 'FILE',
      valueFrom: { fileKeyRef: { volumeName: 'volume', path: 'env', key: 'KEY', optional: true } },
    },
  ];
}

export function volumes() {
  return [
    {
      name: 'audit',
      hostPath: '/etc/kubernetes/audit',
      mountPath: '/audit',
      readOnly: true,
      pathType: 'DirectoryOrCreate',
    },
    { name: 'plain', hostPath: '/var/log', mountPath: '/log', readOnly: false },
  ];
}

export function timeouts(): Timeouts {
  return {
    controlPlaneComponentHealthCheckSeconds: 50,
    kubeletHealthCheckSeconds: 100,
    kubernetesAPICallSeconds: 3600,
    etcdAPICallSeconds: 3661,
    tlsBootstrapSeconds: 0,
    discoverySeconds: 1,
  };
}

/** Every field of a node registration but the taints. */
export function nodeRegistration(): NodeRegistrationOptions {
  return {
    name: '{{ ds.meta_data.local_hostname }}',
    criSocket: 'unix:///run/containerd/containerd.sock',
    kubeletExtraArgs: [
      { name: 'cloud-provider', value: 'external' },
      { name: 'node-labels', value: 'a=b,c=' },
    ],
    ignorePreflightErrors: ['Swap', 'DirAvailable--etc-kubernetes-manifests'],
    imagePullPolicy: 'IfNotPresent',
    imagePullSerial: false,
  };
}

/** Every field of a cluster configuration, with an etcd of its own. */
export function clusterConfiguration(): ClusterConfiguration {
  return {
    controlPlaneEndpoint: 'api.example.org:443',
    imageRepository: 'registry.example.org/kubernetes',
    certificatesDir: '/srv/pki',
    featureGates: { RootlessControlPlane: true, PublicKeysECDSA: false },
    encryptionAlgorithm: 'RSA-2048',
    certificateValidityPeriodDays: 90,
    caCertificateValidityPeriodDays: 1000,
    dns: { imageRepository: 'registry.example.org/coredns', imageTag: 'v1.11.3' },
    apiServer: {
      extraArgs: args(),
      extraEnvs: envs(),
      extraVolumes: volumes(),
      certSANs: ['a.example.org', '::1'],
    },
    controllerManager: { extraArgs: args(), extraEnvs: envs(), extraVolumes: volumes() },
    scheduler: { extraArgs: args(), extraEnvs: envs(), extraVolumes: volumes() },
    etcd: {
      local: {
        imageRepository: 'registry.example.org/etcd',
        imageTag: '3.5.15-0',
        dataDir: '/data/etcd',
        extraArgs: args(),
        extraEnvs: envs(),
        serverCertSANs: ['etcd.example.org'],
        peerCertSANs: ['peer.example.org', '10.0.0.1'],
      },
    },
  };
}

/** Something of everything, for control plane Machines and for workers. */
export function rich(): KubeadmConfigSpec {
  return {
    clusterConfiguration: clusterConfiguration(),
    initConfiguration: {
      bootstrapTokens: [
        {
          token: TOKEN,
          description: 'for an hour',
          ttlSeconds: 3600,
          usages: ['signing', 'authentication'],
          groups: ['system:bootstrappers:x'],
        },
        { token: 'fedcba.fedcba9876543210' },
      ],
      nodeRegistration: nodeRegistration(),
      localAPIEndpoint: { advertiseAddress: '10.0.0.5', bindPort: 6443 },
      skipPhases: ['addon/kube-proxy', 'mark-control-plane'],
      patches: { directory: '/etc/kubernetes/patches' },
      timeouts: timeouts(),
    },
    joinConfiguration: {
      nodeRegistration: nodeRegistration(),
      caCertPath: '/srv/pki/ca.crt',
      skipPhases: ['preflight'],
      patches: { directory: '/etc/kubernetes/patches' },
      timeouts: timeouts(),
    },
    files: [{ path: '/etc/motd', owner: 'root:root', permissions: '0644', content: 'hello\n' }],
    users: [{ name: 'capi', sudo: 'ALL=(ALL) NOPASSWD:ALL', sshAuthorizedKeys: ['ssh-ed25519 AAAA me'] }],
    preKubeadmCommands: ['hostnamectl set-hostname "{{ ds.meta_data.local_hostname }}"'],
    postKubeadmCommands: ['echo done'],
    ntp: { enabled: true, servers: ['0.pool.ntp.org'] },
    verbosity: 5,
  };
}
