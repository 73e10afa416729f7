// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { contextOf } from '../inventory.fixtures.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { virtualIP } from './virtual-ip.ts';

const ctx = contextOf(new FakeClock());
const config = {
  address: '10.0.0.100',
  port: 6443,
  own: '10.0.0.1',
  peers: ['10.0.0.2'],
  routerID: 100,
  password: 'dd-_4321',
  owner: { token: '0123abcd', generation: 4 },
  start: true,
};

/** A host that gives these answers in turn, whatever it is asked. */
function scripted(answers: readonly string[]) {
  const scripts: string[] = [];
  const left = [...answers];
  const remote: RemoteHost = {
    seenKeys: {},
    run: async (_ctx, script) => {
      scripts.push(script);
      // The wait for a job answers nothing.
      const isWait = script.startsWith('n=0');
      return { exitCode: 0, stdout: isWait ? '' : `${left.shift() ?? ''}\n`, stderr: '' };
    },
  };
  return { remote, scripts };
}

const SUCCEEDED =
  'lock free\nplan 001 install install yes stop h\njournal begin\njournal done succeeded\nend of answer';

describe('virtualIP', () => {
  it('is one short run where keepalived is there, and answers the same hash for the same members', async () => {
    const t = scripted(['ts-provider: applied', 'ts-provider: applied', 'ts-provider: applied']);
    const first = await virtualIP(ctx, t.remote, config);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await virtualIP(ctx, t.remote, config)).toBe(first);
    expect(await virtualIP(ctx, t.remote, { ...config, peers: [] })).not.toBe(first);
    expect(t.scripts).toHaveLength(3);
  });

  it('installs it in a job where it is missing, waits a moment, and applies', async () => {
    const absent = ['ts-provider: absent', 'ts-provider: started'];
    const t = scripted(['ts-provider: missing 0', ...absent, SUCCEEDED, 'ts-provider: applied']);
    await virtualIP(ctx, t.remote, config);
    expect(t.scripts[2]).toContain('jobs/keepalived-4-1');
  });

  it.each([
    { answer: 'foreign 89abcdef 3', reason: 'HostClaimedElsewhere', message: '89abcdef 3' },
    { answer: 'refused 10.0.0.100 is in use', reason: 'VirtualIPFailed', message: 'is in use' },
    { answer: 'failed it does not run', reason: 'VirtualIPFailed', message: 'does not run' },
  ])('says what a person has to mend: $answer', async ({ answer, reason, message }) => {
    const call = virtualIP(ctx, scripted([`ts-provider: ${answer}`]).remote, config);
    await expect(call).rejects.toMatchObject({ reason, message: expect.stringContaining(message) as string });
  });

  it('does not repeat the password that a host tells', async () => {
    const call = virtualIP(ctx, scripted(['ts-provider: refused auth_pass dd-_4321']).remote, config);
    await expect(call).rejects.toThrow(/auth_pass \*\*\*$/);
  });

  it('tries again when the host says nothing', async () => {
    await expect(virtualIP(ctx, scripted(['']).remote, config)).rejects.toMatchObject({
      name: 'TransientError',
    });
  });

  it('asks no host for what cannot be written', async () => {
    const t = scripted([]);
    const call = virtualIP(ctx, t.remote, { ...config, address: 'not an address' });
    await expect(call).rejects.toMatchObject({ reason: 'VirtualIPFailed' });
    expect(t.scripts).toEqual([]);
  });
});
