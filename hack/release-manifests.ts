// SPDX-License-Identifier: Apache-2.0
// Makes clusterctl repository folders of one version: --version v0.1.0 [--out out/repository] [--kubectl PATH] [--image NAME].
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { parse } from 'yaml';
import { BOOTSTRAP_PROVIDER, INFRASTRUCTURE_PROVIDER } from '../api/labels.ts';
import { cacheDir } from './stack/build.ts';

const ROOT = join(import.meta.dirname, '..');
const TEMPLATES = join(ROOT, 'config', 'templates');
/** The image in the Deployments of config/; its tag becomes the version. */
const IMAGE = 'ghcr.io/ts-provider/ts-provider';
/** `clusterctl generate cluster` without --flavor uses this one. */
const DEFAULT_FLAVOR = 'in-memory';
const SEMVER = /^v\d+\.(\d+)\.\d+(-[0-9A-Za-z.-]+)?$/;

/** One provider as clusterctl knows it: its label, its components file and what that is built from. */
interface Release {
  readonly label: string;
  readonly file: string;
  readonly kustomization: string;
  /** Whether its folder holds the cluster templates and ClusterClasses. */
  readonly templates: boolean;
}

const RELEASES: readonly Release[] = [
  {
    label: INFRASTRUCTURE_PROVIDER,
    file: 'infrastructure-components.yaml',
    kustomization: 'config/default',
    templates: true,
  },
  {
    label: BOOTSTRAP_PROVIDER,
    file: 'bootstrap-components.yaml',
    kustomization: 'config/bootstrap',
    templates: false,
  },
];

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    out: { type: 'string', default: 'out/repository' },
    kubectl: { type: 'string' },
    image: { type: 'string', default: IMAGE },
  },
});

try {
  const version = checkedVersion(values.version);
  await checkSeries(version);
  const kubectl = kubectlPath();
  for (const release of RELEASES) console.log(await makeFolder(release, version, kubectl));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

/** Everything is rendered before the folder of that version is replaced. */
async function makeFolder(release: Release, version: string, kubectl: string): Promise<string> {
  const components = await render(kubectl, release.kustomization);
  const folder = join(resolve(values.out), release.label, version);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, release.file), setImage(components, `${values.image}:${version}`));
  await copyFile(join(ROOT, 'metadata.yaml'), join(folder, 'metadata.yaml'));
  if (release.templates) await copyTemplates(folder);
  return folder;
}

function checkedVersion(version: string | undefined): string {
  if (version !== undefined && SEMVER.test(version)) return version;
  throw new Error(
    `--version ${version ?? ''}: give a semantic version with a leading v, such as v0.1.0 (CTL-5)`,
  );
}

/** clusterctl refuses a version whose series metadata.yaml does not name (CTL-7). */
async function checkSeries(version: string): Promise<void> {
  const metadata = parse(await readFile(join(ROOT, 'metadata.yaml'), 'utf8')) as {
    releaseSeries: { major: number; minor: number }[];
  };
  const [major, minor] = version.slice(1).split('.').map(Number);
  if (metadata.releaseSeries.some((series) => series.major === major && series.minor === minor)) return;
  throw new Error(`metadata.yaml has no release series ${major}.${minor}: add it with its contract`);
}

/** --kubectl, then the folder of KUBEBUILDER_ASSETS, then the PATH, then what `npm run stack` has built. */
function kubectlPath(): string {
  if (values.kubectl !== undefined) return values.kubectl;
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const folders = [process.env['KUBEBUILDER_ASSETS'] ?? '', ...path].filter((folder) => folder !== '');
  const found = [...folders, join(cacheDir(), 'bin')]
    .map((folder) => join(folder, 'kubectl'))
    .find(existsSync);
  if (found !== undefined) return found;
  throw new Error('kubectl was not found: give --kubectl PATH, or run "npm run stack" once, which builds it');
}

async function render(kubectl: string, kustomization: string): Promise<string> {
  const { stdout } = await promisify(execFile)(kubectl, ['kustomize', join(ROOT, kustomization)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  // clusterctl substitutes these; nothing in our components is meant to be substituted (CTL-10).
  const line = stdout.split('\n').find((text) => text.includes('${') || text.includes('$$'));
  if (line !== undefined) throw new Error(`clusterctl would substitute a variable in: ${line.trim()}`);
  return stdout;
}

function setImage(components: string, image: string): string {
  const pattern = new RegExp(`image: ${IMAGE}:\\S+`);
  if (!pattern.test(components)) throw new Error(`the Deployment has no image ${IMAGE}:<tag>`);
  return components.replace(pattern, `image: ${image}`);
}

/** One source for the default flavor: its file is copied under the name without a flavor. */
async function copyTemplates(folder: string): Promise<void> {
  for (const name of await readdir(TEMPLATES)) {
    if (name.endsWith('.yaml')) await copyFile(join(TEMPLATES, name), join(folder, name));
  }
  await copyFile(
    join(TEMPLATES, `cluster-template-${DEFAULT_FLAVOR}.yaml`),
    join(folder, 'cluster-template.yaml'),
  );
}
