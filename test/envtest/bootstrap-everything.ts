// SPDX-License-Identifier: Apache-2.0
// Specs that together hold every field of a KubeadmConfig (KB 6.12). The values mean nothing; each differs from any default.
import type { Arg, ControlPlaneComponent, EnvVar } from '../../api/bootstrap/cluster-configuration.ts';
import type { FileDiscovery } from '../../api/bootstrap/join-configuration.ts';
import type {
  APIEndpoint,
  NodeRegistrationOptions,
  Timeouts,
} from '../../api/bootstrap/node-registration.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';

const args = (name: string): Arg[] => [
  { name, value: 'x' },
  { name: `${name}-empty`, value: '' },
];

const envs: EnvVar[] = [
  { name: 'PLAIN', value: 'on' },
  { name: 'FIELD', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.hostIP' } } },
  {
    name: 'RESOURCE',
    valueFrom: { resourceFieldRef: { containerName: 'etcd', resource: 'limits.cpu', divisor: '1m' } },
  },
  {
    name: 'RESOURCE_NUMBER',
    valueFrom: { resourceFieldRef: { containerName: 'etcd', resource: 'limits.cpu', divisor: 1 } },
  },
  { name: 'CONFIG_MAP', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a', optional: true } } },
  { name: 'SECRET', valueFrom: { secretKeyRef: { name: 'secrets', key: 'b', optional: false } } },
  {
    name: 'FILE',
    valueFrom: { fileKeyRef: { volumeName: 'env', path: 'a/b', key: 'c', optional: true } },
  },
];

const component = (name: string): ControlPlaneComponent => ({
  extraArgs: args(name),
  extraEnvs: envs,
  extraVolumes: [
    { name, hostPath: '/etc/x', mountPath: '/x', readOnly: true, pathType: 'DirectoryOrCreate' },
    { name: `${name}-2`, hostPath: '/etc/y', mountPath: '/y', readOnly: false, pathType: '' },
  ],
});

const nodeRegistration: NodeRegistrationOptions = {
  name: '{{ ds.meta_data.local_hostname }}',
  criSocket: 'unix:///run/containerd/containerd.sock',
  taints: [
    { key: 'a', value: 'b', effect: 'NoSchedule', timeAdded: '2026-01-01T00:00:00Z' },
    { key: 'c', effect: 'NoExecute' },
  ],
  kubeletExtraArgs: args('node-labels'),
  ignorePreflightErrors: ['Swap', 'all'],
  imagePullPolicy: 'Never',
  imagePullSerial: false,
};
const localAPIEndpoint: APIEndpoint = { advertiseAddress: 'fd00::1', bindPort: 6444 };
const timeouts: Timeouts = {
  controlPlaneComponentHealthCheckSeconds: 0,
  kubeletHealthCheckSeconds: 1,
  kubernetesAPICallSeconds: 2,
  etcdAPICallSeconds: 3,
  tlsBootstrapSeconds: 4,
  discoverySeconds: 5,
};
const common = {
  nodeRegistration,
  skipPhases: ['addon/kube-proxy'],
  patches: { directory: '/patches' },
  timeouts,
};

const cluster = {
  server: 'https://api.example.org:6443',
  tlsServerName: 'api.example.org',
  insecureSkipTLSVerify: false,
  certificateAuthorityData: 'UEVN',
  proxyURL: 'socks5://proxy:1080',
};

/** First machine: cloud-config with all that Ignition cannot do. */
const INIT: KubeadmConfigSpec = {
  clusterConfiguration: {
    etcd: {
      local: {
        imageRepository: 'registry.example.org/etcd',
        imageTag: '3.6.8-0',
        dataDir: '/data',
        extraArgs: args('quota-backend-bytes'),
        extraEnvs: envs,
        serverCertSANs: ['etcd.example.org'],
        peerCertSANs: ['10.0.0.1'],
      },
    },
    controlPlaneEndpoint: 'api.example.org:6443',
    apiServer: { ...component('audit-log-path'), certSANs: ['api.example.org', '127.0.0.1'] },
    controllerManager: component('node-monitor-period'),
    scheduler: component('v'),
    dns: { imageRepository: 'registry.example.org/coredns', imageTag: 'v1.12.0' },
    certificatesDir: '/pki',
    imageRepository: 'registry.example.org',
    featureGates: { ControlPlaneKubeletLocalMode: true, NodeLocalCRISocket: false },
    certificateValidityPeriodDays: 1,
    caCertificateValidityPeriodDays: 36_500,
    encryptionAlgorithm: 'ECDSA-P384',
  },
  initConfiguration: {
    ...common,
    localAPIEndpoint,
    bootstrapTokens: [
      {
        token: 'abcdef.0123456789abcdef',
        description: 'for scripts',
        ttlSeconds: 0,
        usages: ['signing', 'authentication'],
        groups: ['system:bootstrappers:kubeadm:default-node-token'],
      },
      { token: '012345.fedcba9876543210', expires: '2027-01-01T00:00:00Z' },
    ],
  },
  files: [
    {
      path: '/etc/a',
      owner: 'root:root',
      permissions: '0640',
      encoding: 'gzip+base64',
      append: false,
      content: 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=',
      contentFormat: 'Raw',
    },
    {
      path: '/etc/b',
      contentFrom: { secret: { name: 'files', key: 'b' } },
      contentFormat: 'Template',
      append: true,
    },
  ],
  diskSetup: {
    partitions: [
      { device: '/dev/sdb', layout: false, overwrite: false, tableType: 'mbr' },
      {
        device: '/dev/sdc',
        diskLayout: [
          { percentage: 30, partitionType: 'LinuxSwap' },
          { percentage: 70, partitionType: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' },
        ],
        overwrite: true,
        tableType: 'gpt',
      },
    ],
    filesystems: [
      {
        device: '/dev/sdc',
        filesystem: 'ext4',
        label: 'data',
        partition: 'auto|any',
        overwrite: false,
        replaceFS: 'ntfs',
        extraOpts: ['-E', 'lazy_itable_init=1'],
      },
    ],
  },
  mounts: [
    ['LABEL=data', '/data', 'ext4', 'defaults,nofail'],
    ['/dev/sdb1', 'none'],
  ],
  bootCommands: ['echo boot'],
  preKubeadmCommands: ['echo ${VARIABLE} "quoted" \t done', 'two\nlines'],
  postKubeadmCommands: ['echo post'],
  users: [
    {
      name: 'operator',
      gecos: 'A person',
      groups: 'sudo, docker',
      homeDir: '/srv/operator',
      inactive: true,
      shell: '/bin/bash',
      passwd: '$6$rounds=4096$salt$hash',
      primaryGroup: 'operators',
      lockPassword: false,
      sudo: 'ALL=(ALL) NOPASSWD:ALL',
      sshAuthorizedKeys: ['ssh-ed25519 AAAA a@b'],
    },
    { name: 'other', passwdFrom: { secret: { name: 'users', key: 'other' } } },
  ],
  ntp: { servers: ['ntp.example.org'], enabled: true },
  format: 'cloud-config',
  verbosity: 10,
};

const fileDiscovery = (user: NonNullable<FileDiscovery['kubeConfig']>['user']): KubeadmConfigSpec => ({
  joinConfiguration: {
    discovery: { file: { kubeConfigPath: '/etc/discovery.conf', kubeConfig: { cluster, user } } },
  },
});

/** Every field is in at least one of these; all are valid. */
export const EVERYTHING: readonly { readonly name: string; readonly spec: KubeadmConfigSpec }[] = [
  { name: 'kubeadm init with cloud-config', spec: INIT },
  {
    name: 'kubeadm join of a control plane by token, with Ignition',
    spec: {
      joinConfiguration: {
        ...common,
        caCertPath: '/pki/ca.crt',
        controlPlane: { localAPIEndpoint },
        discovery: {
          tlsBootstrapToken: 'abcdef.0123456789abcdef',
          bootstrapToken: {
            token: 'abcdef.0123456789abcdef',
            apiServerEndpoint: 'api.example.org:6443',
            caCertHashes: [`sha256:${'0'.repeat(64)}`],
            unsafeSkipCAVerification: false,
          },
        },
      },
      files: [{ path: '/etc/a', encoding: 'base64', content: 'YQ==' }],
      users: [{ name: 'core', inactive: false, sshAuthorizedKeys: [] }],
      diskSetup: {
        partitions: [{ device: '/dev/sdb', layout: true, tableType: 'gpt' }],
        filesystems: [{ device: '/dev/sdb1', filesystem: 'ext4', label: 'data', overwrite: true }],
      },
      ntp: { servers: [], enabled: false },
      format: 'ignition',
      ignition: { containerLinuxConfig: { additionalConfig: 'systemd: {}\n', strict: false } },
    },
  },
  {
    name: 'external etcd',
    spec: {
      clusterConfiguration: {
        etcd: {
          external: {
            endpoints: ['https://etcd-0:2379', 'https://etcd-1:2379'],
            caFile: '/pki/etcd-ca.crt',
            certFile: '/pki/etcd.crt',
            keyFile: '/pki/etcd.key',
          },
        },
      },
    },
  },
  {
    name: 'discovery by a kubeconfig with a command',
    spec: fileDiscovery({
      exec: {
        command: 'aws',
        args: ['eks', 'get-token'],
        env: [{ name: 'AWS_PROFILE', value: 'default' }],
        apiVersion: 'client.authentication.k8s.io/v1beta1',
        provideClusterInfo: true,
      },
    }),
  },
  {
    name: 'discovery by a kubeconfig with a plugin',
    spec: fileDiscovery({
      authProvider: { name: 'gcp', config: { 'cmd-path': '/usr/bin/gcloud', empty: '' } },
    }),
  },
  { name: 'an empty control plane', spec: { joinConfiguration: { controlPlane: {} } } },
  {
    name: 'an empty list of taints, which is not an absent one (KB-41)',
    spec: {
      initConfiguration: { nodeRegistration: { taints: [] } },
      joinConfiguration: { nodeRegistration: { taints: [] } },
    },
  },
];
