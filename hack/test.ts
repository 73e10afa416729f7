// SPDX-License-Identifier: Apache-2.0
// `npm test`: every check under a heading of its own, all of them even when one fails, and at the end one line that counts.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { COUNT_FILE, type Count } from './count-reporter.ts';
import { temporaryDirectory } from './stack/temporary-directory.ts';

/** A check counts as one test; vitest counts its own. */
interface Section {
  readonly title: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly counts: 'one' | 'tests';
}

const ROOT = join(import.meta.dirname, '..');

const SECTIONS: readonly Section[] = [
  { title: 'lint', command: ['eslint', '.'], counts: 'one' },
  { title: 'format', command: ['prettier', '--check', '--log-level=warn', '.'], counts: 'one' },
  { title: 'types', command: ['tsc', '--noEmit'], counts: 'one' },
  { title: 'generated files', command: ['node', 'hack/generate.ts', '--check'], counts: 'one' },
  { title: 'unit tests', command: vitest('unit'), counts: 'tests' },
  { title: 'test stack', command: ['node', 'hack/stack/build.ts'], counts: 'one' },
  { title: 'stories on a real API server', command: vitest('envtest'), counts: 'tests' },
  // Its exit code says nothing of speed: writes while idle, instances too many or too few, writes per machine.
  { title: 'bench, the short run', command: ['node', 'bench/main.ts', '--short'], counts: 'one' },
  // Nor does this one's: requests, second tokens, second writes.
  {
    title: 'bench-bootstrap, the short run',
    command: ['node', 'bench/bootstrap/main.ts', '--sizes=100', '--clusters=5', '--candidates=ours'],
    counts: 'one',
  },
  // Writes while idle, jobs begun twice, hosts with two owners.
  { title: 'bench-hosts, the short run', command: ['node', 'bench/hosts/main.ts', '--short'], counts: 'one' },
];

function vitest(project: string): [string, ...string[]] {
  return ['vitest', 'run', '--project', project, '--reporter=default', '--reporter=./hack/count-reporter.ts'];
}

/** Ends with the exit code. */
async function main(): Promise<number> {
  const results: Count[] = [];
  for (const section of SECTIONS) {
    process.stdout.write(`\n=== ${section.title}\n`);
    results.push(await run(section));
  }
  const sum = (of: (count: Count) => number) => results.reduce((total, count) => total + of(count), 0);
  const skipped = results.flatMap((count) => count.skipped);
  const failed = sum((count) => count.failed);
  process.stdout.write('\n');
  // Whoever has only the end of this can tell what it was.
  for (const line of results.flatMap((count) => count.failures)) process.stdout.write(`failed: ${line}\n`);
  for (const line of skipped) process.stdout.write(`skipped: ${line}\n`);
  const tail = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  process.stdout.write(`${sum((count) => count.passed)} passed, ${failed} failed${tail}\n`);
  return failed === 0 ? 0 : 1;
}

async function run({ title, command, counts }: Section): Promise<Count> {
  const folder = temporaryDirectory('count');
  const file = join(folder.path, 'count.json');
  try {
    const ok = await succeeds(command, { [COUNT_FILE]: file });
    const failed: Count = { passed: 0, failed: 1, failures: [title], skipped: [] };
    if (counts === 'one') return ok ? { passed: 1, failed: 0, failures: [], skipped: [] } : failed;
    const count = readCount(file) ?? failed;
    // vitest may fail for a reason that is no test's, such as finding no tests.
    return ok || count.failed > 0 ? count : { ...failed, passed: count.passed, skipped: count.skipped };
  } finally {
    folder.remove();
  }
}

function readCount(file: string): Count | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Count;
  } catch {
    return undefined; // It ended before it could count.
  }
}

/** Programs come from node_modules/.bin, and `node` among them: also when somebody runs this file without npm. */
function succeeds([program, ...args]: Section['command'], env: Record<string, string>): Promise<boolean> {
  const path = [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, ...env, PATH: path },
    });
    const end = () => void child.kill();
    process.once('exit', end);
    child.once('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      resolve(false);
    });
    child.once('exit', (code) => {
      process.removeListener('exit', end);
      resolve(code === 0);
    });
  });
}

// Whoever stops this stops the section that runs: a signal alone would leave it behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

process.exitCode = await main();
