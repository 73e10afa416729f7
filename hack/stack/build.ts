// SPDX-License-Identifier: Apache-2.0
// Finds or builds the real servers that tests and the demo run: `npm run stack` builds what is missing and says where it is.
import { existsSync, mkdirSync } from 'node:fs';
import { arch, homedir, platform } from 'node:os';
import { join } from 'node:path';
import { buildComponents } from './components.ts';
import { goBuild, requireGo } from './go.ts';
import { withLock } from './lock.ts';
import { runProgram } from './process.ts';
import { BINARIES, type Binary, type BinaryName, VERSIONS } from './versions.ts';

export interface Stack {
  /** Path of each binary. */
  readonly binaries: Readonly<Record<BinaryName, string>>;
  /** Folder with most of them: for PATH. */
  readonly binDir: string;
  /** See components.ts. */
  readonly componentsDir: string;
  readonly versions: typeof VERSIONS;
}

const FOLDER = import.meta.dirname;

/**
 * The whole stack. Each binary comes from KUBEBUILDER_ASSETS (the three that live there, in the right minor version), else from the
 * user's cache folder, else it is built into that. `say` gets one line per thing that takes time.
 */
export async function stack(say: (line: string) => void = sayOnStderr): Promise<Stack> {
  const root = cacheDir();
  const binDir = join(root, 'bin');
  mkdirSync(binDir, { recursive: true });
  const assets = await fromAssets(process.env['KUBEBUILDER_ASSETS'], say);
  const binaries = Object.fromEntries(
    BINARIES.map(({ name }) => [name, assets.get(name) ?? join(binDir, name)]),
  ) as Record<BinaryName, string>;
  const found: Stack = { binaries, binDir, componentsDir: join(root, 'components'), versions: VERSIONS };
  if (!isComplete(found)) {
    const waiting = (pid: number) => say(`process ${pid} is building the stack: waiting for it`);
    await withLock(join(root, 'lock'), () => build(found, say), waiting);
  }
  return found;
}

/** `$XDG_CACHE_HOME/ts-provider/stack/<versions>`; another version or platform has a folder of its own. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const home = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const key = [
    `kubernetes-${VERSIONS.kubernetes}`,
    `etcd-${VERSIONS.etcd}`,
    `cluster-api-${VERSIONS.clusterAPI}`,
    `cert-manager-${VERSIONS.certManager}`,
    `${platform()}-${arch()}`,
  ];
  return join(home, 'ts-provider', 'stack', key.join('_'));
}

function isComplete({ binaries, componentsDir }: Stack): boolean {
  return existsSync(componentsDir) && Object.values(binaries).every((path) => existsSync(path));
}

async function build(wanted: Stack, say: (line: string) => void): Promise<void> {
  if (isComplete(wanted)) return; // Whoever held the lock before us made it.
  await requireGo(FOLDER);
  const missing = BINARIES.filter(({ name }) => !existsSync(wanted.binaries[name]));
  for (const [index, binary] of missing.entries()) {
    const hint = index === 0 ? ', the first time all of them take about 8 minutes' : '';
    say(`building ${binary.name} ${binary.version} (${index + 1} of ${missing.length}${hint})`);
    await goBuild(binary, FOLDER, wanted.binDir);
  }
  say(`writing the manifests of Cluster API ${VERSIONS.clusterAPI}`);
  await buildComponents({ dir: wanted.componentsDir, kubectl: wanted.binaries.kubectl, folder: FOLDER });
}

/** The binaries of an envtest folder that are there and in our minor version. */
async function fromAssets(
  dir: string | undefined,
  say: (line: string) => void,
): Promise<Map<BinaryName, string>> {
  const found = new Map<BinaryName, string>();
  if (!dir) return found;
  for (const binary of BINARIES.filter(({ name }) => name in VERSION_COMMANDS)) {
    const path = join(dir, binary.name);
    if (!existsSync(path)) continue;
    if (await hasMinorOf(binary, path)) found.set(binary.name, path);
    else say(`${path} is not ${minorOf(binary.version)}.x: not used`);
  }
  return found;
}

const VERSION_COMMANDS: Partial<Record<BinaryName, readonly string[]>> = {
  etcd: ['--version'],
  'kube-apiserver': ['--version'],
  kubectl: ['version', '--client'],
};

async function hasMinorOf(binary: Binary, path: string): Promise<boolean> {
  const answer = await runProgram(path, VERSION_COMMANDS[binary.name] ?? []).catch(() => '');
  return answer.includes(`${minorOf(binary.version)}.`);
}

/** `v1.36.3` -> `1.36`. */
function minorOf(version: string): string {
  return version.slice(1).split('.').slice(0, 2).join('.');
}

function sayOnStderr(line: string): void {
  process.stderr.write(`stack: ${line}\n`);
}

if (import.meta.main) {
  try {
    const { binDir, componentsDir } = await stack();
    process.stdout.write(`binaries:  ${binDir}\nmanifests: ${componentsDir}\n`);
  } catch (error) {
    process.stderr.write(`stack: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
