// SPDX-License-Identifier: Apache-2.0
// The folder /var/lib/containerd with all images in it: imported once, then given to every host without copying what never changes.
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { HostSoftware } from '../stack/host-software.ts';
import { runIsolated } from './isolation.ts';
import { type ImageContent, writeImageArchive } from './oci-archive.ts';

/** $1 root, $2 folder for sockets, $3 folder of binaries, then the archives. CRI is left out: it would want a network. */
const IMPORT = `root=$1 run=$2 PATH=$3:$PATH; shift 3; mkdir -p "$run"
cat >"$run/config.toml" <<END
version = 3
root = '$root'
state = '$run/state'
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.runtime', 'io.containerd.nri.v1.nri']
[grpc]
  address = '$run/containerd.sock'
[ttrpc]
  address = '$run/ttrpc.sock'
END
containerd --config "$run/config.toml" 2>"$run/log" & daemon=$!
n=0; until [ -S "$run/containerd.sock" ]; do
  n=$((n+1)); [ $n -lt 100 ] || { cat "$run/log" >&2; exit 1; }; sleep 0.1
done
for archive; do ctr --address "$run/containerd.sock" --namespace k8s.io images import "$archive" >/dev/null 2>"$run/said" || { cat "$run/said" >&2; exit 1; }; done
kill $daemon; wait $daemon || true`;

/** Fills the empty folder `root`. */
export async function fillContainerStore(options: {
  root: string;
  images: readonly ImageContent[];
  software: HostSoftware;
}): Promise<void> {
  const { root, images, software } = options;
  const work = `${root}.work`;
  mkdirSync(root, { recursive: true });
  try {
    const archives: string[] = [];
    for (const [index, image] of images.entries()) {
      const archive = join(work, `${index}.tar`);
      await writeImageArchive(image, archive, join(work, 'parts'));
      archives.push(archive);
    }
    await runIsolated(IMPORT, [root, join(work, 'run'), software.binDir, ...archives]);
    // Made anew by each daemon: two hosts are not the same one.
    rmSync(join(root, 'io.containerd.grpc.v1.introspection'), { recursive: true, force: true });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Gives a host its store. What lies in content and snapshots is never written again, so a second name for it is enough; the databases
 * are copied. Across file systems everything is.
 */
export function cloneContainerStore(from: string, to: string): void {
  try {
    cloneFolder(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
}

function cloneFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) cloneFolder(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (entry.name.endsWith('.db')) copyFileSync(source, target);
    else linkSync(source, target);
  }
}
