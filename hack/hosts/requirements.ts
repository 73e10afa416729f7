// SPDX-License-Identifier: Apache-2.0
// What a computer must have to pretend that it is six of them.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Program, and the Debian package that brings it. */
const PROGRAMS = {
  debootstrap: 'debootstrap',
  'systemd-nspawn': 'systemd-container',
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  tar: 'tar',
  'dpkg-deb': 'dpkg',
} as const;

/** One sentence that says why there can be no hosts here and what would help, or nothing. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux')
    return `Hosts are Linux containers that boot: this is ${process.platform}. Run it on a Linux machine.`;
  if (process.getuid?.() !== 0)
    return 'Hosts need namespaces, mounts and cgroups: run it as root, for example with sudo.';
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isInPath(program));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
    return `Not installed: ${missing.map(([program]) => program).join(', ')}. On Debian: apt-get install ${packages}`;
  }
  // The container's systemd must get the controllers that the kubelet asks for, and with one hierarchy that has not been shown to work.
  if (!existsSync('/sys/fs/cgroup/freezer/cgroup.procs'))
    return 'Hosts are made with cgroup v1 controllers under /sys/fs/cgroup, and there are none: start Linux with systemd.unified_cgroup_hierarchy=0.';
  return undefined;
}

function isInPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
