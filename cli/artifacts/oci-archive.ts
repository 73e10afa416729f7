// SPDX-License-Identifier: Apache-2.0
// One image as an OCI image layout in a tar archive: what `ctr images import` reads and `ctr images export` writes.
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { ArtifactError } from './errors.ts';
import { readEntry, readTar, type TarEntry, writeTar } from './tar.ts';

/** Points at a blob. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<hex>` */
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A manifest of one platform. */
export interface ImageManifest {
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

const INDEX = 'application/vnd.oci.image.index.v1+json';
export const INDEX_TYPES = [INDEX, 'application/vnd.docker.distribution.manifest.list.v2+json'];
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const NAME_ANNOTATION = 'io.containerd.image.name';
const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';

/** What is written: the manifest as it is in the registry, byte by byte, and files with its blobs. */
export interface ArchiveContent {
  /** With registry and tag. */
  readonly name: string;
  readonly mediaType: string;
  readonly manifest: Buffer;
  /** Path of the file with a blob. */
  readonly fileOf: (blob: Descriptor) => string;
}

/** Writes the archive. Throws when a blob is not there. */
export async function writeImageArchive(path: string, content: ArchiveContent): Promise<void> {
  const { config, layers } = JSON.parse(content.manifest.toString()) as ImageManifest;
  const descriptor = {
    mediaType: content.mediaType,
    digest: digestOfBytes(content.manifest),
    size: content.manifest.length,
    annotations: {
      [NAME_ANNOTATION]: content.name,
      [TAG_ANNOTATION]: content.name.slice(content.name.lastIndexOf(':') + 1),
    },
  };
  const index = { schemaVersion: 2, mediaType: INDEX, manifests: [descriptor] };
  const blobs = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
  await writeTar(path, [
    { name: 'oci-layout', data: Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' })) },
    { name: 'index.json', data: Buffer.from(JSON.stringify(index)) },
    { name: blobName(descriptor.digest), data: content.manifest },
    ...[...blobs.values()].map((blob) => {
      const file = content.fileOf(blob);
      return { name: blobName(blob.digest), file, size: statSync(file).size };
    }),
  ]);
}

/** An image in an archive. */
export interface ArchivedImage {
  readonly name: string;
  readonly mediaType: string;
  readonly digest: string;
  readonly manifest: Buffer;
  /** Config and layers, each with the place of its content. */
  readonly blobs: readonly (Descriptor & { readonly entry: TarEntry })[];
}

/** The image for an architecture in an archive. Throws ArtifactError: no such archive, or a part of it is missing. */
export function readImageArchive(path: string, architecture: string): ArchivedImage {
  const entries = new Map(readTar(path).map((entry) => [entry.name, entry]));
  const entryOf = (name: string): TarEntry => {
    const entry = entries.get(name);
    if (entry !== undefined) return entry;
    const isLayout = entries.has('oci-layout');
    throw new ArtifactError(
      isLayout
        ? `${path}: ${name} is not in it`
        : `${path}: not an OCI archive; make it with "ctr images export" or "skopeo copy ... oci-archive:..."`,
    );
  };
  const blob = (digest: string) => readEntry(path, entryOf(blobName(digest)));
  const index = JSON.parse(readEntry(path, entryOf('index.json')).toString()) as Index;
  const [first, second] = index.manifests;
  if (first === undefined || second !== undefined) {
    throw new ArtifactError(`${path}: ${index.manifests.length} images are in it; one archive has one image`);
  }
  const name = first.annotations?.[NAME_ANNOTATION];
  if (name === undefined) throw new ArtifactError(`${path}: the image has no name (${NAME_ANNOTATION})`);
  const chosen = INDEX_TYPES.includes(first.mediaType)
    ? choosePlatform(JSON.parse(blob(first.digest).toString()) as Index, architecture, path)
    : first;
  const manifest = blob(chosen.digest);
  const { config, layers } = JSON.parse(manifest.toString()) as ImageManifest;
  const blobs = [config, ...layers].map((each) => ({ ...each, entry: entryOf(blobName(each.digest)) }));
  return { name, mediaType: chosen.mediaType, digest: chosen.digest, manifest, blobs };
}

/** A list of manifests, one for each platform. */
export interface Index {
  readonly manifests: readonly Descriptor[];
}

/** The manifest for Linux on that architecture. Throws ArtifactError that says what there is. */
export function choosePlatform(index: Index, architecture: string, where: string): Descriptor {
  const found = index.manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  if (found !== undefined) return found;
  const there = index.manifests.flatMap(
    ({ platform }) => platform && `${platform.os}/${platform.architecture}`,
  );
  throw new ArtifactError(
    `${where}: not for linux/${architecture}, but for ${there.join(', ') || 'nothing'}`,
  );
}

/** `sha256:<hex>` */
export function digestOfBytes(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

/** Hex of a digest. Throws ArtifactError for other algorithms, and for what is no digest: it becomes a part of paths. */
export function hexOf(digest: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
  if (hex === undefined) throw new ArtifactError(`${JSON.stringify(digest)} is not a SHA-256 digest`);
  return hex;
}

function blobName(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`;
}
