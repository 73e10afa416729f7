// SPDX-License-Identifier: Apache-2.0
// A folder of artifacts. What is finished is noted at once, and stands in the manifest when all that was asked for is there.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Artifact,
  formatManifest,
  MANIFEST_NAME,
  ManifestError,
  parseManifest,
} from '../../preparation/artifacts/manifest.ts';
import { digestOf } from './download.ts';
import { ArtifactError } from './errors.ts';

/** An artifact whose file may not be there yet. */
export type Planned = Omit<Artifact, 'sha256' | 'size'>;

export interface BundleFolder {
  /** Where an artifact has its file. */
  file(artifact: { readonly path: string }): string;
  /** For what is needed on the way; gone after {@link finish}. */
  readonly work: string;
  /** All that is listed or noted. */
  artifacts(): readonly Artifact[];
  /** Whether the file is there as it was when it was noted or listed; and with that SHA-256, if it is given. */
  has(path: string, sha256?: string): Promise<boolean>;
  /** Notes the file that is now at its place. */
  note(artifact: Planned): Promise<Artifact>;
  /** Forgets what is noted or listed, and removes its file. */
  drop(path: string): void;
  /** Writes the manifest: everything noted, and everything that was in it before. Answers what is not there any more. */
  finish(): readonly Artifact[];
}

const PROGRESS = '.progress';
const WORK = '.work';

/** Opens or makes a folder. Throws ArtifactError when its manifest cannot be read. */
export function openBundle(dir: string): BundleFolder {
  mkdirSync(dir, { recursive: true });
  const known = new Map<string, Artifact>();
  for (const name of [MANIFEST_NAME, PROGRESS]) {
    for (const artifact of readList(join(dir, name))) known.set(artifact.path, artifact);
  }
  const file = ({ path }: { readonly path: string }) => join(dir, path);
  const save = (name: string) => writeWhole(join(dir, name), formatManifest([...known.values()]));
  const isThere = (artifact: Artifact) =>
    statSync(file(artifact), { throwIfNoEntry: false })?.size === artifact.size;
  return {
    file,
    work: join(dir, WORK),
    artifacts: () => [...known.values()],
    async has(path, sha256) {
      const artifact = known.get(path);
      if (artifact === undefined || !isThere(artifact)) return false;
      if (sha256 !== undefined && sha256 !== artifact.sha256) return false;
      return (await digestOf(file(artifact))) === artifact.sha256;
    },
    async note(planned) {
      const sha256 = await digestOf(file(planned));
      const artifact: Artifact = { ...planned, sha256, size: statSync(file(planned)).size };
      known.set(artifact.path, artifact);
      save(PROGRESS);
      return artifact;
    },
    drop(path) {
      known.delete(path);
      rmSync(join(dir, path), { force: true });
    },
    finish() {
      const missing = [...known.values()].filter((artifact) => !isThere(artifact));
      for (const { path } of missing) known.delete(path);
      save(MANIFEST_NAME);
      rmSync(join(dir, PROGRESS), { force: true });
      rmSync(join(dir, WORK), { recursive: true, force: true });
      return missing;
    },
  };
}

/** What a finished bundle lists. Throws ArtifactError: it is none, or not finished. */
export function readBundle(dir: string): Artifact[] {
  const path = join(dir, MANIFEST_NAME);
  if (!existsSync(path)) {
    throw new ArtifactError(
      existsSync(join(dir, PROGRESS))
        ? `${dir}: the bundle is not finished; run "artifacts bundle" again, it goes on where it was`
        : `${dir}: no bundle is there; "artifacts bundle -o ${dir}" makes one`,
    );
  }
  return readList(path);
}

function readList(path: string): Artifact[] {
  if (!existsSync(path)) return [];
  try {
    return parseManifest(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof ManifestError)
      throw new ArtifactError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

function writeWhole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}
