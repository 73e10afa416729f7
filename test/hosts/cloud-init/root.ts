// SPDX-License-Identifier: Apache-2.0
// A Debian with the real cloud-init in it, made once and kept beside the stack.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runIsolated } from '../../../hack/hosts/isolation.ts';
import { cacheDir } from '../../../hack/stack/build.ts';
import { withLock } from '../../../hack/stack/lock.ts';

const PROGRAMS = ['/usr/sbin/debootstrap', '/usr/bin/unshare', '/usr/sbin/chroot', '/usr/bin/mount'];

/** python3-cffi-backend: debootstrap does not find by itself what stands for a virtual package. */
const PACKAGES = [
  'cloud-init',
  'python3-cffi-backend',
  'openssh-server',
  'sudo',
  'gdisk',
  'fdisk',
  'parted',
  'procps',
];

/**
 * Of the distribution's settings: the modules that have an equal on hosts, in their order. Left out is what would act on the system whatever
 * the document says: keys of the host, the user of the image, the network.
 */
const SETTINGS = `datasource_list: [NoCloud, None]
network: {config: disabled}
users: []
ssh_deletekeys: false
ssh_genkeytypes: []
cloud_init_modules: [bootcmd, write-files, disk_setup, mounts, set_hostname, update_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [set-passwords, ntp, runcmd]
cloud_final_modules: [write-files-deferred, scripts-user]
`;

/** Why it cannot be had here; `undefined` when it can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  const missing = PROGRAMS.filter((path) => !existsSync(path));
  return missing.length === 0 ? undefined : `not there: ${missing.join(', ')}`;
}

/** Folder of the root file system. Nothing ever writes to it: everything happens in overlays. */
export async function cloudInitRoot(say: (line: string) => void): Promise<string> {
  const root = join(dirname(cacheDir()), 'cloud-init-root-bookworm');
  if (existsSync(root)) return root;
  mkdirSync(dirname(root), { recursive: true });
  await withLock(
    `${root}.lock`,
    async () => {
      if (existsSync(root)) return;
      say('making a Debian with cloud-init, the first time this takes about two minutes');
      const partial = `${root}.${process.pid}`;
      try {
        const mirror = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian';
        const build = 'debootstrap --variant=minbase --include="$2" bookworm "$1" "$3" >&2';
        await runIsolated(build, [partial, PACKAGES.join(','), mirror]);
        writeFileSync(join(partial, 'etc/cloud/cloud.cfg.d/99-compared.cfg'), SETTINGS);
        renameSync(partial, root);
      } finally {
        rmSync(partial, { recursive: true, force: true });
      }
    },
    (pid) => say(`process ${pid} is making a Debian with cloud-init: waiting for it`),
  );
  return root;
}
