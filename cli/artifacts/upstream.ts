// SPDX-License-Identifier: Apache-2.0
// Where the files of a node come from, and what their publishers call them.
import type { Artifact } from '../../preparation/artifacts/manifest.ts';
import { versionsFor } from '../../preparation/artifacts/versions.ts';

export const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const CONTAINER_RUNTIMES = ['containerd', 'crio'] as const;
export type ContainerRuntimeName = (typeof CONTAINER_RUNTIMES)[number];

/** A file that a publisher has, and what it is in a bundle. */
export interface UpstreamFile extends Omit<Artifact, 'sha256' | 'size'> {
  readonly url: string;
  /** A file with its SHA-256, alone or in a list. */
  readonly checksumURL: string;
  /** The file is a tar.gz, and this program in it is what is wanted. */
  readonly member?: string;
}

/** Names of what stands beside Kubernetes itself: for other versions than the usual ones. */
export const COMPONENTS = ['crictl', 'cni-plugins', 'containerd', 'runc', 'crio'] as const;
export type Component = (typeof COMPONENTS)[number];

export interface NodeSelection {
  readonly kubernetesVersion: string;
  readonly architecture: Architecture;
  readonly containerRuntime: ContainerRuntimeName;
  /** Without a leading `v`, instead of what belongs to the Kubernetes version; `false`: leave it out. */
  readonly components: Readonly<Partial<Record<Component, string | false>>>;
}

const NEEDED: Readonly<Record<ContainerRuntimeName, readonly Component[]>> = {
  containerd: ['containerd', 'runc', 'cni-plugins', 'crictl'],
  // CRI-O's archive has its own runc and crun.
  crio: ['crio', 'cni-plugins', 'crictl'],
};

/** All files of a node, control plane or worker. Throws UnknownVersionError. */
export function filesFor(selection: NodeSelection): UpstreamFile[] {
  const usual = versionsFor(selection.kubernetesVersion);
  const versions: Record<Component, string> = { ...usual, 'cni-plugins': usual.cniPlugins };
  const components = NEEDED[selection.containerRuntime].flatMap((name) => {
    const version = selection.components[name] ?? versions[name];
    return version === false ? [] : [COMPONENT_FILES[name](version, selection.architecture)];
  });
  return [...kubernetesFiles(selection), ...components];
}

function kubernetesFiles({ kubernetesVersion: version, architecture }: NodeSelection): UpstreamFile[] {
  return ['kubelet', 'kubeadm', 'kubectl'].map((name) => {
    const url = `https://dl.k8s.io/release/${version}/bin/linux/${architecture}/${name}`;
    const path = `kubernetes/${version}/linux-${architecture}/${name}`;
    return { ...head('binary', { name, version, architecture }), path, url, checksumURL: `${url}.sha256` };
  });
}

type FileOf = (version: string, architecture: Architecture) => UpstreamFile;

const COMPONENT_FILES: Readonly<Record<Component, FileOf>> = {
  crictl: (version, architecture) => {
    const url = `${github('kubernetes-sigs/cri-tools', version)}/crictl-v${version}-linux-${architecture}.tar.gz`;
    const path = `crictl/${version}/linux-${architecture}/crictl`;
    const file = head('binary', { name: 'crictl', version, architecture });
    return { ...file, path, url, checksumURL: `${url}.sha256`, member: 'crictl' };
  },
  runc: (version, architecture) => {
    const from = github('opencontainers/runc', version);
    const path = `runc/${version}/linux-${architecture}/runc`;
    const file = head('binary', { name: 'runc', version, architecture });
    return { ...file, path, url: `${from}/runc.${architecture}`, checksumURL: `${from}/runc.sha256sum` };
  },
  containerd: (version, architecture) => {
    const name = `containerd-${version}-linux-${architecture}.tar.gz`;
    const url = `${github('containerd/containerd', version)}/${name}`;
    const file = head('archive', { name: 'containerd', version, architecture });
    return { ...file, path: `containerd/${version}/${name}`, url, checksumURL: `${url}.sha256sum` };
  },
  'cni-plugins': (version, architecture) => {
    const name = `cni-plugins-linux-${architecture}-v${version}.tgz`;
    const url = `${github('containernetworking/plugins', version)}/${name}`;
    const file = head('archive', { name: 'cni-plugins', version, architecture });
    return { ...file, path: `cni-plugins/${version}/${name}`, url, checksumURL: `${url}.sha256` };
  },
  crio: (version, architecture) => {
    const name = `cri-o.${architecture}.v${version}.tar.gz`;
    const url = `https://storage.googleapis.com/cri-o/artifacts/${name}`;
    const file = head('archive', { name: 'crio', version, architecture });
    return { ...file, path: `crio/${version}/${name}`, url, checksumURL: `${url}.sha256sum` };
  },
};

function head<Kind extends 'binary' | 'archive'>(
  kind: Kind,
  of: { readonly name: string; readonly version: string; readonly architecture: Architecture },
) {
  return { kind, name: of.name, version: of.version, platform: `linux-${of.architecture}` };
}

function github(repository: string, version: string): string {
  return `https://github.com/${repository}/releases/download/v${version}`;
}

/** Hosts to which publishers send a client on; they may change without notice. */
export const REDIRECTS: Readonly<Record<string, readonly string[]>> = {
  'dl.k8s.io': ['cdn.dl.k8s.io'],
  'github.com': ['release-assets.githubusercontent.com'],
  'registry.k8s.io': ['*-docker.pkg.dev', 'prod-registry-k8s-io-*.s3.dualstack.*.amazonaws.com'],
  'pkgs.k8s.io': ['prod-cdn.packages.k8s.io'],
};

/** Hosts that a node asks when its software comes from package repositories, besides those of its distribution. */
export const PACKAGE_HOSTS: Readonly<Record<ContainerRuntimeName, readonly string[]>> = {
  containerd: ['pkgs.k8s.io', 'download.docker.com'],
  crio: ['pkgs.k8s.io', 'download.opensuse.org'],
};
