// SPDX-License-Identifier: Apache-2.0
// Finds or builds what machines of a workload cluster run. Apart from the stack, which is needed far more often.
import { existsSync, mkdirSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheDir } from './build.ts';
import { goBuild, requireGo } from './go.ts';
import { withLock } from './lock.ts';
import { HOST_BINARIES, HOST_VERSIONS, type HostBinaryName, VERSIONS } from './versions.ts';

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
  mkdirSync(binDir, { recursive: true });
  const binaries = Object.fromEntries(HOST_BINARIES.map(({ name }) => [name, join(binDir, name)])) as Record<
    HostBinaryName,
    string
  >;
  const missing = () => HOST_BINARIES.filter(({ name }) => !existsSync(binaries[name]));
  if (missing().length > 0) {
    const waiting = (pid: number) => say(`process ${pid} is building the software of hosts: waiting for it`);
    await withLock(`${binDir}.lock`, () => build(missing, { binDir, say }), waiting);
  }
  return { binaries, binDir };
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
  missing: () => typeof HOST_BINARIES,
  { binDir, say }: { binDir: string; say: (line: string) => void },
): Promise<void> {
  const wanted = missing(); // Whoever held the lock before us may have made them.
  if (wanted.length === 0) return;
  await requireGo(FOLDER);
  for (const [index, binary] of wanted.entries()) {
    const hint = index === 0 ? ', the first time all of them take about 6 minutes' : '';
    say(`building ${binary.name} ${binary.version} (${index + 1} of ${wanted.length}${hint})`);
    await goBuild(binary, FOLDER, binDir);
  }
}
