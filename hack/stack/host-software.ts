// SPDX-License-Identifier: Apache-2.0
// Finds or builds what machines of a workload cluster run. Apart from the stack, which is needed far more often.
import { existsSync, mkdirSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheDir } from './build.ts';
import { goBuild, requireGo } from './go.ts';
import { withLock } from './lock.ts';
import {
  type Binary,
  HOST_BINARIES,
  HOST_VERSIONS,
  type HostBinaryName,
  type KubernetesBinaryName,
  PREVIOUS_BINARIES,
  REGISTRY_BINARY,
  SITE_VERSIONS,
  VERSIONS,
} from './versions.ts';

export interface HostSoftware {
  /** Path of each binary; all of them are static. */
  readonly binaries: Readonly<Record<HostBinaryName, string>>;
  /** Folder with all of them: for PATH. */
  readonly binDir: string;
}

const FOLDER = import.meta.dirname;

/** Builds what is missing, once for each version. `say` gets one line per binary. */
export async function buildHostSoftware(say: (line: string) => void): Promise<HostSoftware> {
  const binDir = join(hostSoftwareDir(), 'bin');
  return { binaries: await provide(HOST_BINARIES, { binDir, say, minutes: 6 }), binDir };
}

/** The Kubernetes that hosts had before: path of each binary. Built on demand, like all of this file. */
export async function previousSoftware(
  say: (line: string) => void,
): Promise<Readonly<Record<KubernetesBinaryName, string>>> {
  const binDir = join(siteDir(`kubernetes-${SITE_VERSIONS.previousKubernetes}`), 'bin');
  return provide(PREVIOUS_BINARIES, { binDir, say, minutes: 10 });
}

/** Path of a registry of container images. */
export async function registrySoftware(say: (line: string) => void): Promise<string> {
  const binDir = join(siteDir(`registry-${SITE_VERSIONS.registry}`), 'bin');
  return (await provide([REGISTRY_BINARY], { binDir, say, minutes: 2 })).registry;
}

function siteDir(what: string): string {
  return join(dirname(cacheDir()), `hosts_${what}_${platform()}-${arch()}`);
}

interface Building {
  readonly binDir: string;
  readonly say: (line: string) => void;
  /** How long all of them take on two cores. */
  readonly minutes: number;
}

async function provide<Name extends string>(
  binaries: readonly Binary<Name>[],
  building: Building,
): Promise<Record<Name, string>> {
  const { binDir, say } = building;
  mkdirSync(binDir, { recursive: true });
  const pathOf = (name: Name) => join(binDir, name);
  const missing = () => binaries.filter(({ name }) => !existsSync(pathOf(name)));
  if (missing().length > 0) {
    const waiting = (pid: number) => say(`process ${pid} is building the software of hosts: waiting for it`);
    await withLock(`${binDir}.lock`, () => build(missing, building), waiting);
  }
  return Object.fromEntries(binaries.map(({ name }) => [name, pathOf(name)])) as Record<Name, string>;
}

/** Beside the folder of the stack; another version or platform has a folder of its own. */
export function hostSoftwareDir(env: NodeJS.ProcessEnv = process.env): string {
  const key = [
    `hosts_kubernetes-${VERSIONS.kubernetes}`,
    `containerd-${HOST_VERSIONS.containerd}`,
    `coredns-${HOST_VERSIONS.coredns}`,
    `${platform()}-${arch()}`,
  ];
  return join(dirname(cacheDir(env)), key.join('_'));
}

async function build(
  missing: () => readonly Binary<string>[],
  { binDir, say, minutes }: Building,
): Promise<void> {
  const wanted = missing(); // Whoever held the lock before us may have made them.
  if (wanted.length === 0) return;
  await requireGo(FOLDER);
  for (const [index, binary] of wanted.entries()) {
    const hint = index === 0 ? `, the first time all of them take about ${minutes} minutes` : '';
    say(`building ${binary.name} ${binary.version} (${index + 1} of ${wanted.length}${hint})`);
    await goBuild(binary, FOLDER, binDir);
  }
}
