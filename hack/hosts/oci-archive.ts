// SPDX-License-Identifier: Apache-2.0
// Container images without a registry and without a builder: one layer, written as an OCI image layout in a tar archive.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import { runProgram } from '../stack/process.ts';
import { install } from './rootfs.ts';

export interface ImageContent {
  /** With registry and tag: `registry.k8s.io/pause:3.10`. */
  readonly name: string;
  /** Path in the image, and the file that is copied there; all of them executable. */
  readonly files: Readonly<Record<string, string>>;
  /** Path in the image, and what it links to. */
  readonly links?: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const TYPE = 'application/vnd.oci.image';

/** Owners, dates and order as they were on the machine would change the digest. */
const REPRODUCIBLE = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];

/** Writes the archive `file`. `work` is a folder for its parts, which is empty again afterwards. */
export async function writeImageArchive(image: ImageContent, file: string, work: string): Promise<void> {
  const root = join(work, 'root');
  const layout = join(work, 'layout');
  for (const dir of [join(root, 'tmp'), join(layout, 'blobs/sha256')]) mkdirSync(dir, { recursive: true });
  try {
    for (const [path, source] of Object.entries(image.files)) install(source, join(root, path));
    for (const [path, target] of Object.entries(image.links ?? {})) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      symlinkSync(target, join(root, path));
    }
    const tarball = join(work, 'layer.tar');
    await runProgram('tar', [...REPRODUCIBLE, '-C', root, '-cf', tarball, '.']);
    writeLayout(layout, tarball, image);
    await runProgram('tar', ['-C', layout, '-cf', file, '.']);
  } finally {
    for (const dir of [root, layout]) rmSync(dir, { recursive: true, force: true });
  }
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

function writeLayout(layout: string, tarball: string, { name, entrypoint }: ImageContent): void {
  const blobs = join(layout, 'blobs/sha256');
  const json = (mediaType: string, value: unknown): Descriptor => {
    const data = Buffer.from(JSON.stringify(value));
    const hash = sha256(data);
    writeFileSync(join(blobs, hash), data);
    return { mediaType, digest: `sha256:${hash}`, size: data.length };
  };
  const hash = sha256(readFileSync(tarball));
  const digest = `sha256:${hash}`;
  const layer = { mediaType: `${TYPE}.layer.v1.tar`, digest, size: statSync(tarball).size };
  renameSync(tarball, join(blobs, hash));
  const config = json(`${TYPE}.config.v1+json`, {
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    os: 'linux',
    config: { Entrypoint: entrypoint, Env: [PATH] },
    rootfs: { type: 'layers', diff_ids: [digest] },
  });
  const mediaType = `${TYPE}.manifest.v1+json`;
  const manifest = json(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  // The annotation is where containerd looks for the whole name.
  const named = { ...manifest, annotations: { 'io.containerd.image.name': name } };
  const index = { schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests: [named] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
