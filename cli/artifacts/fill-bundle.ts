// SPDX-License-Identifier: Apache-2.0
// Fetches what a bundle has not got yet, one after the other, and then writes its manifest.
import { chmodSync, constants, copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createReadStream, createWriteStream } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { imagesFor } from '../../preparation/artifacts/versions.ts';
import { type BundleFolder, openBundle, type Planned } from './bundle-folder.ts';
import { digestOf, download, moveInto, publishedChecksum } from './download.ts';
import { ArtifactError } from './errors.ts';
import { type HttpClient, httpClient } from './http.ts';
import { type ImageName, imageName } from './image-name.ts';
import type { Mirrors } from './mirrors.ts';
import { readImageArchive } from './oci-archive.ts';
import { packagesIn } from './packages.ts';
import { pullImage } from './pull.ts';
import { type Registry, registryClient, type RegistryLogin } from './registry.ts';
import { readTar } from './tar.ts';
import { filesFor, type NodeSelection, type UpstreamFile } from './upstream.ts';

export const CONTENTS = ['files', 'images', 'packages'] as const;
export type Contents = (typeof CONTENTS)[number];

export interface BundleRequest {
  readonly dir: string;
  readonly selection: NodeSelection;
  readonly contents: ReadonlySet<Contents>;
  readonly furtherImages: readonly ImageName[];
  /** Folder of OCI archives. */
  readonly archives?: string;
  readonly packages?: { readonly folder: string; readonly platform: string };
  readonly mirrors: Mirrors;
  /** By the host of the registry that is really asked, with its port. */
  readonly logins: ReadonlyMap<string, RegistryLogin>;
  readonly ca?: readonly string[];
  /** Before the second try of a request. */
  readonly pauseMs?: number;
}

/** One run. */
interface Run extends BundleRequest {
  readonly http: HttpClient;
  readonly bundle: BundleFolder;
  readonly say: (line: string) => void;
  readonly registries: Map<string, Registry>;
}

/** Answers what the bundle is now. Throws ArtifactError and UnknownVersionError; what was fetched until then stays for the next run. */
export async function fillBundle(request: BundleRequest, say: (line: string) => void): Promise<string> {
  // Before anything is fetched: a version that nobody knows, packages of another platform.
  const files = filesFor(request.selection);
  const packages = request.packages && packagesIn(request.packages.folder, request.packages.platform);
  const http = httpClient({
    ...(request.ca && { ca: request.ca }),
    ...(request.pauseMs !== undefined && { pauseMs: request.pauseMs }),
  });
  const run: Run = { ...request, http, say, bundle: openBundle(request.dir), registries: new Map() };
  try {
    if (request.contents.has('files')) for (const file of files) await addFile(run, file);
    if (request.contents.has('images')) await addImages(run);
    if (request.contents.has('packages') && packages !== undefined) await addPackages(run, packages);
  } finally {
    await http.close();
  }
  for (const { path } of run.bundle.finish()) say(`gone        ${path}: it is not in the manifest any more`);
  const all = run.bundle.artifacts();
  const bytes = all.reduce((sum, { size }) => sum + size, 0);
  return `${request.dir}: ${all.length} files, ${(bytes / 1e6).toFixed(1)} MB\n`;
}

/** Does the work unless the bundle has it, and notes it. */
async function add(run: Run, planned: Planned, work: (target: string) => Promise<unknown>): Promise<void> {
  if (await run.bundle.has(planned.path)) return run.say(`have        ${planned.path}`);
  await work(run.bundle.file(planned));
  await note(run, planned);
}

/** The same for a file of this machine, which may be another one than the last time. */
async function addCopy(run: Run, planned: Planned, source: string): Promise<void> {
  if (await run.bundle.has(planned.path, await digestOf(source)))
    return run.say(`have        ${planned.path}`);
  copyWhole(source, run.bundle.file(planned));
  await note(run, planned);
}

async function note(run: Run, planned: Planned): Promise<void> {
  const { size } = await run.bundle.note(planned);
  run.say(`${`${(size / 1e6).toFixed(1)} MB`.padEnd(11)} ${planned.path}`);
}

async function addFile(run: Run, file: UpstreamFile): Promise<void> {
  const { url: upstream, checksumURL, member, ...planned } = file;
  await add(run, planned, async (target) => {
    const url = run.mirrors.url(upstream);
    const sha256 = await publishedChecksum(run.http, { url, checksumURL: run.mirrors.url(checksumURL) });
    if (member === undefined) {
      await download(run.http, { url, sha256, target });
      if (planned.kind === 'binary') chmodSync(target, 0o755);
      return;
    }
    const archive = join(run.bundle.work, basename(new URL(upstream).pathname));
    await download(run.http, { url, sha256, target: archive });
    await takeMember(archive, member, target);
    rmSync(archive);
  });
}

