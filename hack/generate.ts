// SPDX-License-Identifier: Apache-2.0
// Writes crds/ from the schemas in api/; with --check it only says which files are out of date and exits 1.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RESOURCES } from '../api/resources.ts';
import { crdManifest, kustomization } from './crd/manifest.ts';

const FOLDER = join(import.meta.dirname, '..', 'crds');
/** Kustomize knows this name; `kubectl apply -f crds/` passes it over, as it has no extension. */
const KUSTOMIZATION = 'Kustomization';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const stale = await staleFiles();
if (values.check) report([...stale.keys()]);
else await write(stale);

/** File names whose content differs from what the schemas say; `undefined` for a file that should not be there. */
async function staleFiles(): Promise<Map<string, string | undefined>> {
  await mkdir(FOLDER, { recursive: true });
  const wanted = new Map(
    RESOURCES.map((resource) => [`${resource.kind.plural}.yaml`, crdManifest(resource)]),
  );
  wanted.set(KUSTOMIZATION, kustomization([...wanted.keys()]));
  const present = await readdir(FOLDER);
  const stale = new Map<string, string | undefined>(
    present.filter((name) => !wanted.has(name)).map((name) => [name, undefined]),
  );
  for (const [name, content] of wanted) {
    const now = present.includes(name) ? await readFile(join(FOLDER, name), 'utf8') : '';
    if (now !== content) stale.set(name, content);
  }
  return stale;
}

function report(names: readonly string[]): void {
  if (names.length === 0) return;
  console.error(`Out of date, run "npm run generate": ${names.map((name) => `crds/${name}`).join(', ')}`);
  process.exitCode = 1;
}

async function write(stale: ReadonlyMap<string, string | undefined>): Promise<void> {
  for (const [name, content] of stale) {
    const path = join(FOLDER, name);
    await (content === undefined ? rm(path) : writeFile(path, content));
    console.log(`${content === undefined ? 'removed' : 'wrote'} crds/${name}`);
  }
}
