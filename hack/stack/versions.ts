// SPDX-License-Identifier: Apache-2.0
// What the test stack is made of, in which version, and from which Go package. A test compares it with the go.mod files.

/** Versions with a leading `v`. The go.mod files beside this file pin the same. */
export const VERSIONS = {
  kubernetes: 'v1.36.3',
  etcd: 'v3.6.8',
  clusterAPI: 'v1.14.2',
  certManager: 'v1.21.2',
} as const;

export type BinaryName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubectl'
  | 'kubeadm'
  | 'clusterctl'
  | 'capi-core'
  | 'capi-kubeadm-bootstrap'
  | 'capi-kubeadm-control-plane';

/** What hosts run; built only when somebody asks for hosts (host-software.ts). */
export const HOST_VERSIONS = {
  containerd: 'v2.2.3',
  coredns: 'v1.14.2',
} as const;

/** What stories of plain hosts need besides: a Kubernetes to come from, and a registry to pull from. */
export const SITE_VERSIONS = {
  previousKubernetes: 'v1.35.4',
  registry: 'v3.1.2',
} as const;

/** What runs of the AWS backend need besides. */
export const AWS_VERSIONS = {
  clusterAPIProviderAWS: 'v2.13.0',
  /** A Python package: no leading `v`. */
  moto: '5.2.5',
} as const;

export type HostBinaryName =
  'kubelet' | 'kube-proxy' | 'containerd' | 'containerd-shim-runc-v2' | 'ctr' | 'coredns';

/** What a machine of a cluster runs of Kubernetes' own release. */
export type KubernetesBinaryName =
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubectl'
  | 'kubeadm'
  | 'kubelet'
  | 'kube-proxy';

export interface Binary<Name extends string = BinaryName> {
  readonly name: Name;
  /** Folder beside this file whose go.mod pins the package. */
  readonly module: string;
  readonly package: string;
  readonly version: string;
  /** Values of `-ldflags -X`: clusterctl and kubectl refuse servers that do not say their version. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** In the order in which they are built: the first carries most of the time, the rest share its packages. */
export const BINARIES: readonly Binary[] = [
  kubernetes('kube-apiserver'),
  kubernetes('kube-controller-manager'),
  kubernetes('kube-scheduler'),
  kubernetes('kubectl'),
  kubernetes('kubeadm'),
  {
    name: 'etcd',
    module: 'kubernetes',
    package: 'go.etcd.io/etcd/server/v3',
    version: VERSIONS.etcd,
    stamps: {},
  },
  clusterAPI('clusterctl', 'cmd/clusterctl'),
  clusterAPI('capi-core', 'core'),
  clusterAPI('capi-kubeadm-bootstrap', 'bootstrap/kubeadm'),
  clusterAPI('capi-kubeadm-control-plane', 'controlplane/kubeadm'),
];

export const HOST_BINARIES: readonly Binary<HostBinaryName>[] = [
  kubernetes('kubelet'),
  kubernetes('kube-proxy'),
  containerd('containerd'),
  containerd('containerd-shim-runc-v2'),
  containerd('ctr'),
  {
    name: 'coredns',
    module: 'coredns',
    package: 'github.com/coredns/coredns',
    version: HOST_VERSIONS.coredns,
    stamps: {},
  },
];

/** The Kubernetes that hosts had before. */
export const PREVIOUS_BINARIES: readonly Binary<KubernetesBinaryName>[] = (
  [
    ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kubeadm'],
    ...['kubelet', 'kube-proxy'],
  ] as KubernetesBinaryName[]
).map((name) =>
  kubernetes(name, { version: SITE_VERSIONS.previousKubernetes, module: 'kubernetes-previous' }),
);

export const REGISTRY_BINARY: Binary<'registry'> = {
  name: 'registry',
  module: 'registry',
  package: 'github.com/distribution/distribution/v3/cmd/registry',
  version: SITE_VERSIONS.registry,
  stamps: { 'github.com/distribution/distribution/v3/version.version': SITE_VERSIONS.registry },
};

/** The peer that `make bench-aws` compares with (peer-aws.ts). */
export const PEER_AWS_BINARY: Binary<'cluster-api-provider-aws'> = {
  name: 'cluster-api-provider-aws',
  module: 'cluster-api-provider-aws',
  package: 'sigs.k8s.io/cluster-api-provider-aws/v2',
  version: AWS_VERSIONS.clusterAPIProviderAWS,
  stamps: {
    'sigs.k8s.io/cluster-api-provider-aws/v2/version.gitVersion': AWS_VERSIONS.clusterAPIProviderAWS,
  },
};

function kubernetes<Name extends string>(
  name: Name,
  { version, module } = { version: VERSIONS.kubernetes as string, module: 'kubernetes' },
): Binary<Name> {
  const { major, minor } = majorMinor(version);
  const stamps = Object.fromEntries(
    ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) => [
      [`${path}.gitVersion`, version],
      [`${path}.gitMajor`, major],
      [`${path}.gitMinor`, minor],
    ]),
  );
  return { name, module, package: `k8s.io/kubernetes/cmd/${name}`, version, stamps };
}

function clusterAPI(name: BinaryName, path: string): Binary {
  const { major, minor } = majorMinor(VERSIONS.clusterAPI);
  const prefix = 'sigs.k8s.io/cluster-api/version';
  return {
    name,
    module: 'cluster-api',
    package: `sigs.k8s.io/cluster-api/${path}`,
    version: VERSIONS.clusterAPI,
    stamps: {
      [`${prefix}.gitVersion`]: VERSIONS.clusterAPI,
      [`${prefix}.gitMajor`]: major,
      [`${prefix}.gitMinor`]: minor,
    },
  };
}

function containerd(name: HostBinaryName): Binary<HostBinaryName> {
  const module = 'github.com/containerd/containerd/v2';
  return {
    name,
    module: 'containerd',
    package: `${module}/cmd/${name}`,
    version: HOST_VERSIONS.containerd,
    stamps: { [`${module}/version.Version`]: HOST_VERSIONS.containerd },
  };
}

function majorMinor(version: string): { major: string; minor: string } {
  const [major = '', minor = ''] = version.slice(1).split('.');
  return { major, minor };
}
