// SPDX-License-Identifier: Apache-2.0
// Against a real OpenSSH server, which says what keys, certificates and forwarding have to look like.
import { createPrivateKey } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import type { HostAccess, SshCredentials } from '../../host-driver.ts';
import { testContext, allowSlowMachines } from './fixtures.ts';
import { noOpenSsh, type OpenSsh, startOpenSsh } from './openssh-fixture.ts';
import { createSshPool, type SshPool } from './pool.ts';
import { scanHostKey } from './scan.ts';

allowSlowMachines();

const reason = noOpenSsh();
if (reason !== undefined) process.stderr.write(`openssh.test.ts is skipped: ${reason}\n`);

describe.skipIf(reason !== undefined)('with OpenSSH', () => {
  let sshd: OpenSsh;
  let pool: SshPool;
  let plain: string;
  const ctx = testContext();

  beforeAll(async () => {
    sshd = await startOpenSsh();
    plain = sshd.newKey('plain', ['-t', 'ed25519', '-N', '']);
    pool = createSshPool({ clock: systemClock });
  });
  afterEach(() => pool.disconnect('default/a'));
  afterAll(async () => {
    await pool.close();
    await sshd.stop();
  });

  function access(credentials: SshCredentials, changes: Partial<HostAccess> = {}): HostAccess {
    const hostKeys = [sshd.hostKeys.ed25519];
    const where = { key: 'default/a', address: '127.0.0.1', port: sshd.port, user: 'root' };
    return { ...where, credentials, hostKeys, trustOnFirstUse: false, ...changes };
  }

  const echo = (at: HostAccess) => pool.host(at).run(ctx, 'cat; exit 3', { input: 'hello' });
  const worked = { exitCode: 3, stdout: 'hello', stderr: '' };

  describe('a private key', () => {
    it.each([
      ['Ed25519', ['-t', 'ed25519']],
      ['RSA', ['-t', 'rsa', '-b', '2048']],
      ['RSA in PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
      ['RSA in PKCS #8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
      ['ECDSA P-256', ['-t', 'ecdsa']],
      ['ECDSA P-521 in PEM', ['-t', 'ecdsa', '-b', '521', '-m', 'PEM']],
      ['ECDSA P-384 in PKCS #8', ['-t', 'ecdsa', '-b', '384', '-m', 'PKCS8']],
    ])('%s opens the door, with a passphrase too', async (name, args) => {
      const open = sshd.newKey(`${name.replace(/\W/g, '')}-open`, [...args, '-N', '']);
      expect(await echo(access({ privateKey: open }))).toEqual(worked);
      const locked = sshd.newKey(`${name.replace(/\W/g, '')}-locked`, [
        ...args,
        '-a',
        '1',
        '-N',
        'pass phrase',
      ]);
      expect(await echo(access({ privateKey: locked, passphrase: 'pass phrase' }))).toEqual(worked);
      await expect(echo(access({ privateKey: locked }))).rejects.toMatchObject({
        reason: 'CredentialsInvalid',
        message: expect.stringContaining('encrypted and there is no passphrase') as string,
      });
      await expect(echo(access({ privateKey: locked, passphrase: 'wrong' }))).rejects.toMatchObject({
        reason: 'CredentialsInvalid',
        message: expect.stringContaining('passphrase does not open it') as string,
      });
    });

    it('Ed25519 in PKCS #8, as Terraform writes it, opens the door', async () => {
      // OpenSSH cannot write this form; the key inside is the last 32 bytes of the first private half.
      const seed = ed25519Seed(plain);
      const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
      const der = Buffer.concat([prefix, seed]);
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      const pem = key.export({ format: 'pem', type: 'pkcs8' }).toString();
      expect(await echo(access({ privateKey: pem }))).toEqual(worked);
    });

    it('that the host does not know is refused, in words that say what to do', async () => {
      const other = await startOpenSsh();
      const stranger = other.newKey('stranger', ['-t', 'ed25519', '-N', '']);
      await other.stop();
      const attempt = echo(access({ privateKey: stranger }));
      await expect(attempt).rejects.toMatchObject({
        reason: 'CredentialsRefused',
        message: expect.stringMatching(
          /^host default\/a \(127\.0\.0\.1:\d+\) refused the login of user root \(it takes publickey; offered: ssh-ed25519 key\): see that/,
        ) as string,
      });
    });
  });

  describe('a certificate', () => {
    it.each([
      ['Ed25519', ['-t', 'ed25519']],
      ['RSA', ['-t', 'rsa', '-b', '2048']],
      ['ECDSA P-256', ['-t', 'ecdsa']],
      ['ECDSA P-521', ['-t', 'ecdsa', '-b', '521']],
    ])('of a key of type %s opens the door where the key alone does not', async (name, args) => {
      const file = `certified-${name.replace(/\W/g, '')}`;
      const privateKey = sshd.newKey(file, [...args, '-N', '']);
      const certificate = sshd.certify(file, '-1m:+1h');
      sshd.revoke(file);
      await expect(echo(access({ privateKey }))).rejects.toMatchObject({ reason: 'CredentialsRefused' });
      expect(await echo(access({ privateKey, certificate }))).toEqual(worked);
    });
  });

  it('shows its key without a login, and is held to any of its keys', async () => {
    expect(await scanHostKey(ctx, { address: '127.0.0.1', port: sshd.port })).toBe(sshd.hostKeys.ed25519);
    for (const line of Object.values(sshd.hostKeys))
      expect(await echo(access({ privateKey: plain }, { hostKeys: [line] }))).toEqual(worked);
  });

  it('is a bastion to itself, unless it forbids that', async () => {
    const { key: _key, ...bastion } = access({ privateKey: plain });
    expect(await echo(access({ privateKey: plain }, { bastion }))).toEqual(worked);
    const strict = await startOpenSsh(['AllowTcpForwarding no']);
    try {
      const credentials = { privateKey: strict.newKey('door', ['-t', 'ed25519', '-N', '']) };
      const door = { ...bastion, port: strict.port, hostKeys: [strict.hostKeys.ed25519], credentials };
      await expect(echo(access({ privateKey: plain }, { bastion: door }))).rejects.toMatchObject({
        reason: 'CredentialsRefused',
        message: expect.stringContaining('AllowTcpForwarding') as string,
      });
    } finally {
      await strict.stop();
    }
  });

  it('serves many scripts on one connection', async () => {
    const own = createSshPool({ clock: systemClock });
    onTestFinished(() => own.close());
    const host = own.host(access({ privateKey: plain }));
    const runs = Array.from({ length: 20 }, (_, index) => host.run(ctx, `echo ${index}`));
    const results = await Promise.all(runs);
    expect(results.map(({ stdout }) => stdout)).toEqual(
      Array.from({ length: 20 }, (_, index) => `${index}\n`),
    );
    expect(own.stats()).toMatchObject({ connections: 1, sessions: 0, waiting: 0 });
  });
});

function ed25519Seed(privateKey: string): Buffer {
  const body = Buffer.from(privateKey.replace(/-----[^\n]+-----|\s/g, ''), 'base64');
  const mark = Buffer.from('0000000b7373682d6564323535313900000020', 'hex');
  const second = body.indexOf(mark, body.indexOf(mark) + 1);
  return body.subarray(second + mark.length + 32 + 4, second + mark.length + 32 + 4 + 32);
}
