// SPDX-License-Identifier: Apache-2.0
// The disk of a machine that nobody has prepared, and the packages that it lacks, for whoever prepares it without a network.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { runIsolated } from './isolation.ts';
import { hashOf, JUMP, LAYERS, MIRROR, once, OPERATOR, SUITE, textOf } from './rootfs.ts';

export interface BareRoot {
  /** Folder of a Debian with an SSH server and nothing else that is of use. */
  readonly root: string;
  /** Folder of .deb files: what Kubernetes needs of Debian, with all that the root lacks for it. */
  readonly packages: string;
}

/** No program that fetches, no packet filter, no container runtime, no tool that kubeadm looks for. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'openssh-server', 'sudo', 'procps', 'kmod', 'netbase'],
  ...['iproute2', 'ca-certificates'],
];

const OFFERED = [
  ...['conntrack', 'socat', 'ethtool', 'iptables', 'ebtables', 'nftables', 'runc', 'keepalived'],
];

/** $1 folder, $2 suite, $3 mirror, $4 packages with commas, $5 packages to offer, $6 and $7 users. */
const BUILD = `root=$1/root; mkdir -p "$1/packages"
debootstrap --variant=minbase --include="$4" "$2" "$root" "$3" >&2
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
rm -f "$root"/var/cache/apt/archives/*.deb
chroot "$root" apt-get --quiet update >&2
chroot "$root" apt-get --quiet --yes --no-install-recommends --download-only install $5 >&2
mv "$root"/var/cache/apt/archives/*.deb "$1/packages/"
chroot "$root" useradd --create-home --shell /bin/bash --gid "$6" --groups sudo "$6"
chroot "$root" useradd --create-home --shell /usr/sbin/nologin "$7"
rm -rf "$root"/etc/ssh/ssh_host_* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
: >"$root/etc/machine-id"`;

/** Once the files of layers/debian are there. No package source is reachable: there is none. */
const FINISH = `: >"$1/root/etc/apt/sources.list"
chroot "$1/root" systemctl --quiet enable host-world.service ssh.service >&2`;

/** Made once for each recipe, in about two minutes. */
export async function bareRoot(cache: string, say: (line: string) => void): Promise<BareRoot> {
  const layer = join(LAYERS, 'debian');
  const recipe = [BUILD, FINISH, SUITE, PACKAGES.join(), OFFERED.join(), textOf(layer)];
  const build = async (dir: string) => {
    say(`making a bare Debian ${SUITE}, the first time this takes about two minutes`);
    const args = [SUITE, MIRROR, PACKAGES.join(','), OFFERED.join(' '), OPERATOR, JUMP];
    await runIsolated(BUILD, [dir, ...args]);
    cpSync(layer, join(dir, 'root'), { recursive: true });
    await runIsolated(FINISH, [dir]);
  };
  const dir = await once({ dir: join(cache, `bare-${hashOf(recipe)}`), build, say });
  return { root: join(dir, 'root'), packages: join(dir, 'packages') };
}
