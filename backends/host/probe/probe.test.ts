// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { localHost, quietContext, SHELLS } from '../job/local-host.fixtures.ts';
import type { RemoteHost, RunResult } from '../ssh/remote-host.ts';
import { probeHost } from './probe.ts';
import { PROBE_SCRIPT } from './script.ts';

const ctx = quietContext();

function answering(result: Partial<RunResult>): RemoteHost {
  return {
    run: async () => ({ exitCode: 0, stdout: '', stderr: '', ...result }),
    seenKeys: { host: 'ssh-ed25519 AAAA' },
  };
}

describe('a probe', () => {
  it.each([
    ['cut off', { stdout: 'hostname a\nprocess 5 kub' }],
    ['ended by a signal', { exitCode: undefined, stdout: 'hostname a\nend of probe\n' }],
    ['failed', { exitCode: 127, stdout: '' }],
    ['empty', { stdout: '' }],
  ])('that is %s proves nothing', async (_what, result) => {
    await expect(probeHost(ctx, answering(result))).rejects.toBeInstanceOf(TransientError);
  });

  it('is read quickly, however much a host has to say', async () => {
    const stdout = `${'file x\n'.repeat(140_000)}end of probe\n`;
    const began = performance.now();
    await probeHost(ctx, answering({ stdout }));
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('reports facts, occupants, owner, clock and the keys that were seen', async () => {
    const clock = new FakeClock(new Date(1000_000));
    const stdout = 'clock 1100\nhostname a\nowner 0a1b2c3d 2\nfile /var/lib/ts-provider\nend of probe\n';
    expect(await probeHost({ ...ctx, clock }, answering({ stdout }))).toMatchObject({
      facts: { hostname: 'a', clockSkewSeconds: 100 },
      occupants: [{ kind: 'file', what: '/var/lib/ts-provider', running: false }],
      owner: { token: '0a1b2c3d', generation: 2 },
      seenKeys: { host: 'ssh-ed25519 AAAA' },
    });
  });

  it.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('runs under %s', async (_name, shell) => {
    const { facts } = await probeHost(ctx, localHost(shell));
    expect(facts.hostname).toBe(execFileSync('uname', ['-n'], { encoding: 'utf8' }).trim());
    expect(facts.hardware.cpus).toBeGreaterThan(0);
    expect(facts.hardware.memory).toMatch(/^\d+[KMG]i$/);
    expect(facts.clockSkewSeconds).toBe(0);
  });

  it('holds nothing that changes a host', () => {
    expect(PROBE_SCRIPT).not.toMatch(/\b(rm|rmdir|mkdir|mktemp|mv|cp|tee|modprobe|umount|kill|touch|ln)\s/);
    // Of what is written, everything goes nowhere.
    for (const [target] of PROBE_SCRIPT.matchAll(/>+\s*[^\s&]+/g))
      expect(target).toMatch(/^>\s*(\/dev\/null|&|10|")/);
  });
});
