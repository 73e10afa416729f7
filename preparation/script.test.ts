// SPDX-License-Identifier: Apache-2.0
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planScript, stepScript } from './script.ts';
import { isFile, sha256, writeFile } from './shell.ts';
import type { PreparationStep } from './step.ts';

const HASH = '0123456789abcdef';
const SHELLS = [['dash'], ['bash', '--posix'], ['busybox', 'sh']].filter(
  ([shell]) => spawnSync('sh', ['-c', `command -v ${shell}`]).status === 0,
);

let work = '';

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'script-'));
});

afterEach(() => {
  rmSync(work, { recursive: true, force: true });
});

const step = (id: string, check: string, apply: string): PreparationStep => ({
  ...{ id, impact: 'restart', deadlineSeconds: 10 },
  ...{ check, apply },
});
const fileStep = (content: string): PreparationStep => {
  const file = { path: `${work}/etc/a.conf`, mode: 0o600, content };
  return step('a', isFile(file), writeFile(file));
};
/** Below the test's folder in place of /var/lib. */
const moved = (script: string): string => script.replaceAll('/var/lib/ts-provider', `${work}/state`);
const state = (name: string): string => readFileSync(`${work}/state/${name}`, 'utf8');

function run(script: string, shell: readonly string[] = ['sh']): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(shell[0]!, shell.slice(1), {
    input: moved(script),
    encoding: 'utf8',
  });
  return { code: status, said: (stdout + stderr).trim() };
}

describe.each(SHELLS.map((shell) => ({ shell, name: shell.join(' ') })))(
  'a step under $name',
  ({ shell }) => {
    it('is applied once, and says what it laid down and what it changed', () => {
      const script = stepScript(fileStep('one\n'), HASH);
      expect(run(script, shell)).toEqual({ code: 0, said: 'a: applied' });
      expect(readFileSync(`${work}/etc/a.conf`, 'utf8')).toBe('one\n');
      expect(statSync(`${work}/etc/a.conf`).mode & 0o777).toBe(0o600);
      expect(state('preparation/laid')).toBe(`restart a ${sha256('one\n')} ${work}/etc/a.conf\n`);
      expect(state('manifest')).toBe(`created-folder ${work}/etc\ncreated-file ${work}/etc/a.conf\n`);
      expect(state('preparation/incomplete')).toBe(`${HASH}\n`);
      const before = statSync(`${work}/state/preparation/laid`).mtimeMs;
      expect(run(script, shell)).toEqual({ code: 0, said: 'a: in place' });
      expect(statSync(`${work}/state/preparation/laid`).mtimeMs).toBe(before);
      expect(readdirSync(`${work}/state/preparation`).sort()).toEqual(['incomplete', 'laid']);
    });

    it('keeps what was there before the first change, and not what was between', () => {
      spawnSync('mkdir', [`${work}/etc`]);
      writeFileSync(`${work}/etc/a.conf`, 'of the host\n');
      run(stepScript(fileStep('one\n'), HASH), shell);
      run(stepScript(fileStep('two\n'), HASH), shell);
      expect(state(`before${work}/etc/a.conf`)).toBe('of the host\n');
      expect(state('manifest')).toBe(`file ${work}/etc/a.conf\n`);
      expect(state('preparation/laid')).toBe(`restart a ${sha256('two\n')} ${work}/etc/a.conf\n`);
    });

    it('leaves alone what a link leads to that is no file, such as that of a masked unit', () => {
      spawnSync('sh', ['-c', `mkdir -p ${work}/etc ${work}/null && ln -s ${work}/null ${work}/etc/a.conf`]);
      const mode = statSync(`${work}/null`).mode;
      expect(run(stepScript(fileStep('one\n'), HASH), shell).said).toContain('is no plain file');
      expect(statSync(`${work}/null`).mode).toBe(mode);
    });

    it.each([
      { apply: "failed DiskFull '/var: 1 MiB is free'", code: 74, said: 'error: /var: 1 MiB is free' },
      { apply: 'say x | { failed ImageUnavailable x; } || exit', code: 78, said: 'error: x' },
      { apply: 'exit 3', code: 70, said: 'error: b ended with exit code 3' },
      { apply: ':', code: 70, said: 'error: b was applied, and its check still fails' },
    ])('that does $apply ends with code $code', ({ apply, code, said }) => {
      expect(run(stepScript(step('b', 'false', apply), HASH), shell)).toEqual({ code, said });
    });

    it('that only looks begins nothing', () => {
      const looking = step('preflight', 'false', 'failed PreflightFailed no');
      expect(run(stepScript(looking, HASH), shell).code).toBe(71);
      expect(existsSync(`${work}/state`)).toBe(false);
    });
  },
);

it('a plan ends with the step that fails, and goes on from there', () => {
  const steps = [
    fileStep('one\n'),
    step('b', `[ -e ${work}/b ]`, `: >${work}/b; failed ImageUnavailable none`),
  ];
  const script = planScript({ steps: [...steps, step('c', `[ -e ${work}/c ]`, `: >${work}/c`)], hash: HASH });
  expect(run(script)).toEqual({ code: 78, said: 'a: applied\nerror: none' });
  expect(run(script)).toEqual({ code: 0, said: 'a: in place\nb: in place\nc: applied' });
});

it('a repair of a complete preparation leaves it complete; another preparation does not', () => {
  run(stepScript(fileStep('one\n'), HASH));
  rmSync(`${work}/state/preparation/incomplete`);
  writeFileSync(`${work}/state/preparation/complete`, `${HASH} v1.36.3\n`);
  writeFileSync(`${work}/etc/a.conf`, 'somebody else\n');
  expect(run(stepScript(fileStep('one\n'), HASH)).said).toBe('a: applied');
  expect(existsSync(`${work}/state/preparation/incomplete`)).toBe(false);
  run(stepScript(fileStep('two\n'), 'f'.repeat(16)));
  expect(existsSync(`${work}/state/preparation/complete`)).toBe(false);
  expect(state('preparation/incomplete')).toBe(`${'f'.repeat(16)}\n`);
});

it('a step that was killed anywhere is mended by the next run', { timeout: 30_000 }, async () => {
  const script = moved(stepScript(fileStep('one\n'.repeat(20_000)), HASH));
  for (let delayMs = 0; delayMs < 60; delayMs += 6) {
    const child = spawn('sh', [], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.stdin.on('error', () => {}).end(script);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // It has ended.
    }
    await ended;
    expect(run(stepScript(fileStep('one\n'.repeat(20_000)), HASH)).code).toBe(0);
    expect(readFileSync(`${work}/etc/a.conf`, 'utf8')).toBe('one\n'.repeat(20_000));
    expect(readdirSync(`${work}/etc`)).toEqual(['a.conf']);
    rmSync(`${work}/etc`, { recursive: true });
    rmSync(`${work}/state`, { recursive: true });
  }
});
