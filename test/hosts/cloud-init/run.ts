// SPDX-License-Identifier: Apache-2.0
// Runs one document twice, in equal overlays of the same system: with the real cloud-init, and with the steps that we make of it.
import { execFile } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { interpret } from '../../../backends/host/cloud-config/interpret.ts';
import { temporaryDirectory } from '../../../hack/stack/temporary-directory.ts';

/** A document, and what is on the system before. */
export interface Case {
  readonly name: string;
  readonly text: string;
  /** Content by path; programs (in a `bin` folder) are made executable. */
  readonly before?: Readonly<Record<string, string>>;
}

/** A file, a link or a folder that is not as it was. */
export interface Entry {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly mode: string;
  readonly owner: string;
  readonly content: string;
}

export interface Outcome {
  readonly files: ReadonlyMap<string, Entry>;
  readonly hostname: string;
  /** What was said, for a person who looks for a reason. */
  readonly log: string;
}

/** What both tell of themselves. */
export const METADATA = {
  instance_id: 'i-0123',
  local_hostname: 'machine-1',
  hostname: 'machine-1',
  provider_id: 'tshost://default/host-1/0a1b2c3d',
};

/** The last line is the name of the host at the end. $1 is the root, $2 the folder of this run, $3 a script in the system. */
const INSIDE = `set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
mount -t proc proc "$2/merged/proc"
mount -t tmpfs tmpfs "$2/merged/dev"
for one in null zero full random urandom tty; do : >"$2/merged/dev/$one"; mount --bind "/dev/$one" "$2/merged/dev/$one"; done
mkdir "$2/merged/dev/shm"
hostname machine-1
set +e
timeout 120 chroot "$2/merged" /bin/sh "$3" </dev/null
echo
hostname`;

/** The commands that its units run, each in a process of its own; loading Python's modules once is what saves time. */
const REAL = `exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 python3 -c '
import os, sys
from cloudinit.cmd import main
for command in (["init", "--local"], ["init"], ["modules", "--mode=config"], ["modules", "--mode=final"]):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        sys.argv = ["cloud-init", *command]
        try:
            main.main(sys.argv)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    os.waitpid(child, 0)
'
`;

/** With the real cloud-init. */
export function runReal(root: string, one: Case): Promise<Outcome> {
  const seed = 'var/lib/cloud/seed/nocloud';
  const metadata = `instance-id: ${METADATA.instance_id}\nlocal-hostname: ${METADATA.local_hostname}\nprovider_id: ${METADATA.provider_id}\n`;
  return runIn(root, one, {
    'compared/run': REAL,
    [`${seed}/user-data`]: one.text,
    [`${seed}/meta-data`]: metadata,
  });
}

/** With our steps, as the runner of a job starts them. */
export function runOurs(root: string, one: Case): Promise<Outcome> {
  const { steps } = interpret(one.text, METADATA);
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const lines = steps.map(
    ({ id }) =>
      `echo "== ${id}"; setsid -w env -i PATH=${path} /bin/sh /compared/${id}; echo "exit code $?"\n`,
  );
  return runIn(root, one, {
    ...Object.fromEntries(steps.map(({ id, script }) => [`compared/${id}`, script])),
    'compared/run': `umask 022\ncd /\nexec 2>&1\n${lines.join('')}`,
  });
}

async function runIn(root: string, one: Case, files: Readonly<Record<string, string>>): Promise<Outcome> {
  const work = temporaryDirectory('compared');
  try {
    for (const folder of ['upper', 'work', 'merged']) mkdirSync(join(work.path, folder));
    const upper = join(work.path, 'upper');
    const before = { 'etc/hostname': 'machine-1\n', ...one.before };
    for (const [path, content] of Object.entries({ ...before, ...files })) put(upper, path, content);
    const given = entriesIn(upper);
    const log = await isolated([root, work.path, '/compared/run']);
    const changed = [...entriesIn(upper)].filter(
      ([path, entry]) => !isSame(entry, given.get(path)) && !isSame(entry, entryOf(join(root, path))),
    );
    return { files: new Map(changed), hostname: log.trimEnd().split('\n').at(-1) ?? '', log };
  } finally {
    work.remove();
  }
}

function isSame(one: Entry, other: Entry | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function put(folder: string, path: string, content: string): void {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content, { mode: /\/(?:s?bin|systemd-timesyncd$)/.test(path) ? 0o755 : 0o644 });
}

/** Mounts and processes end with the namespaces. */
function isolated(args: readonly string[]): Promise<string> {
  const namespaces = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--net',
    '--uts',
    '--ipc',
    '--propagation',
    'private',
  ];
  return new Promise((resolve) => {
    execFile(
      '/usr/bin/unshare',
      [...namespaces, '/bin/sh', '-c', INSIDE, 'sh', ...args],
      { maxBuffer: 16 << 20, timeout: 180_000 },
      (_error, stdout, stderr) => resolve(`${stderr}\n${stdout}`),
    );
  });
}

function entriesIn(folder: string): Map<string, Entry> {
  const found = new Map<string, Entry>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const entry = entryOf(join(folder, name));
    if (entry !== undefined) found.set(`/${name}`, entry);
  }
  return found;
}

function entryOf(path: string): Entry | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const rest = { mode: (stat.mode & 0o7777).toString(8).padStart(4, '0'), owner: `${stat.uid}:${stat.gid}` };
  if (stat.isDirectory()) return { kind: 'folder', ...rest, content: '' };
  if (stat.isSymbolicLink()) return { kind: 'link', ...rest, content: readlinkSync(path) };
  if (!stat.isFile()) return { kind: 'other', ...rest, content: '' };
  return { kind: 'file', ...rest, content: readFileSync(path, 'latin1') };
}
