// SPDX-License-Identifier: Apache-2.0
// One cgroup per host and controller (v1): a host sees its own as the root, and all of its processes can be found and frozen by it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../stack/process.ts';

const MOUNTS = '/sys/fs/cgroup';
const FREEZER = join(MOUNTS, 'freezer');

export interface Cgroup {
  /** Files to which a process writes 0 to be in it. */
  readonly memberFiles: readonly string[];
  /** Numbers of all processes in it, those of pods too. */
  processes(): number[];
  /** Stops every process where it stands: it neither answers nor ends. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Removes it with all below it; every process must have ended. */
  remove(): void;
}

/** Makes `<world>/<name>` for every controller. */
export function createCgroup(world: string, name: string): Cgroup {
  const dirs = controllers().map((controller) => {
    const parent = join(MOUNTS, controller, ownPath(controller));
    return join(makeCgroup(controller, makeCgroup(controller, parent, world), name));
  });
  const freezer = join(FREEZER, ownPath('freezer'), world, name);
  const write = async (state: 'FROZEN' | 'THAWED') => {
    // The kernel may need several attempts to stop processes that are starting others.
    for (let attempt = 0; attempt < 100 && stateOf(freezer) !== state; attempt++) {
      writeFileSync(join(freezer, 'freezer.state'), state);
      if (stateOf(freezer) !== state) await pause(10);
    }
    if (stateOf(freezer) !== state) throw new Error(`${name} cannot be ${state.toLowerCase()}`);
  };
  return {
    memberFiles: dirs.map((dir) => join(dir, 'cgroup.procs')),
    processes: () => foldersIn(freezer).flatMap(processesIn),
    freeze: () => write('FROZEN'),
    thaw: () => write('THAWED'),
    remove: () => dirs.forEach(removeCgroup),
  };
}

/** Removes what {@link createCgroup} made for a world. */
export function removeWorldCgroups(world: string): void {
  for (const controller of controllers()) removeCgroup(join(MOUNTS, controller, ownPath(controller), world));
}

/** Folders that are mounts of a v1 hierarchy. */
function controllers(): string[] {
  const names = readdirSync(MOUNTS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map(({ name }) => name).filter((name) => existsSync(join(MOUNTS, name, 'notify_on_release')));
}

/** Where this process is, so that limits on us are limits on hosts. */
function ownPath(controller: string): string {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const paths = lines.map((line) => line.split(':'));
  const own = paths.find(([, names = '']) => names.replace('name=', '') === controller);
  return own?.[2] ?? '/';
}

/** A new cpuset is empty, and nothing can run in it, unless it takes over its parent's. */
function makeCgroup(controller: string, parent: string, name: string): string {
  const dir = join(parent, name);
  mkdirSync(dir, { recursive: true });
  if (controller !== 'cpuset') return dir;
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    writeFileSync(join(dir, file), readFileSync(join(parent, file), 'utf8').trim());
  writeFileSync(join(dir, 'cgroup.clone_children'), '1');
  return dir;
}

function removeCgroup(dir: string): void {
  for (const folder of foldersIn(dir).reverse()) rmdirSync(folder);
}

/** `dir` and all below, parents first; one that goes away meanwhile has nothing to tell. */
function foldersIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const below = readdirSync(dir, { recursive: true, withFileTypes: true });
  const folders = below.filter((entry) => entry.isDirectory());
  return [dir, ...folders.map((entry) => join(entry.parentPath, entry.name)).sort()];
}

function processesIn(dir: string): number[] {
  try {
    return readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function stateOf(freezer: string): string {
  return readFileSync(join(freezer, 'freezer.state'), 'utf8').trim();
}
