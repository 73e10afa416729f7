// SPDX-License-Identifier: Apache-2.0
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobProgress } from '../../host-driver.ts';
import type { Job, Step } from './job.ts';
import { localHost, processesWith, quietContext, SHELLS } from './local-host.fixtures.ts';
import { jobProgress } from './progress.ts';
import { runnerScript } from './runner.ts';
import { startJob } from './start-job.ts';

const ctx = quietContext();
let work = '';
let state = '';

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'job-'));
  state = join(work, 'state');
});

afterEach(async () => {
  for (const pid of await processesWith(work)) tryKill(pid);
  rmSync(work, { recursive: true, force: true });
});

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function step(id: string, script: string, rest: Partial<Step> = {}): Step {
  return { id, stage: id, script, repeatable: false, onFailure: 'continue', ...rest };
}

function job(steps: readonly Step[], rest: Partial<Job> = {}): Job {
  return {
    id: 'bootstrap-1',
    owner: { token: '0a1b2c3d', generation: 1 },
    steps,
    timeoutSeconds: 60,
    secrets: [],
    ...rest,
  };
}

const NAMED = SHELLS.map((shell) => [shell.join(' '), shell] as const);

/** Appends a word to a file, so that a test sees what ran and how often. */
const say = (word: string): string => `echo ${word} >>${work}/ran\n`;
const ran = (): string[] =>
  existsSync(`${work}/ran`) ? readFileSync(`${work}/ran`, 'utf8').trim().split('\n') : [];
const journal = (): string => readFileSync(`${state}/jobs/bootstrap-1/journal`, 'utf8');

async function settled(shell?: readonly string[]): Promise<JobProgress> {
  let seen: JobProgress = { state: 'none' };
  await expect
    .poll(async () => (seen = await jobProgress(ctx, localHost(shell), 'bootstrap-1', state)).state, {
      timeout: 15_000,
    })
    .not.toBe('running');
  return seen;
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 10_000 }).toBe(true);
}

/** Kills the runner, and nothing that it started. */
async function killRunner(): Promise<void> {
  for (const pid of await processesWith(`${state}/jobs/bootstrap-1/run`)) tryKill(pid);
}

it('is refused by a host that names another owner than the one it is for, and taken by one that names none', async () => {
  const remote = localHost();
  const clean = (token: string): Job => ({
    ...{ id: 'clean-1-1', steps: [step('a', say('a'))], timeoutSeconds: 60, secrets: [] },
    onlyOf: { token, generation: 1 },
  });
  await startJob(ctx, remote, job([step('b', say('b'))]), state);
  await settled();
  await expect(startJob(ctx, remote, clean('ffffffff'), state)).rejects.toMatchObject({
    reason: 'HostClaimedElsewhere',
  });
  await startJob(ctx, remote, clean('0a1b2c3d'), state);
  await until(() => ran().length === 2);
  await startJob(ctx, remote, clean('ffffffff'), join(work, 'other'));
  await until(() => ran().length === 3);
  expect(existsSync(join(work, 'other', 'owner'))).toBe(false);
});

