// SPDX-License-Identifier: Apache-2.0
// What is on a machine's disk, and what of it was not there before.
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

interface Entry {
  /** Type, permissions, owner, and where a link leads. */
  readonly what: string;
  /** Size and date of a file: when they are the same, so is the content. */
  readonly stamp: string;
}

/** Paths as the machine names them. */
export type FileList = ReadonlyMap<string, Entry>;

export interface Tree {
  /** Where the machine has it: `/var/lib/kubelet`; `/` for the disk. */
  readonly path: string;
  /** Where it is for us. */
  readonly dir: string;
  /** Whether what was there must stay as it was; else only new files are told. */
  readonly kept: boolean;
}

/** Everything below a tree but what `skip` says, given the machine's paths. */
export function listFiles(tree: Tree, skip: (path: string) => boolean): FileList {
  const found = new Map<string, Entry>();
  const walk = (dir: string, path: string) => {
    for (const { name } of entriesOf(dir)) {
      const child = join(path, name);
      if (skip(child)) continue;
      const file = join(dir, name);
      const stats = statsOf(file);
      if (stats === undefined) continue;
      found.set(child, entryOf(file, stats));
      if (stats.isDirectory()) walk(file, child);
    }
  };
  walk(tree.dir, tree.path);
  return found;
}

/** Told of each path that is new, changed or missing. `sameContent` is asked for files whose date alone may have changed. */
export function compareFiles(
  before: FileList,
  after: FileList,
  options: { kept: boolean; sameContent: (path: string) => boolean },
): string[] {
  const told: string[] = [];
  for (const [path, entry] of after) {
    const old = before.get(path);
    if (old === undefined) told.push(`file ${path}`);
    else if (options.kept && isChanged(path, old, entry, options.sameContent))
      told.push(`changed file ${path}`);
  }
  if (options.kept)
    told.push(...[...before.keys()].filter((path) => !after.has(path)).map((path) => `missing file ${path}`));
  return told.filter(isOutermost);
}

/** The hash of a file's content; of nothing when it is not there. */
export function contentHash(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return '';
  }
}

function isChanged(path: string, old: Entry, now: Entry, sameContent: (path: string) => boolean): boolean {
  if (old.what !== now.what) return true;
  return old.stamp !== now.stamp && !sameContent(path);
}

/** Parents come first: what is below something that is told need not be. */
function isOutermost(line: string, _index: number, all: readonly string[]): boolean {
  return !all.some((other) => line !== other && line.startsWith(`${other}/`));
}

function entryOf(file: string, stats: Stats): Entry {
  const link = stats.isSymbolicLink() ? ` -> ${readlinkSync(file)}` : '';
  return {
    what: `${stats.mode.toString(8)} ${stats.uid}:${stats.gid}${link}`,
    stamp: stats.isFile() ? `${stats.size} ${stats.mtimeMs}` : '',
  };
}

function entriesOf(dir: string): { name: string }[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch {
    return []; // Gone meanwhile.
  }
}

function statsOf(file: string): Stats | undefined {
  return lstatSync(file, { throwIfNoEntry: false });
}
