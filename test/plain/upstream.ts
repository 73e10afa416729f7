// SPDX-License-Identifier: Apache-2.0
// Folders laid out as the publishers of Kubernetes, containerd and the CNI plugins lay out their servers, with what we built ourselves.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type PlainParts, PLATFORM, type Release } from '../../hack/hosts/plain-parts.ts';

const ARCHITECTURE = PLATFORM.split('-')[1]!;

/** Publisher -> its folder, for `--mirror <publisher>=file://<folder>`. Everything is below `dir`. */
export function layOutUpstream(parts: PlainParts, dir: string): ReadonlyMap<string, string> {
  const github = 'github.com';
  const { containerd, plugins } = parts;
  for (const release of parts.releases) layOutRelease(release, join(dir, 'dl.k8s.io'));
  const containerdName = `containerd-${containerd.version}-${PLATFORM}.tar.gz`;
  put(
    join(dir, github, 'containerd/containerd/releases/download', `v${containerd.version}`, containerdName),
    { source: containerd.archive, checksum: '.sha256sum' },
  );
  const pluginsName = `cni-plugins-${PLATFORM}-v${plugins.version}.tgz`;
  put(
    join(dir, github, 'containernetworking/plugins/releases/download', `v${plugins.version}`, pluginsName),
    { source: plugins.archive, checksum: '.sha256' },
  );
  return new Map(['dl.k8s.io', github].map((publisher) => [publisher, join(dir, publisher)]));
}

function layOutRelease({ version, binaries }: Release, root: string): void {
  for (const name of ['kubelet', 'kubeadm', 'kubectl'] as const) {
    const file = join(root, 'release', version, 'bin/linux', ARCHITECTURE, name);
    put(file, { source: binaries[name], checksum: '.sha256' });
  }
}

function put(file: string, { source, checksum }: { source: string; checksum: string }): void {
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(source, file);
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex');
  writeFileSync(`${file}${checksum}`, `${hash}  ${file.split('/').at(-1)}\n`);
}
