// SPDX-License-Identifier: Apache-2.0
// An image from a registry as an archive: the manifest of one platform, and every blob checked by its digest.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { download, moveInto } from './download.ts';
import { ArtifactError } from './errors.ts';
import type { HttpClient } from './http.ts';
import type { ImageName } from './image-name.ts';
import {
  choosePlatform,
  hexOf,
  type ImageManifest,
  type Index,
  INDEX_TYPES,
  MANIFEST_TYPES,
  writeImageArchive,
} from './oci-archive.ts';
import type { FetchedManifest, Registry } from './registry.ts';

export interface Pull {
  readonly image: ImageName;
  readonly architecture: string;
  /** Path of the archive. */
  readonly target: string;
  /** Folder for blobs: what images share is fetched once, and what is there already not again. */
  readonly blobs: string;
}

/** Throws ArtifactError. */
export async function pullImage(http: HttpClient, registry: Registry, pull: Pull): Promise<void> {
  const { image, blobs, target } = pull;
  const fetched = await platformManifest(registry, pull);
  const { config, layers } = JSON.parse(fetched.data.toString()) as ImageManifest;
  for (const { digest, size } of [config, ...layers]) {
    const sha256 = hexOf(digest);
    const file = join(blobs, sha256);
    // Under this name it has been checked.
    if (existsSync(file)) continue;
    const url = registry.url(image.repository, `blobs/${digest}`);
    await download(http, {
      url,
      target: file,
      sha256,
      size,
      ask: (from, request) => registry.ask(from, request),
    });
  }
  mkdirSync(dirname(target), { recursive: true });
  const part = `${target}.part`;
  await writeImageArchive(part, {
    name: image.text,
    mediaType: fetched.mediaType,
    manifest: fetched.data,
    fileOf: ({ digest }) => join(blobs, hexOf(digest)),
  });
  moveInto(part, target);
}

async function platformManifest(registry: Registry, { image, architecture }: Pull): Promise<FetchedManifest> {
  const where = `${image.text} of ${registry.origin}`;
  const required = async (reference: string): Promise<FetchedManifest> => {
    const found = await registry.manifest(image.repository, reference);
    if (found === undefined)
      throw new ArtifactError(`${where}: the registry has no such image (${reference})`);
    return found;
  };
  const first = await required(image.tag);
  if (INDEX_TYPES.includes(first.mediaType)) {
    const chosen = choosePlatform(JSON.parse(first.data.toString()) as Index, architecture, where);
    return required(chosen.digest);
  }
  if (!MANIFEST_TYPES.includes(first.mediaType)) {
    throw new ArtifactError(`${where}: ${first.mediaType} is not the manifest of an image`);
  }
  return first;
}
