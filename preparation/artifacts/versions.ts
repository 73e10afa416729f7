// SPDX-License-Identifier: Apache-2.0
// Which version of everything else belongs to a Kubernetes version. A new minor is a row here.
//
// etcd, CoreDNS and pause: cmd/kubeadm/app/constants/constants.go of that Kubernetes. CNI plugins: its build/dependencies.yaml. crictl:
// the newest of the same minor that a later dependencies.yaml, or containerd, names; else the one before. containerd: the line with
// long support, which the table in its RELEASES.md allows for each of these minors; runc: script/setup/runc-version of that containerd.

/** Versions without a leading `v`, but as image tags have them for the three images. */
export interface NodeVersions {
  /** Tag of registry.k8s.io/etcd. */
  readonly etcd: string;
  /** Tag of registry.k8s.io/coredns/coredns. */
  readonly coredns: string;
  /** Tag of registry.k8s.io/pause. */
  readonly pause: string;
  readonly crictl: string;
  readonly cniPlugins: string;
  readonly containerd: string;
  readonly runc: string;
  readonly crio: string;
}

/** Tags, each under the first patch release that has it. */
type Tags = Readonly<Record<number, string>>;

type MinorVersions = Omit<NodeVersions, 'etcd' | 'coredns' | 'containerd' | 'runc'> & {
  readonly etcd: Tags;
  readonly coredns: Tags;
};

/** The same for every minor below: a host goes from one Kubernetes to the next without another runtime. */
const RUNTIME = { containerd: '2.3.7', runc: '1.5.2' } as const;

const MINORS: Readonly<Record<number, MinorVersions>> = {
  31: {
    etcd: { 0: '3.5.15-0', 14: '3.5.24-0' },
    coredns: { 0: 'v1.11.1', 1: 'v1.11.3' },
    pause: '3.10',
    crictl: '1.31.1',
    cniPlugins: '1.5.1',
    crio: '1.31.0',
  },
  32: {
    etcd: { 0: '3.5.16-0', 10: '3.5.24-0' },
    coredns: { 0: 'v1.11.3' },
    pause: '3.10',
    crictl: '1.32.0',
    cniPlugins: '1.6.0',
    crio: '1.32.0',
  },
  33: {
    etcd: { 0: '3.5.21-0', 6: '3.5.24-0' },
    coredns: { 0: 'v1.12.0' },
    pause: '3.10',
    crictl: '1.33.0',
    cniPlugins: '1.6.2',
    crio: '1.33.0',
  },
  34: {
    etcd: { 0: '3.6.4-0', 2: '3.6.5-0' },
    coredns: { 0: 'v1.12.1' },
    pause: '3.10.1',
    crictl: '1.34.0',
    cniPlugins: '1.7.1',
    crio: '1.34.0',
  },
  35: {
    etcd: { 0: '3.6.6-0' },
    coredns: { 0: 'v1.13.1' },
    pause: '3.10.1',
    crictl: '1.35.0',
    cniPlugins: '1.8.0',
    crio: '1.35.0',
  },
  36: {
    etcd: { 0: '3.6.8-0' },
    coredns: { 0: 'v1.14.2' },
    pause: '3.10.2',
    crictl: '1.36.0',
    cniPlugins: '1.9.1',
    crio: '1.36.0',
  },
  37: {
    etcd: { 0: '3.7.0-0' },
    coredns: { 0: 'v1.14.6' },
    pause: '3.10.2',
    crictl: '1.37.0',
    cniPlugins: '1.9.1',
    crio: '1.37.0',
  },
};

/** A Kubernetes version of which nothing is known, or that is none. */
export class UnknownVersionError extends Error {
  override readonly name = 'UnknownVersionError';
}

/** What runs beside Kubernetes `v1.36.3`. Throws {@link UnknownVersionError}. */
export function versionsFor(kubernetesVersion: string): NodeVersions {
  const [matched, minor, patch] = /^v1\.(\d+)\.(\d+)$/.exec(kubernetesVersion) ?? [];
  if (matched === undefined) {
    throw new UnknownVersionError(
      `${JSON.stringify(kubernetesVersion)} is not a release of Kubernetes, write it like v1.36.3`,
    );
  }
  const row = MINORS[Number(minor)];
  if (row === undefined) {
    const known = Object.keys(MINORS).map((each) => `1.${each}`);
    throw new UnknownVersionError(
      `nothing is known of Kubernetes 1.${minor}; known are ${known[0]} to ${known.at(-1)}`,
    );
  }
  const tag = (tags: Tags): string => {
    const since = Object.keys(tags).map(Number);
    return tags[Math.max(...since.filter((each) => each <= Number(patch)))]!;
  };
  return { ...row, ...RUNTIME, etcd: tag(row.etcd), coredns: tag(row.coredns) };
}

/** Names of the images that a control plane node and a worker of that version need. Throws {@link UnknownVersionError}. */
export function imagesFor(kubernetesVersion: string): string[] {
  const { coredns, pause, etcd } = versionsFor(kubernetesVersion);
  const programs = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'];
  return [
    ...programs.map((program) => `${program}:${kubernetesVersion}`),
    `coredns/coredns:${coredns}`,
    `pause:${pause}`,
    `etcd:${etcd}`,
  ].map((image) => `registry.k8s.io/${image}`);
}
