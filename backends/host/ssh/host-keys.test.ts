// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import type { HostAccess } from '../../host-driver.ts';
import {
  accessTo,
  newHostKey,
  startServer,
  testContext,
  type TestServer,
  allowSlowMachines,
  eventually,
} from './fixtures.ts';
import { fingerprint, hostKeyCheck } from './host-keys.ts';
import { createSshPool } from './pool.ts';
import { scanHostKey } from './scan.ts';

allowSlowMachines();

const ctx = testContext();

/** A key that OpenSSH made, and what `ssh-keygen -l` says of it. */
const KNOWN = {
  line: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN8mWryA1Qrmvh/kmFS5Fu7JbfaOUrAisROQSI2RPxIj',
  sha256: 'SHA256:tBFuP8MXddCmdLp05sTvfcCsntqhjSz7E+aUjjYF+sc',
};

describe('a fingerprint', () => {
  it('is the one that ssh-keygen prints', () => {
    expect(fingerprint(KNOWN.line)).toBe(KNOWN.sha256);
    expect(fingerprint(`${KNOWN.line} root@rack-a-07\n`)).toBe(KNOWN.sha256);
  });

  it.each([
    '',
    'ssh-ed25519',
    'ssh-ed25519 AAAA',
    `ssh-rsa ${KNOWN.line.split(' ')[1]}`,
    'rack-a-07 ssh-ed25519 AAAA',
  ])('is not given for %j', (line) => expect(() => fingerprint(line)).toThrow(TypeError));
});

describe('host keys', () => {
  const place = { name: 'host default/a (10.0.0.7:22)', field: 'spec.ssh' };

  it('of pinned types are negotiated first, and RSA with SHA-1 never', () => {
    const { line } = newHostKey('rsa');
    const { algorithms } = hostKeyCheck(place, { pinned: [line], trustAny: false });
    expect(algorithms.slice(0, 3)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-ed25519']);
    expect(algorithms).not.toContain('ssh-rsa');
  });

  it('that are not host keys are named', () => {
    const pin = () => hostKeyCheck(place, { pinned: [KNOWN.line, 'SHA256:abc'], trustAny: true });
    expect(pin).toThrow('host default/a (10.0.0.7:22): spec.ssh.hostKeys[1] is not a public host key');
  });
});

describe('a host', () => {
  async function hostWith(...types: ('ed25519' | 'ecdsa' | 'rsa')[]) {
    const server = await startServer({ hostKeys: types.map((type) => newHostKey(type).privateKey) });
    onTestFinished(() => server.close());
    return server;
  }

  function newPool() {
    const pool = createSshPool({ clock: systemClock });
    onTestFinished(() => pool.close());
    return pool;
  }

  const trusting = (server: TestServer, changes: Partial<HostAccess> = {}) =>
    accessTo(server, { hostKeys: [], trustOnFirstUse: true, ...changes });

  it('with several keys shows the pinned one', async () => {
    const server = await hostWith('ed25519', 'ecdsa', 'rsa');
    for (const line of server.hostKeys) {
      const pool = newPool();
      expect(await pool.host(accessTo(server, { hostKeys: [line] })).run(ctx, 'true')).toMatchObject({
        exitCode: 0,
      });
    }
  });

  it('with another key than the pinned one gets no password, and people are told both fingerprints', async () => {
    let asked = 0;
    const server = await startServer({ onLogin: () => asked++ });
    onTestFinished(() => server.close());
    const pinned = newHostKey('rsa').line;
    const run = newPool()
      .host(accessTo(server, { hostKeys: [pinned], trustOnFirstUse: true }))
      .run(ctx, 'true');
    const [offered = ''] = server.hostKeys;
    await expect(run).rejects.toMatchObject({
      reason: 'HostKeyMismatch',
      message: `host default/rack-a-07 (127.0.0.1:${server.port}) offers the host key ssh-ed25519 ${fingerprint(offered)}, pinned is ssh-rsa ${fingerprint(pinned)}: either another machine answers there, or its key was changed. If it was, compare with "ssh-keygen -lf" on its console and change spec.ssh.hostKeys`,
    });
    expect(asked).toBe(0);
  });

  it('without a pinned key is refused, with the key to pin', async () => {
    const server = await hostWith('ed25519');
    const run = newPool()
      .host(accessTo(server, { hostKeys: [] }))
      .run(ctx, 'true');
    await expect(run).rejects.toMatchObject({
      reason: 'HostKeyUnknown',
      message: expect.stringContaining(`put "${server.hostKeys[0]}" into spec.ssh.hostKeys`) as string,
    });
  });

  it('that is trusted on first use tells its key, and is held to it', async () => {
    const first = await hostWith('ed25519');
    const pool = newPool();
    const host = pool.host(trusting(first));
    expect(host.seenKeys).toEqual({});
    await host.run(ctx, 'true');
    expect(host.seenKeys).toEqual({ host: first.hostKeys[0] });
    expect(pool.host(accessTo(first)).seenKeys).toEqual({});

    // Another machine takes its address over.
    const { port } = first;
    await first.close();
    const second = await startServer({ port });
    onTestFinished(() => second.close());
    await eventually(() => pool.stats().connections).toBe(0);
    await expect(host.run(ctx, 'true')).rejects.toMatchObject({ reason: 'HostKeyMismatch' });
    // A person pins the new key, and takes it away again: the next first use is trusted.
    await pool.host(accessTo(second)).run(ctx, 'true');
    await host.run(ctx, 'true');
    expect(host.seenKeys).toEqual({ host: second.hostKeys[0] });
  });

  it('behind a bastion has that one trusted on first use as well', async () => {
    const bastion = await startServer({ forwards: true });
    onTestFinished(() => bastion.close());
    const host = await hostWith('ed25519');
    const { key: _key, ...door } = trusting(bastion);
    const remote = newPool().host(trusting(host, { bastion: door }));
    await remote.run(ctx, 'true');
    expect(remote.seenKeys).toEqual({ host: host.hostKeys[0], bastion: bastion.hostKeys[0] });
  });

  it('shows its key without a login, also behind a bastion', async () => {
    const host = await hostWith('rsa', 'ed25519');
    const bastion = await startServer({ forwards: true });
    onTestFinished(() => bastion.close());
    const at = { address: '127.0.0.1', port: host.port };
    const { key: _key, ...door } = accessTo(bastion);
    expect(await scanHostKey(ctx, at)).toBe(host.hostKeys[1]);
    expect(await scanHostKey(ctx, at, { bastion: door })).toBe(host.hostKeys[1]);
    expect(host.logins).toBe(0);
    const strict = { ...door, hostKeys: [newHostKey().line] };
    await expect(scanHostKey(ctx, at, { bastion: strict })).rejects.toMatchObject({
      reason: 'HostKeyMismatch',
    });
    await host.close();
    await expect(scanHostKey(ctx, at)).rejects.toThrow(
      /^host 127\.0\.0\.1:\d+, while connecting: nothing listens/,
    );
  });
});
