// SPDX-License-Identifier: Apache-2.0
// What a script gets, what it gives, and how a user becomes root.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { HostAccess } from '../../host-driver.ts';
import {
  accessTo,
  PASSWORD,
  runCommand,
  startServer,
  testContext,
  type TestServerOptions,
  allowSlowMachines,
} from './fixtures.ts';
import { createSshPool } from './pool.ts';
import { remoteCommand, scriptAndInput } from './remote-shell.ts';

allowSlowMachines();

const ctx = testContext();
const SUDO_PASSWORD = 'canary-sudo-77c1';

async function hostWith(options?: TestServerOptions, changes?: Partial<HostAccess>) {
  const server = await startServer(options);
  onTestFinished(() => server.close());
  const pool = createSshPool({ clock: systemClock });
  onTestFinished(() => pool.close());
  return { server, host: pool.host(accessTo(server, changes)) };
}

describe('a script', () => {
  it('has its input to itself, whatever is in both', async () => {
    const { host } = await hostWith();
    const input = randomBytes(3_000_000);
    const script = `# ${'x'.repeat(200_000)}\n# it's "quoted" \\ $HOME \`id\` ! ä\nwc -c; echo $input_bytes; pwd; umask; echo "$LC_ALL"; echo 'oops' >&2; exit 7`;
    const result = await host.run(ctx, script, { input });
    expect(result).toEqual({ exitCode: 7, stdout: '3000000\n3000000\n/\n0022\nC\n', stderr: 'oops\n' });
    expect(await host.run(ctx, 'cat; cat; echo end')).toMatchObject({ exitCode: 0, stdout: 'end\n' });
  });

  it('and its input are not in the command line, and not in an error', async () => {
    const { host, server } = await hostWith();
    const secret = 'canary-script-1b';
    await host.run(ctx, `echo ${secret}; cat`, { input: secret });
    const failing = host.run(ctx, `echo ${secret}; cat; sleep 9`, { input: secret, timeoutMs: 100 });
    const error = await failing.catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(TransientError);
    const seen = `${server.commands.join()} ${String(error)} ${(error as Error).stack}`;
    for (const canary of [secret, Buffer.from(secret).toString('base64'), PASSWORD])
      expect(seen).not.toContain(canary);
  });

  it('that a signal ends has no exit code', async () => {
    const { host } = await hostWith({
      onCommand(channel) {
        channel.write('ts-provider: ready\n');
        channel.stderr.write('ts-provider: ready\n');
        channel.on('data', () => {
          channel.exit('KILL');
          channel.end();
        });
      },
    });
    expect(await host.run(ctx, 'true')).toEqual({ exitCode: undefined, stdout: '', stderr: '' });
  });

  it('that prints without end is stopped', async () => {
    const { host } = await hostWith();
    const run = host.run(ctx, 'yes', { maxOutputBytes: 10_000 });
    await expect(run).rejects.toThrow('printed more than 10000 bytes');
    await expect(run).rejects.toThrow(TransientError);
  });

  it('does not hear what a login script says', async () => {
    const { host } = await hostWith({
      onCommand(channel, command) {
        channel.write('Welcome!\nts-provider: rea');
        channel.write('lly?\n');
        channel.stderr.write('manpath: warning\n');
        runCommand(channel, command);
      },
    });
    expect(await host.run(ctx, 'echo out; echo err >&2')).toEqual({
      exitCode: 0,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('is not run where half of it arrives', () => {
    const whole = scriptAndInput('echo it ran', '').toString();
    const run = (input: string) =>
      execFileSync('/bin/sh', ['-c', remoteCommand('none', 5)], { input, stdio: 'pipe' });
    expect(run(whole).toString()).toBe('ts-provider: ready\nit ran\n');
    // The connection is cut before the line's end, which would be a shorter script.
    expect(() => run(whole.slice(0, -5))).toThrow('Command failed');
    expect(() => run(whole.trimEnd())).toThrow('Command failed');
  });

  it('is ended by the host itself when nobody waits any more', () => {
    const input = scriptAndInput('echo $$; sleep 30', '');
    const ended = spawnSync('/bin/sh', ['-c', remoteCommand('none', 1)], { input });
    expect(ended.status).toBe(124);
  });
});

describe('a user who gets no shell', () => {
  it('is told so, with the last words of the host', async () => {
    const { host } = await hostWith({
      onCommand(channel) {
        channel.stderr.write('Please login as the user "debian" rather than the user "root".\n');
        channel.exit(142);
        channel.end();
      },
    });
    await expect(host.run(ctx, 'true')).rejects.toMatchObject({
      reason: 'CredentialsRefused',
      message: expect.stringMatching(
        /gives user root no shell \(Please login as the user "debian".*spec\.ssh\.user/,
      ) as string,
    });
  });
});

/** Stands in for sudo: asks as sudo -S does, three times, one byte at a time. `rule` is what the sudoers file says. */
const FAKE_SUDO = `#!/bin/sh
for word in "$@"; do printf '<%s>' "$word" >> "$0.log"; done
while [ "$1" != -- ]; do
  case $1 in -n) never=1 ;; -p) prompt=$2; shift ;; esac
  shift
done
shift
rule=$(cat "$0.rule")
[ "$rule" = NOPASSWD ] && exec "$@"
[ "$rule" = NONE ] && { echo "admin is not in the sudoers file." >&2; exit 1; }
[ -n "$never" ] && { echo "sudo: a password is required" >&2; exit 1; }
echo "We trust you have received the usual lecture" >&2
for try in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r password || exit 1
  [ "$password" = "${SUDO_PASSWORD}" ] && exec "$@"
  echo "Sorry, try again." >&2
done
exit 1
`;

describe('a user who is not root', () => {
  async function adminOf(rule: 'NOPASSWD' | 'PASSWD' | 'NONE', sudoPassword?: string) {
    const programs = mkdtempSync(join(tmpdir(), 'ts-provider-sudo-'));
    onTestFinished(() => rmSync(programs, { recursive: true, force: true }));
    writeFileSync(join(programs, 'sudo'), FAKE_SUDO);
    chmodSync(join(programs, 'sudo'), 0o755);
    writeFileSync(join(programs, 'sudo.rule'), rule);
    const credentials = { password: PASSWORD, ...(sudoPassword !== undefined && { sudoPassword }) };
    return await hostWith({ programs }, { user: 'admin', credentials });
  }

  it.each([
    ['without a password', 'NOPASSWD', undefined],
    ['without a password where there is one', 'NOPASSWD', SUDO_PASSWORD],
    ['with a password', 'PASSWD', SUDO_PASSWORD],
  ] as const)('becomes root %s, and the script has its input', async (_name, rule, sudoPassword) => {
    const { host, server } = await adminOf(rule, sudoPassword);
    const result = await host.run(ctx, 'cat; exit 1', { input: 'mine\n' });
    expect(result).toEqual({ exitCode: 1, stdout: 'mine\n', stderr: '' });
    expect(server.commands.join()).not.toContain(SUDO_PASSWORD);
  });

  it.each([
    [
      'a password is needed and there is none',
      'PASSWD',
      undefined,
      /\(sudo: a password is required\).*sudo-password/,
    ],
    ['the password is wrong', 'PASSWD', 'canary-wrong', /\(the password is not accepted\)/],
    ['it may not', 'NONE', 'canary-wrong', /\(admin is not in the sudoers file\.\)/],
  ] as const)('is told when %s', async (_name, rule, sudoPassword, message) => {
    const { host } = await adminOf(rule, sudoPassword);
    const error = (await host.run(ctx, 'true').catch((failure: unknown) => failure)) as Error;
    expect(error).toMatchObject({ reason: 'SudoRefused', message: expect.stringMatching(message) as string });
    expect(error.message).not.toContain('canary');
    expect(error.message).toMatch(
      /^host default\/rack-a-07 \(127\.0\.0\.1:\d+\): user admin cannot become root/,
    );
  });
});