/** One program out of a tar.gz. */
async function takeMember(archive: string, member: string, target: string): Promise<void> {
  const plain = `${archive}.plain`;
  await pipeline(createReadStream(archive), createGunzip(), createWriteStream(plain));
  const entry = readTar(plain).find(({ name }) => basename(name) === member);
  if (entry === undefined || entry.size === 0) throw new ArtifactError(`${archive}: no ${member} is in it`);
  const { offset, size } = entry;
  mkdirSync(dirname(target), { recursive: true });
  const part = `${target}.part`;
  await pipeline(createReadStream(plain, { start: offset, end: offset + size - 1 }), createWriteStream(part));
  chmodSync(part, 0o755);
  moveInto(part, target);
  rmSync(plain);
}

async function addImages(run: Run): Promise<void> {
  const { kubernetesVersion, architecture } = run.selection;
  const own = imagesFor(kubernetesVersion).map((name) => imageName(name));
  const archives = archivesIn(run);
  const named = new Set([...own, ...run.furtherImages].map(({ text }) => text));
  const unnamed = [...archives.keys()].filter((name) => !named.has(name)).map((name) => imageName(name));
  const images = [
    ...own.map((image) => ({ image, version: kubernetesVersion })),
    ...[...run.furtherImages, ...unnamed].map((image) => ({ image, version: 'any' })),
  ];
  for (const { image, version } of images) {
    const planned = imageArtifact(image, version, architecture);
    const archive = archives.get(image.text);
    if (archive === undefined)
      await add(run, planned, (target) => shareOrPull(run, image, { planned, target }));
    else await addCopy(run, planned, archive);
  }
}

function imageArtifact(image: ImageName, version: string, architecture: string): Planned {
  const platform = `linux-${architecture}`;
  const file = image.text.replaceAll(/[/:]/g, '_');
  return {
    kind: 'image',
    name: image.text,
    version,
    platform,
    path: `images/${version}/${platform}/${file}.tar`,
  };
}

/** Several Kubernetes versions have images in common: each has a name for it, since a host takes those of its version. */
async function shareOrPull(
  run: Run,
  image: ImageName,
  { planned, target }: { readonly planned: Planned; readonly target: string },
): Promise<void> {
  const { kind, name, platform } = planned;
  const same = run.bundle
    .artifacts()
    .find((each) => each.kind === kind && each.name === name && each.platform === platform);
  if (same !== undefined && (await run.bundle.has(same.path)))
    return copyWhole(run.bundle.file(same), target);
  const blobs = join(run.bundle.work, 'blobs');
  const { architecture } = run.selection;
  await pullImage(run.http, registryOf(run, image.registry), { image, architecture, target, blobs });
}

/** By the name of the image. Throws ArtifactError for a file that is no archive of one image for the architecture. */
function archivesIn(run: Run): Map<string, string> {
  const folder = run.archives;
  if (folder === undefined) return new Map();
  const paths = readdirSync(folder)
    .filter((name) => name.endsWith('.tar'))
    .map((name) => join(folder, name));
  return new Map(paths.map((path) => [readImageArchive(path, run.selection.architecture).name, path]));
}

function registryOf(run: Run, host: string): Registry {
  const known = run.registries.get(host);
  if (known !== undefined) return known;
  const place = run.mirrors.registry(host);
  const login = run.logins.get(new URL(place.origin).host);
  const registry = registryClient(run.http, place, { login, actions: 'pull' });
  run.registries.set(host, registry);
  return registry;
}

/** All packages of a platform are installed together: what is not in the folder any more goes. */
async function addPackages(run: Run, packages: ReturnType<typeof packagesIn>): Promise<void> {
  const paths = new Set(packages.map(({ artifact }) => artifact.path));
  const platform = run.packages?.platform;
  for (const old of run.bundle.artifacts()) {
    if (old.kind === 'package' && old.platform === platform && !paths.has(old.path))
      run.bundle.drop(old.path);
  }
  for (const { artifact, source } of packages) {
    await addCopy(run, artifact, source);
  }
}

/** Its blocks are shared where the file system can do that; never the file itself, which may be changed in its old place. */
function copyWhole(source: string, target: string): void {
  const part = `${target}.part`;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, part, constants.COPYFILE_FICLONE);
  moveInto(part, target);
}
