// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import {
  accessTo,
  allowSlowMachines,
  newHostKey,
  PASSWORD,
  startServer,
  testContext,
  type TestServerOptions,
} from './fixtures.ts';
import { createSshPool } from './pool.ts';

allowSlowMachines();

async function logIn(options: TestServerOptions, credentials = { password: PASSWORD }) {
  const server = await startServer(options);
  onTestFinished(() => server.close());
  const pool = createSshPool({ clock: systemClock });
  onTestFinished(() => pool.close());
  return await pool.host(accessTo(server, { credentials })).run(testContext(), 'echo in');
}

describe('a login', () => {
  it('answers with the password where PAM asks for it, once', async () => {
    const asked: string[] = [];
    const result = await logIn({
      onLogin(attempt) {
        if (attempt.method !== 'keyboard-interactive') return attempt.reject(['keyboard-interactive']);
        attempt.prompt({ prompt: 'Password: ', echo: false }, ([answer = '']) => {
          asked.push(answer);
          if (asked.length > 1) return attempt.accept();
          attempt.prompt({ prompt: 'Verification code: ', echo: false }, ([code = '']) => {
            asked.push(code);
            attempt.accept();
          });
        });
      },
    });
    expect(result.stdout).toBe('in\n');
    expect(asked).toEqual([PASSWORD, '']);
  });

  it('offers what is left where two are needed', async () => {
    const used: string[] = [];
    const credentials = { password: PASSWORD, privateKey: newHostKey().privateKey };
    const onLogin: TestServerOptions['onLogin'] = (attempt) => {
      if (attempt.method === 'none') return attempt.reject(['publickey']);
      used.push(attempt.method);
      if (attempt.method === 'password') return attempt.accept();
      if (attempt.method === 'publickey' && attempt.signature === undefined) return attempt.accept();
      attempt.reject(['password'], true);
    };
    expect(await logIn({ onLogin }, credentials)).toMatchObject({ stdout: 'in\n' });
    expect(used).toEqual(['publickey', 'publickey', 'password']);
  });

  it('that is refused names what was offered and what would be taken, never the password', async () => {
    const onLogin: TestServerOptions['onLogin'] = (attempt) => attempt.reject(['publickey', 'hostbased']);
    const error = (await logIn({ onLogin }).catch((failure: unknown) => failure)) as Error;
    expect(error).toMatchObject({ reason: 'CredentialsRefused' });
    expect(error.message).toMatch(
      /refused the login of user root \(it takes publickey, hostbased; offered: password\)/,
    );
    expect(error.message).not.toContain(PASSWORD);
  });

  it('that is refused while the host starts is tried again soon', async () => {
    const banner = 'System is booting up. Unprivileged users are not permitted to log in yet.';
    const login = logIn({ banner, onLogin: (attempt) => attempt.reject(['password']) });
    await expect(login).rejects.toThrow(TransientError);
    await expect(login).rejects.toThrow(/: System is booting up\./);
  });
});