describe.each(SHELLS.map((shell) => ({ shell, name: shell.join(' ') })))(
  'a job under $name',
  { timeout: 20_000 },
  ({ shell }) => {
    it('begins nothing that it cannot write down: a disk may be full', async () => {
      const remote = localHost(shell);
      const folder = `${state}/jobs/bootstrap-1`;
      await startJob(ctx, remote, job([step('a', say('a'))], { timeoutSeconds: 1 }), state);
      await settled(shell);
      await expect.poll(() => processesWith(`${folder}/run`), { timeout: 10_000 }).toEqual([]);
      rmSync(`${work}/ran`);
      rmSync(`${folder}/journal`);
      writeFileSync(`${folder}/run`, runnerScript(folder, job([step('a', say('a'))])));
      mkdirSync(`${folder}/steps`);
      writeFileSync(`${folder}/steps/001`, say('a'));
      // Nobody can write to it, whoever runs the test.
      mkdirSync(`${folder}/journal`);
      const { exitCode } = await remote.run(ctx, `${shell.join(' ')} ${folder}/run\n`);
      expect(exitCode).toBe(1);
      expect(ran()).toEqual([]);
    });

    it('runs each step once, in order, and leaves nothing that holds a secret', async () => {
      const remote = localHost(shell);
      const one = job([step('a', say('a')), step('b', say('b'))], { secrets: ['very secret thing'] });
      await startJob(ctx, remote, one, state);
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
      await startJob(ctx, remote, one, state);
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
      expect(ran()).toEqual(['a', 'b']);
      for (const name of ['steps', 'secrets', 'log'])
        expect(existsSync(`${state}/jobs/bootstrap-1/${name}`)).toBe(false);
      expect(statSync(state).mode & 0o777).toBe(0o700);
      expect(readFileSync(`${state}/owner`, 'utf8')).toBe('0a1b2c3d 1\n');
    });

    it('goes on behind a step that failed, unless that step says stop', async () => {
      await startJob(ctx, localHost(shell), job([step('a', 'exit 7'), step('b', say('b'))]), state);
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
      expect(ran()).toEqual(['b']);
    });

    it('stops at a step that says stop, with exit code and the redacted line that speaks of an error', async () => {
      const text = "echo the error was hunter22 indeed; echo ' '; echo bye; exit 7";
      const steps = [
        step('a', 'echo a different error'),
        step('b', text, { onFailure: 'stop' }),
        step('c', say('c')),
      ];
      await startJob(ctx, localHost(shell), job(steps, { secrets: ['hunter22'] }), state);
      expect(await settled(shell)).toEqual({
        state: 'failed',
        stage: 'b',
        exitCode: 7,
        message: 'the error was *** indeed',
      });
      expect(ran()).toEqual([]);
      expect(readFileSync(`${state}/jobs/bootstrap-1/log`, 'utf8')).toContain('hunter22');
    });

    it('succeeds by its file and by nothing else', async () => {
      const successFile = `${work}/success`;
      writeFileSync(successFile, 'of an earlier life');
      const steps = [step('a', 'echo kubeadm: no; exit 3'), step('b', 'echo bye')];
      await startJob(ctx, localHost(shell), job(steps, { successFile }), state);
      expect(await settled(shell)).toMatchObject({
        state: 'failed',
        stage: 'a',
        exitCode: 3,
        message: 'kubeadm: no',
      });
      expect(journal()).toContain('done failed SuccessFileMissing a 3');
    });

    it('succeeds although steps fail once the file was there, even if it has gone since', async () => {
      const successFile = `${work}/success`;
      const steps = [step('a', `: >${successFile}; exit 3`), step('b', `rm ${successFile}`)];
      await startJob(ctx, localHost(shell), job(steps, { successFile }), state);
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
    });

    it('ends what takes too long, with everything that it started', async () => {
      const script = `${say('a')}sleep 1234 & sleep 1234; ${say('never')}`;
      await startJob(
        ctx,
        localHost(shell),
        job([step('a', script), step('b', say('b'))], { timeoutSeconds: 1 }),
        state,
      );
      expect(await settled(shell)).toMatchObject({
        state: 'failed',
        stage: 'a',
        message: expect.stringMatching(/^TimedOut/) as string,
      });
      expect(ran()).toEqual(['a']);
    });

    it('begins a step with nothing in its environment but PATH, in /, without input, with umask 022', async () => {
      await startJob(
        ctx,
        localHost(shell),
        job([step('a', `{ env; pwd; umask; cat; } >${work}/seen`)]),
        state,
      );
      await settled(shell);
      const lines = readFileSync(`${work}/seen`, 'utf8').split('\n');
      expect(lines.filter((line) => !/^(_|PWD|SHLVL|OLDPWD)=/.test(line))).toEqual([
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        '/',
        '0022',
        '',
      ]);
    });

    it('two starts at the same instant run it once', async () => {
      const one = job([step('a', `${say('a')}sleep 0.2`), step('b', say('b'))]);
      await Promise.all([1, 2, 3, 4].map(() => startJob(ctx, localHost(shell), one, state)));
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
      expect(ran()).toEqual(['a', 'b']);
    });

    it('a runner that was killed in a step: nothing starts while the step goes on, then the next step does', async () => {
      const { one } = await killedRunner(shell);
      await startJob(ctx, localHost(shell), one, state);
      expect(await jobProgress(ctx, localHost(shell), 'bootstrap-1', state)).toEqual({
        state: 'running',
        stage: 'a',
        message: 'step 1 of 2',
      });
      writeFileSync(`${work}/go`, '');
      await restarted(one, shell);
      expect(await settled(shell)).toEqual({ state: 'succeeded' });
      expect(ran()).toEqual(['begun', 'ended', 'b']);
    });

    it('a runner that was killed together with its step: Interrupted', async () => {
      const { one } = await killedRunner(shell);
      for (const pid of await processesWith(`${state}/jobs/bootstrap-1/steps`)) tryKill(pid);
      await restarted(one, shell);
      expect(await settled(shell)).toMatchObject({
        stage: 'a',
        message: expect.stringMatching(/^Interrupted/) as string,
      });
      expect(ran()).toEqual(['begun']);
    });
  },
);

