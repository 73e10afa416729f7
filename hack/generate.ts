// SPDX-License-Identifier: Apache-2.0
// Writes crds/<provider>/ from the schemas in api/; with --check it only says which files are out of date and exits 1.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { PROVIDERS, RESOURCES } from '../api/resources.ts';
import { crdManifest, kustomization } from './crd/manifest.ts';

const FOLDER = join(import.meta.dirname, '..', 'crds');
/** Kustomize knows this name; `kubectl apply -f crds/bootstrap/` passes it over, as it has no extension. */
const KUSTOMIZATION = 'Kustomization';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const stale = await staleFiles();
if (values.check) report([...stale.keys()]);
else await write(stale);

/** Paths under crds/ whose content differs from what the schemas say; `undefined` for a file that should not be there. */
async function staleFiles(): Promise<Map<string, string | undefined>> {
  const wanted = wantedFiles();
  const present = await presentFiles();
  const stale = new Map<string, string | undefined>(
    present.filter((path) => !wanted.has(path)).map((path) => [path, undefined]),
  );
  for (const [path, content] of wanted) {
    const now = present.includes(path) ? await readFile(join(FOLDER, path), 'utf8') : '';
    if (now !== content) stale.set(path, content);
  }
  return stale;
}

/** Content by path under crds/: one folder for each provider, since each is installed on its own. */
function wantedFiles(): Map<string, string> {
  const wanted = new Map<string, string>();
  for (const provider of PROVIDERS) {
    const resources = RESOURCES.filter((resource) => resource.provider === provider);
    const files = new Map(resources.map((one) => [`${one.kind.plural}.yaml`, crdManifest(one)]));
    files.set(KUSTOMIZATION, kustomization([...files.keys()]));
    for (const [name, content] of files) wanted.set(join(provider.folder, name), content);
  }
  return wanted;
}

async function presentFiles(): Promise<string[]> {
  await mkdir(FOLDER, { recursive: true });
  const entries = await readdir(FOLDER, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(FOLDER, join(entry.parentPath, entry.name)));
}

function report(names: readonly string[]): void {
  if (names.length === 0) return;
  console.error(`Out of date, run "npm run generate": ${names.map((name) => `crds/${name}`).join(', ')}`);
  process.exitCode = 1;
}

async function write(stale: ReadonlyMap<string, string | undefined>): Promise<void> {
  for (const [name, content] of stale) {
    const path = join(FOLDER, name);
    await mkdir(dirname(path), { recursive: true });
    await (content === undefined ? rm(path) : writeFile(path, content));
    console.log(`${content === undefined ? 'removed' : 'wrote'} crds/${name}`);
  }
}
