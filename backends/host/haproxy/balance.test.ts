// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { contextOf } from '../inventory.fixtures.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { balance } from './balance.ts';

const ctx = contextOf(new FakeClock());
const config = {
  port: 6443,
  members: [{ name: 'cp-0', address: '10.0.0.1', port: 6443 }],
  owner: { token: '0123abcd', generation: 4 },
};

/** What a script is there for, by what only it does. */
function purposeOf(script: string): string {
  if (script.includes('haproxy -c')) return 'apply';
  if (script.includes('end of answer')) return 'progress';
  if (script.includes("echo 'ts-provider: absent'")) return 'look';
  return script.includes('base64 -d') ? 'upload' : 'wait';
}

/** A host that gives these answers in turn; `purposes` is what it was asked. */
function scripted(answers: readonly string[]) {
  const purposes: string[] = [];
  const scripts: string[] = [];
  const left = [...answers];
  const remote: RemoteHost = {
    seenKeys: {},
    run: async (_ctx, script) => {
      purposes.push(purposeOf(script));
      scripts.push(script);
      if (purposes.at(-1) === 'wait') return { exitCode: 0, stdout: '', stderr: '' };
      const stdout = left.shift() ?? '';
      return { exitCode: 0, stdout: `${stdout}\n`, stderr: '' };
    },
  };
  return { remote, purposes, scripts };
}

const job = (...journal: string[]) =>
  [
    'lock free',
    'plan 001 install install yes stop h',
    ...journal.map((line) => `journal ${line}`),
    'end of answer',
  ].join('\n');
const SUCCEEDED = job('begin', 'done succeeded');
const FAILED = job('begin', 'done failed StepFailed install 100');
const RUNNING = job('begin').replace('free', 'held');

describe('balance', () => {
  it('is one short run where HAProxy is there, and answers the same hash for the same members', async () => {
    const t = scripted(['ts-provider: applied', 'ts-provider: applied', 'ts-provider: applied']);
    const first = await balance(ctx, t.remote, config);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await balance(ctx, t.remote, config)).toBe(first);
    expect(await balance(ctx, t.remote, { ...config, members: [] })).not.toBe(first);
    expect(t.purposes).toEqual(['apply', 'apply', 'apply']);
  });

  it('installs it in a job, waits a moment, and applies', async () => {
    const absent = ['ts-provider: absent', 'ts-provider: started'];
    const t = scripted(['ts-provider: missing 0', ...absent, SUCCEEDED, 'ts-provider: applied']);
    await balance(ctx, t.remote, config);
    expect(t.purposes).toEqual(['apply', 'look', 'upload', 'wait', 'progress', 'apply']);
    expect(t.scripts[2]).toContain('jobs/haproxy-4-1');
  });

  it('lets go of the caller while the installation takes longer, and goes on with it', async () => {
    const absent = ['ts-provider: absent', 'ts-provider: started'];
    const first = scripted(['ts-provider: missing 0', ...absent, RUNNING]);
    await expect(balance(ctx, first.remote, config)).rejects.toMatchObject({
      name: 'TransientError',
      retryAfterMs: 2000,
    });
    const next = ['ts-provider: missing 1', RUNNING, 'ts-provider: busy', SUCCEEDED, 'ts-provider: applied'];
    const second = scripted(next);
    await balance(ctx, second.remote, config);
    expect(second.purposes).toEqual(['apply', 'progress', 'look', 'wait', 'progress', 'apply']);
    expect(second.scripts[2]).toContain('jobs/haproxy-4-1');
  });

  it('says why it cannot be installed, and tries anew the next time', async () => {
    const t = scripted(['ts-provider: missing 1', RUNNING, 'ts-provider: busy', `${FAILED}`]);
    const message = expect.stringContaining('by hand') as string;
    await expect(balance(ctx, t.remote, config)).rejects.toMatchObject({
      reason: 'LoadBalancerFailed',
      message,
    });
    const absent = ['ts-provider: absent', 'ts-provider: started'];
    const again = scripted(['ts-provider: missing 1', FAILED, ...absent, SUCCEEDED, 'ts-provider: applied']);
    await balance(ctx, again.remote, config);
    expect(again.scripts[3]).toContain('jobs/haproxy-4-2');
  });

  it.each([
    { answer: 'foreign 89abcdef 3', reason: 'HostClaimedElsewhere', message: '89abcdef 3' },
    { answer: 'refused [ALERT] unknown keyword', reason: 'LoadBalancerInvalid', message: 'unknown keyword' },
    { answer: 'failed HAProxy does not listen', reason: 'LoadBalancerFailed', message: 'does not listen' },
  ])('$reason', async ({ answer, reason, message }) => {
    const call = balance(ctx, scripted([`ts-provider: ${answer}`]).remote, config);
    await expect(call).rejects.toMatchObject({ reason, message: expect.stringContaining(message) as string });
  });

  it('tries again when the host says nothing', async () => {
    await expect(balance(ctx, scripted(['']).remote, config)).rejects.toMatchObject({
      name: 'TransientError',
    });
  });

  it('asks no host for what cannot be written', async () => {
    const t = scripted([]);
    const members = [{ name: 'cp-0', address: 'not an address', port: 6443 }];
    await expect(balance(ctx, t.remote, { ...config, members })).rejects.toMatchObject({
      reason: 'LoadBalancerInvalid',
    });
    expect(t.purposes).toEqual([]);
  });
});