async function killedRunner(shell: readonly string[]): Promise<{ one: Job }> {
  const script = `${say('begun')}while ! [ -e ${work}/go ]; do sleep 0.05; done; ${say('ended')}`;
  const one = job([step('a', script), step('b', say('b'))]);
  await startJob(ctx, localHost(shell), one, state);
  await until(() => ran().length === 1);
  await killRunner();
  return { one };
}

/** Calls again and again, as a controller does. */
async function restarted(one: Job, shell: readonly string[]): Promise<void> {
  const look = async (): Promise<string> => {
    await startJob(ctx, localHost(shell), one, state);
    return (await jobProgress(ctx, localHost(shell), 'bootstrap-1', state)).state;
  };
  await expect.poll(look, { timeout: 15_000 }).not.toBe('running');
}

describe('a job whose runner is gone', { timeout: 20_000 }, () => {
  /** Leaves the host as a crash would: with the first lines of the journal. */
  async function crashedAfter(one: Job, lines: number, rest = ''): Promise<void> {
    await startJob(ctx, localHost(), { ...one, steps: one.steps.map((s) => s) }, state);
    await settled();
    await expect.poll(() => processesWith(`${state}/jobs/bootstrap-1/run`), { timeout: 10_000 }).toEqual([]);
    const file = `${state}/jobs/bootstrap-1/journal`;
    const kept = readFileSync(file, 'utf8').split('\n').slice(0, lines);
    writeFileSync(file, kept.map((line) => `${line}\n`).join('') + rest);
    for (const code of ['001', '002', '003']) rmSync(`${state}/jobs/bootstrap-1/rc.${code}`, { force: true });
    rmSync(`${work}/ran`, { force: true });
  }

  const one = (repeatable: boolean): Job =>
    // The last step fails, so that the scripts of the others stay on the host.
    job([
      step('a', say('a'), { repeatable }),
      step('b', say('b'), { repeatable }),
      step('c', `${say('c')}exit 1`, { repeatable, onFailure: 'stop' }),
    ]);

  // Lines: begin, start a, end a, start b, end b, start c, end c, done.
  it.each([
    { lines: 0, expected: ['a', 'b', 'c'] },
    { lines: 1, expected: ['a', 'b', 'c'] },
    { lines: 2, expected: ['a', 'b', 'c'] },
    { lines: 3, expected: ['b', 'c'] },
    { lines: 4, expected: ['b', 'c'] },
    { lines: 5, expected: ['c'] },
    { lines: 6, expected: ['c'] },
    { lines: 7, expected: [] },
    { lines: 8, expected: [] },
  ])(
    'goes on behind line $lines of the journal with $expected where steps may run again',
    async ({ lines, expected }) => {
      await crashedAfter(one(true), lines);
      await startJob(ctx, localHost(), one(true), state);
      expect(await settled()).toMatchObject({ state: 'failed', stage: 'c', exitCode: 1 });
      expect(ran()).toEqual(expected);
    },
  );

  it.each([
    { lines: 1, expected: ['a', 'b', 'c'], stage: 'c' },
    { lines: 2, expected: [], stage: 'a' },
    { lines: 3, expected: ['b', 'c'], stage: 'c' },
    { lines: 4, expected: [], stage: 'b' },
    { lines: 6, expected: [], stage: 'c' },
  ])('behind line $lines, where steps must not run again', async ({ lines, expected, stage }) => {
    await crashedAfter(one(false), lines);
    expect(await jobProgress(ctx, localHost(), 'bootstrap-1', state)).toMatchObject({ state: 'running' });
    await startJob(ctx, localHost(), one(false), state);
    expect(await settled()).toMatchObject({ state: 'failed', stage });
    expect(ran()).toEqual(expected);
  });

  it('passes over a line that was not written to its end', async () => {
    await crashedAfter(one(true), 3, 'star');
    await startJob(ctx, localHost(), one(true), state);
    expect(await settled()).toMatchObject({ state: 'failed', stage: 'c' });
    expect(ran()).toEqual(['b', 'c']);
  });

  it('refuses a step that is not the one that was brought', async () => {
    await crashedAfter(one(true), 3);
    writeFileSync(`${state}/jobs/bootstrap-1/steps/002`, say('other'));
    await startJob(ctx, localHost(), one(true), state);
    expect(await settled()).toMatchObject({
      state: 'failed',
      stage: 'b',
      message: expect.stringMatching(/^ContentChanged/) as string,
    });
    expect(ran()).toEqual([]);
  });

  it('refuses a plan that is not the one of the journal', async () => {
    await crashedAfter(one(true), 5);
    const plan = readFileSync(`${state}/jobs/bootstrap-1/plan`, 'utf8');
    writeFileSync(`${state}/jobs/bootstrap-1/plan`, plan.replace(/[0-9a-f]{64}/, 'f'.repeat(64)));
    await startJob(ctx, localHost(), one(true), state);
    expect(await settled()).toMatchObject({
      state: 'failed',
      stage: 'a',
      message: expect.stringMatching(/^ContentChanged/) as string,
    });
  });

  it('keeps the success that the file told before the reboot took it away', async () => {
    const successFile = `${work}/success`;
    const steps = [
      step('a', `: >${successFile}`),
      step('b', 'exit 0'),
      step('c', 'exit 1', { onFailure: 'stop' }),
    ];
    await crashedAfter(job(steps, { successFile }), 4);
    rmSync(successFile);
    writeFileSync(
      `${state}/jobs/bootstrap-1/plan`,
      readFileSync(`${state}/jobs/bootstrap-1/plan`, 'utf8').split('\n').slice(0, 2).join('\n') + '\n',
    );
    await startJob(ctx, localHost(), job(steps, { successFile }), state);
    expect(await settled()).toEqual({ state: 'succeeded' });
  });
});

