// SPDX-License-Identifier: Apache-2.0
// An archived image into a registry: only blobs that it has not got, then the manifest, and a look at what it has then.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { ArtifactError } from './errors.ts';
import { expectStatus, type HttpClient } from './http.ts';
import { imageName } from './image-name.ts';
import type { ArchivedImage } from './oci-archive.ts';
import type { Registry } from './registry.ts';

/** What a push has moved. */
export interface Pushed {
  /** Of blobs; 0 when the registry had all of them. */
  readonly bytes: number;
  /** Whether the tag pointed at this very image before. */
  readonly unchanged: boolean;
}

type Blob = ArchivedImage['blobs'][number];

/** Under the same repository and tag, whatever registry its name has. Throws ArtifactError. */
export async function pushImage(
  http: HttpClient,
  registry: Registry,
  from: { readonly archive: string; readonly image: ArchivedImage },
): Promise<Pushed> {
  const { repository, tag } = imageName(from.image.name);
  const before = await registry.manifest(repository, tag);
  if (before?.digest === from.image.digest) return { bytes: 0, unchanged: true };
  let bytes = 0;
  for (const blob of from.image.blobs) {
    bytes += await pushBlob(http, registry, { repository, archive: from.archive, blob });
  }
  const url = registry.url(repository, `manifests/${tag}`);
  await http.retry(url, async () => {
    const headers = { 'content-type': from.image.mediaType };
    const response = await registry.ask(url, { method: 'PUT', headers, body: from.image.manifest });
    await (await expectStatus(response, url, [201])).body?.cancel();
  });
  // Read back and hashed here: a registry that only repeats what it was told has not shown anything.
  const after = await registry.manifest(repository, tag);
  if (after?.digest !== from.image.digest) {
    throw new ArtifactError(
      `${url}: has ${after?.digest ?? 'nothing'} after ${from.image.digest} was pushed`,
    );
  }
  return { bytes, unchanged: false };
}

/** Answers how many bytes went over. */
async function pushBlob(
  http: HttpClient,
  registry: Registry,
  {
    repository,
    archive,
    blob,
  }: { readonly repository: string; readonly archive: string; readonly blob: Blob },
): Promise<number> {
  const url = registry.url(repository, `blobs/${blob.digest}`);
  return http.retry(url, async () => {
    const seen = await expectStatus(await registry.ask(url, { method: 'HEAD' }), url, [200, 404]);
    if (seen.status === 200) return 0;
    const start = registry.url(repository, 'blobs/uploads/');
    const begun = await expectStatus(await registry.ask(start, { method: 'POST', body: '' }), start, [202]);
    await begun.body?.cancel();
    const upload = new URL(begun.headers.get('location') ?? '', start);
    upload.searchParams.set('digest', blob.digest);
    const { offset, size } = blob.entry;
    const body =
      size === 0 ? '' : Readable.toWeb(createReadStream(archive, { start: offset, end: offset + size - 1 }));
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
    const done = await registry.ask(upload.href, { method: 'PUT', headers, body });
    await (await expectStatus(done, url, [201])).body?.cancel();
    return size;
  });
}
