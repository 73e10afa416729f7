// SPDX-License-Identifier: Apache-2.0
// The disk of a host before it is anybody's: a Debian as debootstrap makes it, and over it what Kubernetes' packages would install.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Stack } from '../stack/build.ts';
import type { HostSoftware } from '../stack/host-software.ts';
import { withLock } from '../stack/lock.ts';
import { runIsolated } from './isolation.ts';
import { writePackageIndex } from './package-index.ts';

/** Files of ours that are laid over a root. */
export const LAYERS = join(import.meta.dirname, 'layers');
/** Where Debian's packages come from. */
export const MIRROR = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian';
/** Debian's release, which the mirror must have. */
export const SUITE = 'bookworm';

/** What a small server has, what kubeadm looks for, and what containerd needs to run a container. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'openssh-server', 'sudo', 'procps', 'kmod', 'netbase', 'curl'],
  ...['ca-certificates', 'openssl', 'iproute2', 'iputils-ping', 'iptables', 'nftables', 'ebtables'],
  ...['conntrack', 'ethtool', 'socat', 'runc', 'containernetworking-plugins'],
];

/** In the local package repository of each host, with what they depend on: a host has no network to fetch from. */
const INSTALLABLE = ['haproxy', 'keepalived'];

/** The user with sudo, whose password each world sets. Debian has a group of that name already. */
export const OPERATOR = 'operator';

/** The user of a bastion, who may only pass through. */
export const JUMP = 'jump';

/**
 * $1 folder, $2 suite, $3 mirror, $4 packages with commas, $5 packages to offer, $6 and $7 users. Host keys, identity and package lists that
 * the build leaves would be the same on every host.
 */
const BUILD_DEBIAN = `debootstrap --variant=minbase --include="$4" "$2" "$1" "$3" >&2
cp --dereference /etc/resolv.conf "$1/etc/resolv.conf"
rm -f "$1"/var/cache/apt/archives/*.deb
chroot "$1" apt-get --quiet update >&2
chroot "$1" apt-get --quiet --yes --no-install-recommends --download-only install $5 >&2
mkdir -p "$1/opt/packages"
for package in "$1"/var/cache/apt/archives/*.deb; do
  # An epoch's colon is written %3a in it, which apt does not find in a repository of files.
  mv "$package" "$1/opt/packages/$(basename "$package" | sed 's/%3a/-/')"
done
chroot "$1" useradd --create-home --shell /bin/bash --gid "$6" --groups sudo "$6"
chroot "$1" useradd --create-home --shell /usr/sbin/nologin "$7"
rm -rf "$1"/etc/ssh/ssh_host_* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*.log "$1/etc/resolv.conf" "$1/etc/hostname"
: >"$1/etc/machine-id"`;

/** Once the files of layers/debian are there: the lists of the local repository, and its units. */
const FINISH_DEBIAN = `chroot "$1" apt-get --quiet update >&2
chroot "$1" systemctl --quiet enable host-world.service ssh.service >&2`;

/** The folder of the Debian root; made once for each recipe, in about two minutes. */
export async function debianRoot(cache: string, say: (line: string) => void): Promise<string> {
  const recipe = [
    BUILD_DEBIAN,
    FINISH_DEBIAN,
    SUITE,
    PACKAGES.join(),
    INSTALLABLE.join(),
    layerText('debian'),
  ];
  const build = async (root: string) => {
    say(`making a Debian ${SUITE} root file system, the first time this takes about two minutes`);
    const args = [SUITE, MIRROR, PACKAGES.join(','), INSTALLABLE.join(' '), OPERATOR, JUMP];
    await runIsolated(BUILD_DEBIAN, [root, ...args]);
    await writePackageIndex(join(root, 'opt/packages'));
    cpSync(join(LAYERS, 'debian'), root, { recursive: true });
    await runIsolated(FINISH_DEBIAN, [root]);
  };
  return once({ dir: join(cache, `debian-${hashOf(recipe)}`), build, say });
}

/** What `provide` needs to know about Kubernetes on a host. */
export interface KubernetesParts {
  readonly stack: Stack;
  readonly software: HostSoftware;
  /** Name of the sandbox image. */
  readonly pause: string;
}

/** The folder with what is laid over the Debian: containerd, kubelet, kubeadm and their units. Without it a host is a plain one. */
export async function kubernetesLayer(
  cache: string,
  parts: KubernetesParts,
  say: (line: string) => void,
): Promise<string> {
  const { stack, software, pause } = parts;
  const binaries = {
    ...{ kubeadm: stack.binaries.kubeadm, kubectl: stack.binaries.kubectl },
    ...{ kubelet: software.binaries.kubelet, containerd: software.binaries.containerd },
    ...{
      ctr: software.binaries.ctr,
      'containerd-shim-runc-v2': software.binaries['containerd-shim-runc-v2'],
    },
  };
  const recipe = [layerText('kubernetes'), pause, ...Object.values(binaries), ENABLED.join()];
  const build = async (root: string) => {
    cpSync(join(LAYERS, 'kubernetes'), root, { recursive: true });
    const config = join(root, 'etc/containerd/config.toml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('@PAUSE@', pause));
    for (const [name, source] of Object.entries(binaries)) install(source, join(root, 'usr/bin', name));
    for (const unit of ENABLED) enable(root, unit);
    // Where Kubernetes looks for plugins, and where Debian puts them.
    mkdirSync(join(root, 'opt/cni'), { recursive: true });
    symlinkSync('/usr/lib/cni', join(root, 'opt/cni/bin'));
  };
  return once({ dir: join(cache, `kubernetes-${hashOf(recipe)}`), build, say });
}

const ENABLED = ['containerd.service', 'kubelet.service'];

function enable(root: string, unit: string): void {
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants');
  mkdirSync(wants, { recursive: true });
  symlinkSync(join('/usr/lib/systemd/system', unit), join(wants, unit));
}

/** Copies a program, with its folder. */
export function install(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** 12 hex digits that change with any of the texts. */
export function hashOf(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 12);
}

/** Names and contents of all files of a folder beside this file. */
function layerText(name: string): string {
  return textOf(join(LAYERS, name));
}

/** Names and contents of all files of a folder, as one text. */
export function textOf(root: string): string {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files
    .sort()
    .map((file) => `${relative(root, file)}\n${readFileSync(file, 'utf8')}`)
    .join('\n');
}

/** `dir` appears in one move, when `build` has made all of it. */
export async function once(options: {
  dir: string;
  build: (partial: string) => Promise<void>;
  say: (line: string) => void;
}): Promise<string> {
  const { dir, build, say } = options;
  if (existsSync(dir)) return dir;
  mkdirSync(dirname(dir), { recursive: true });
  const work = async () => {
    if (existsSync(dir)) return; // Whoever held the lock before us made it.
    const partial = `${dir}.${process.pid}`;
    try {
      await build(partial);
      renameSync(partial, dir);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  };
  await withLock(`${dir}.lock`, work, (pid) => say(`process ${pid} is making ${dir}: waiting for it`));
  return dir;
}