describe('whose host it is', () => {
  it('refuses a job of another owner before it brings anything', async () => {
    await startJob(ctx, localHost(), job([step('a', say('a'))]), state);
    await settled();
    const other = job([step('b', say('b'))], {
      id: 'bootstrap-2',
      owner: { token: 'ffffffff', generation: 2 },
    });
    await expect(startJob(ctx, localHost(), other, state)).rejects.toMatchObject({
      name: 'TerminalError',
      reason: 'HostClaimedElsewhere',
      message: expect.stringContaining(
        'names claim 0a1b2c3d (generation 1), not claim ffffffff (generation 2)',
      ) as string,
    });
    expect(existsSync(`${state}/jobs/bootstrap-2`)).toBe(false);
  });

  it('lets one of two owners in who come at the same instant', async () => {
    const claims = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'].map((token, index) =>
      startJob(
        ctx,
        localHost(),
        job([step('a', say(token))], { id: `bootstrap-${index}`, owner: { token, generation: 1 } }),
        state,
      ).then(
        () => token,
        () => undefined,
      ),
    );
    const winners = (await Promise.all(claims)).filter((token) => token !== undefined);
    expect(winners).toHaveLength(1);
    await until(() => ran().length > 0);
    expect(ran()).toEqual(winners);
    expect(readFileSync(`${state}/owner`, 'utf8')).toBe(`${winners[0]} 1\n`);
  });

  it('lets a job without an owner work on any host', async () => {
    await startJob(ctx, localHost(), job([step('a', say('a'))]), state);
    await settled();
    await startJob(
      ctx,
      localHost(),
      { id: 'clean-1-1', steps: [step('c', say('c'))], timeoutSeconds: 9, secrets: [] },
      state,
    );
    await until(() => ran().length === 2);
    expect(ran()).toEqual(['a', 'c']);
  });
});

