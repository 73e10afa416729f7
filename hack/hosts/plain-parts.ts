// SPDX-License-Identifier: Apache-2.0
// What a site holds ready for machines that are bare: two releases of Kubernetes, their images, and what else a Node needs. Made once:
// `node hack/hosts/plain-parts.ts`.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import {
  buildHostSoftware,
  type HostSoftware,
  previousSoftware,
  registrySoftware,
} from '../stack/host-software.ts';
import { runProgram } from '../stack/process.ts';
import { HOST_VERSIONS, type KubernetesBinaryName, SITE_VERSIONS, VERSIONS } from '../stack/versions.ts';
import { bareRoot } from './bare-root.ts';
import { ECHO_IMAGE, imageContents, kubeadmImages } from './images.ts';
import { writeImageArchive } from './oci-archive.ts';
import { hostsCache, prepareHosts } from './prepare.ts';
import { hashOf, install, once, textOf } from './rootfs.ts';

/** A version of Kubernetes, whole. */
export interface Release {
  /** With a leading `v`. */
  readonly version: string;
  readonly binaries: Readonly<Record<KubernetesBinaryName, string>>;
  /** OCI archives of what its kubeadm asks for, and the echo image. */
  readonly images: readonly { readonly name: string; readonly archive: string }[];
}

export interface PlainParts {
  /** Newer one first. */
  readonly releases: readonly [current: Release, previous: Release];
  /** tar.gz as upstream makes it: `bin/containerd` and its like. */
  readonly containerd: { readonly version: string; readonly archive: string };
  /** tar.gz with the plugins at its top. */
  readonly plugins: { readonly version: string; readonly archive: string };
  /** Folder of .deb files for `debian-12`. */
  readonly packages: string;
  /** Program of a registry. */
  readonly registry: string;
}

/** As manifests of artifacts say it. */
export const PLATFORM = `linux-${arch() === 'x64' ? 'amd64' : arch()}`;

/** Of the Debian package that the plugins are taken from. */
const PLUGINS = { package: 'containernetworking-plugins', folder: 'usr/lib/cni' };

/** Makes what is missing, which needs a network; some 15 minutes the first time on two cores, and nothing after it. */
export async function plainParts(say: (line: string) => void): Promise<PlainParts> {
  const { stack, debian } = await prepareHosts(say);
  const software = await buildHostSoftware(say);
  const previous = await previousSoftware(say);
  const registry = await registrySoftware(say);
  const cache = hostsCache();
  const shared = { etcd: stack.binaries.etcd, coredns: software.binaries.coredns };
  const release = async (version: string, binaries: Release['binaries']): Promise<Release> => {
    const programs = { ...shared, ...binaries };
    return { version, binaries, images: await imagesOf({ version, programs, debian, cache, say }) };
  };
  const current = { ...stack.binaries, ...software.binaries };
  const releases = [
    await release(VERSIONS.kubernetes, current),
    await release(SITE_VERSIONS.previousKubernetes, previous),
  ] as const;
  const { packages } = await bareRoot(cache, say);
  return { releases, packages, registry, ...(await archivesOf(software.binaries, { debian, cache, say })) };
}

interface Making {
  readonly debian: string;
  readonly cache: string;
  readonly say: (line: string) => void;
}

interface ImageSource extends Making {
  readonly version: string;
  readonly programs: Parameters<typeof imageContents>[0]['programs'] & Record<'kubeadm', string>;
}

async function imagesOf({ version, programs, debian, cache, say }: ImageSource): Promise<Release['images']> {
  const names = await kubeadmImages(programs.kubeadm, version);
  const recipe = [
    debian,
    ...names,
    ...Object.values(programs),
    textOf(join(import.meta.dirname, 'programs')),
  ];
  const fileOf = (dir: string, image: string) => join(dir, `${image.replaceAll(/[/:]/g, '_')}.tar`);
  const build = async (dir: string) => {
    say(`writing the image archives of ${version}`);
    const work = `${dir}.work`;
    mkdirSync(dir, { recursive: true });
    try {
      for (const image of await imageContents({ programs, debian, names, dir: join(work, 'programs') }))
        await writeImageArchive(image, fileOf(dir, image.name), join(work, 'parts'));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  };
  const dir = await once({ dir: join(cache, `images-${version}-${hashOf(recipe)}`), build, say });
  return [...names, ECHO_IMAGE].map((name) => ({ name, archive: fileOf(dir, name) }));
}

/** $1 folder with what goes in, $2 archive. Sorted and without dates: the same content has the same SHA-256. */
const PACK = `tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | gzip -n1 >"$2"`;

/** What containerd and the plugins are released as. */
async function archivesOf(
  binaries: HostSoftware['binaries'],
  { debian, cache, say }: Making,
): Promise<Pick<PlainParts, 'containerd' | 'plugins'>> {
  const programs = ['containerd', 'ctr', 'containerd-shim-runc-v2'] as const;
  const recipe = [debian, PACK, ...programs.map((name) => binaries[name])];
  const build = async (dir: string) => {
    for (const name of programs) install(binaries[name], join(dir, 'containerd/bin', name));
    cpSync(join(debian, PLUGINS.folder), join(dir, 'plugins'), { recursive: true });
    for (const name of ['containerd', 'plugins']) {
      await runProgram('/bin/sh', ['-ec', PACK, 'sh', join(dir, name), join(dir, `${name}.tar.gz`)]);
      rmSync(join(dir, name), { recursive: true });
    }
  };
  const dir = await once({ dir: join(cache, `archives-${hashOf(recipe)}`), build, say });
  const version = await runProgram('chroot', [
    ...[debian, 'dpkg-query', '--show', '--showformat=${source:Upstream-Version}', PLUGINS.package],
  ]);
  return {
    containerd: { version: HOST_VERSIONS.containerd.slice(1), archive: join(dir, 'containerd.tar.gz') },
    plugins: { version: version.replace(/\+.*/, ''), archive: join(dir, 'plugins.tar.gz') },
  };
}

if (import.meta.main) await plainParts((line) => void process.stderr.write(`hosts: ${line}\n`));
