// SPDX-License-Identifier: Apache-2.0
// Real readers of bootstrap data, cloud-init and Ignition, as Debian packages them: fetched into the cache beside the stack, unpacked,
// never installed. Needs no root and leaves the system's own package lists alone.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheDir } from './build.ts';
import { withLock } from './lock.ts';
import { runProgram } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** What a reader says of one document. */
export interface Verdict {
  /** Empty when there is nothing to complain of. */
  readonly problems: readonly string[];
  /** What cloud-init has read: absent when it could not, and for Ignition. */
  readonly document?: unknown;
}

/** The readers. Each takes many documents at once: starting is what takes time. */
export interface DebianConsumers {
  /** Renders with Jinja, reads and checks against the schema, as `cloud-init schema` does. */
  cloudInitSchema(texts: readonly string[]): Promise<Verdict[]>;
  /** Ignition 3.0 or later. */
  ignitionValidate(texts: readonly string[]): Promise<Verdict[]>;
}

/** The Python that Debian builds its modules for; another one in PATH may be of another version. */
const PYTHON = '/usr/bin/python3';

const PACKAGES = ['cloud-init', 'ignition'];

/** What the machine tells cloud-init, for `{{ ds.meta_data.… }}` and `{{ v1.… }}`. */
const INSTANCE_DATA = {
  ds: { meta_data: { local_hostname: 'machine-1.example.org', instance_id: 'i-1', local_ipv4: '192.0.2.7' } },
  v1: { local_hostname: 'machine-1', instance_id: 'i-1', region: 'region-1', availability_zone: 'zone-a' },
};

/** The readers, or the reason why they cannot be had on this machine. `say` gets one line per thing that takes time. */
export async function debianConsumers(
  say: (line: string) => void = sayOnStderr,
): Promise<DebianConsumers | { readonly reason: string }> {
  const missing = ['/usr/bin/apt-get', '/usr/bin/dpkg-deb', PYTHON].filter((path) => !existsSync(path));
  if (missing.length > 0) return { reason: `not a Debian with Python: ${missing.join(', ')} not there` };
  const root = join(dirname(cacheDir()), `debian-${release()}-${arch()}`);
  try {
    await provide(root, say);
    return consumers(root);
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

function release(): string {
  const lines = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const [, id = 'unknown'] = /^ID="?([\w.-]+)/m.exec(lines) ?? [];
  const [, version = 'unknown'] = /^VERSION_ID="?([\w.-]+)/m.exec(lines) ?? [];
  return `${id}-${version}`;
}

/** `root` appears in one move, when everything in it works. */
async function provide(root: string, say: (line: string) => void): Promise<void> {
  if (existsSync(root)) return;
  mkdirSync(dirname(root), { recursive: true });
  const waiting = (pid: number) => say(`process ${pid} is fetching Debian packages: waiting for it`);
  await withLock(`${root}.lock`, () => fetchAndUnpack(root, say), waiting);
}

async function fetchAndUnpack(root: string, say: (line: string) => void): Promise<void> {
  if (existsSync(root)) return; // Whoever held the lock before us made it.
  say(`fetching the Debian packages ${PACKAGES.join(' and ')} with what they need`);
  const work = temporaryDirectory('debian');
  const partial = `${root}.${process.pid}`;
  try {
    const apt = await privateApt(work.path);
    const packages = await withDependencies(apt, PACKAGES);
    await runProgram('/usr/bin/apt-get', ['--quiet', 'download', ...apt, ...packages], { cwd: work.path });
    for (const name of readdirSync(work.path).filter((file) => file.endsWith('.deb')))
      await runProgram('/usr/bin/dpkg-deb', ['-x', join(work.path, name), partial]);
    await requireWorking(partial);
    renameSync(partial, root);
  } finally {
    rmSync(partial, { recursive: true, force: true });
    work.remove();
  }
}

/** Options with which apt works in a folder of its own, with the sources and keys of the system. */
async function privateApt(dir: string): Promise<string[]> {
  const folders = { 'Dir::State': 'state', 'Dir::State::lists': 'lists', 'Dir::Cache': 'cache' };
  const options = Object.entries(folders).flatMap(([key, name]) => ['-o', `${key}=${join(dir, name)}`]);
  for (const path of ['state/lists/partial', 'lists/partial', 'cache/archives/partial'])
    mkdirSync(join(dir, path), { recursive: true });
  // Root would drop to a user that may not write here.
  const apt = [...options, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'APT::Sandbox::User=root'];
  // Without this, lists that cannot be fetched are only worth a warning.
  const strict = ['-o', 'APT::Update::Error-Mode=any'];
  await runProgram('/usr/bin/apt-get', ['--quiet', 'update', ...apt, ...strict]);
  return apt;
}

/** Only Python modules are added: programs that cloud-init would run on a machine are not run here. */
async function withDependencies(apt: readonly string[], names: readonly string[]): Promise<string[]> {
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances', 'pre-depends'];
  const args = ['depends', ...apt, '--recurse', ...kinds.map((kind) => `--no-${kind}`), 'cloud-init'];
  const answer = await runProgram('/usr/bin/apt-cache', args);
  const modules = answer.split('\n').filter((line) => /^python3-\S+$/.test(line));
  return [...names, ...new Set(modules)];
}

/** Throws when the Python of this machine cannot load the modules, or Ignition cannot run. */
async function requireWorking(root: string): Promise<void> {
  const imports =
    'import cloudinit.config.schema, cloudinit.handlers.jinja_template, jinja2, jsonschema, yaml';
  await runProgram(PYTHON, ['-c', imports], { env: pythonEnvironment(root) });
  await runProgram(ignitionPath(root), ['-version']);
}

/** Writes no byte code: the cache stays as it was unpacked. */
function pythonEnvironment(root: string): Record<string, string> {
  return { PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'), PYTHONDONTWRITEBYTECODE: '1' };
}

function ignitionPath(root: string): string {
  return join(root, 'usr/bin/ignition-validate');
}

function consumers(root: string): DebianConsumers {
  return {
    async cloudInitSchema(texts) {
      const requests = texts.map((text) => JSON.stringify({ text, instanceData: INSTANCE_DATA }));
      const script = join(import.meta.dirname, 'cloud-init-check.py');
      const env = pythonEnvironment(root);
      const answer = await runProgram(PYTHON, [script], { env, input: `${requests.join('\n')}\n` });
      return answer
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Verdict);
    },
    async ignitionValidate(texts) {
      const work = temporaryDirectory('ignition');
      try {
        const verdicts: Verdict[] = [];
        for (const text of texts)
          verdicts.push(await ignitionVerdict(root, join(work.path, 'config.ign'), text));
        return verdicts;
      } finally {
        work.remove();
      }
    },
  };
}

/** Warnings count: they tell of keys that Ignition does not know. */
async function ignitionVerdict(root: string, file: string, text: string): Promise<Verdict> {
  writeFileSync(file, text);
  const shell = '"$0" "$1" 2>&1 || exit 0';
  const said = await runProgram('/bin/sh', ['-c', shell, ignitionPath(root), file]);
  return { problems: said.split('\n').filter((line) => line !== '') };
}

function sayOnStderr(line: string): void {
  process.stderr.write(`stack: ${line}\n`);
}