describe('what comes back', () => {
  it.each(NAMED)(
    'ends a step that takes longer than it may, and tells it of this step, under %s',
    async (_name, shell) => {
      const remote = localHost(shell);
      const steps = [
        step('a', say('a'), { timeoutSeconds: 30, onFailure: 'stop' }),
        step('b', `sleep 1000\n${say('b')}`, { timeoutSeconds: 1, onFailure: 'stop' }),
        step('c', say('c')),
      ];
      await startJob(ctx, remote, job(steps), state);
      const message = 'TimedOut: its time was over';
      expect(await settled(shell)).toMatchObject({ state: 'failed', stage: 'b', message });
      expect(ran()).toEqual(['a']);
    },
  );

  it.each(NAMED)(
    'works alone where it says so, and the host forgets the tries before, under %s',
    async (_name, shell) => {
      const remote = localHost(shell);
      const attempt = (id: string, script: string): Job => job([step('a', script)], { id, alone: true });
      const folders = (): string[] => readdirSync(`${state}/jobs`).sort();
      const noted = (id: string) => readFileSync(`${state}/jobs/${id}/journal`, 'utf8');
      await startJob(ctx, remote, job([step('a', say('a'))]), state);
      await settled(shell);
      await startJob(ctx, remote, attempt('prepare-1-1', `${say('one')}exit 70\n`), state);
      await until(
        () => existsSync(`${state}/jobs/prepare-1-1/journal`) && noted('prepare-1-1').includes('done'),
      );
      const longer = attempt('prepare-1-2', 'sleep 1000\n');
      await startJob(ctx, remote, longer, state);
      expect(folders()).toEqual(['bootstrap-1', 'prepare-1-2']);
      await until(
        () => existsSync(`${state}/jobs/prepare-1-2/journal`) && noted('prepare-1-2').includes('start a'),
      );
      for (const id of ['prepare-1-3', 'repair-1-1'])
        await expect(startJob(ctx, remote, attempt(id, say('other')), state)).rejects.toThrow(
          'the job prepare-1-2 still works on the host',
        );
      await startJob(ctx, remote, longer, state);
      expect(folders()).toEqual(['bootstrap-1', 'prepare-1-2']);
      expect(ran()).toEqual(['a', 'one']);
    },
  );

  it('says none of a job that the host does not have', async () => {
    expect(await jobProgress(ctx, localHost(), 'bootstrap-1', state)).toEqual({ state: 'none' });
  });

  it('runs nothing of a script that was cut off on its way', async () => {
    const remote = localHost();
    await startJob(ctx, remote, job([step('a', say('a'))]), state);
    await settled();
    rmSync(state, { recursive: true });
    rmSync(`${work}/ran`);
    const upload = remote.scripts[1] ?? '';
    for (const part of [0.2, 0.5, 0.9, 0.995]) {
      const cut = upload.slice(0, Math.floor(upload.length * part));
      await localHost().run(ctx, cut);
      expect(existsSync(state)).toBe(false);
    }
  });

  it('throws TransientError, without anything of the job, when the host cannot keep it', async () => {
    writeFileSync(state, 'a file where a folder should be');
    const one = job([step('a', 'echo hunter22')], { secrets: ['hunter22'] });
    await expect(startJob(ctx, localHost(), one, state)).rejects.toMatchObject({
      name: 'TransientError',
      message: expect.not.stringContaining('hunter22') as string,
    });
  });

  it.each([{ id: '../x' }, { id: 'a b' }, { id: '' }, { id: 'A' }])(
    'takes no job called $id',
    async ({ id }) => {
      await expect(startJob(ctx, localHost(), job([], { id }), state)).rejects.toThrow('DNS label');
    },
  );
});
