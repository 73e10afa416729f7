// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { SecretKind } from '../../api/kinds.ts';
import type { Client } from '../../runtime/client.ts';
import type { TerminalError } from '../../runtime/errors.ts';
import { HostWorld } from '../../test/host-world.ts';
import { accessOf } from './access.ts';
import { createCredentialsReader, type CredentialsReader } from './credentials.ts';
import { createSecretReader } from './secrets.ts';

let world: HostWorld;
let reader: CredentialsReader;
let reads: string[];
beforeEach(() => {
  world = new HostWorld();
  reads = [];
  const { client } = world.api;
  const counting: Client = {
    ...client,
    get: (kind, name) => {
      reads.push(name.name);
      return client.get(kind, name);
    },
  };
  reader = createCredentialsReader(createSecretReader({ client: counting, clock: world.clock }));
});

const access = (name = 'h1') => accessOf(world.ctx(), world.host(name)!, reader);

describe('how a host is reached', () => {
  it('defaults: port 22, root, pinned keys only', async () => {
    world.addHost();
    expect(await access()).toEqual({
      key: 'ns/h1',
      address: 'h1.example.org',
      port: 22,
      user: 'root',
      credentials: { privateKey: 'a private key' },
      hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinned'],
      trustOnFirstUse: false,
    });
  });

  it('through a bastion with a Secret of its own; all keys of a Secret are used', async () => {
    world.credentials({
      'ssh-privatekey': 'k',
      passphrase: 'p',
      'ssh-certificate': 'c',
      password: 'w',
      'sudo-password': 's',
      other: 'ignored',
    });
    world.api.put({
      ...SecretKind,
      metadata: { namespace: 'ns', name: 'jump' },
      data: { password: 'aHVudGVy' },
    });
    world.addHost('h1', {
      ssh: {
        ...{ address: '10.0.0.7', port: 2222, user: 'ops', credentialsRef: { name: 'ssh' } },
        hostKeyPolicy: 'TrustOnFirstUse',
        bastion: {
          address: 'jump.example.org',
          credentialsRef: { name: 'jump' },
          hostKeys: ['ssh-rsa AAAA'],
        },
      },
    });
    expect(await access()).toEqual({
      ...{ key: 'ns/h1', address: '10.0.0.7', port: 2222, user: 'ops', hostKeys: [], trustOnFirstUse: true },
      credentials: { privateKey: 'k', passphrase: 'p', certificate: 'c', password: 'w', sudoPassword: 's' },
      bastion: {
        ...{ address: 'jump.example.org', port: 22, user: 'root', trustOnFirstUse: false },
        ...{ hostKeys: ['ssh-rsa AAAA'], credentials: { password: 'hunter' } },
      },
    });
  });

  it.each([
    ['no Secret', () => world.api.remove(SecretKind, { namespace: 'ns', name: 'ssh' }), 'does not exist'],
    ['a Secret without a key', () => world.credentials({ passphrase: 'hunter2' }), 'neither ssh-privatekey'],
    ['an empty key', () => world.credentials({ 'ssh-privatekey': '' }), 'neither ssh-privatekey'],
  ])('%s: CredentialsMissing names it, and nothing that is in it', async (_what, arrange, message) => {
    world.addHost();
    arrange();
    const error = await access().then(
      () => undefined,
      (thrown: TerminalError) => thrown,
    );
    expect(error).toMatchObject({ name: 'TerminalError', reason: 'CredentialsMissing' });
    expect(error?.message).toContain(message);
    expect(error?.message).toContain('ns/ssh');
    expect(error?.message).not.toContain('hunter2');
  });
});

describe('a Secret', () => {
  it('is read at most every 30 s, and a new version is seen after that', async () => {
    world.addHost();
    for (let i = 0; i < 25; i++) {
      await access();
      await world.clock.advance(1_000);
    }
    expect(reads).toEqual(['ssh']);
    world.credentials({ 'ssh-privatekey': 'a new key' });
    await world.clock.advance(10_000);
    expect((await access()).credentials.privateKey).toBe('a new key');
  });

  it('is read once for all hosts that ask for it, and never written', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `h${index}`);
    names.forEach((name) => world.addHost(name));
    await Promise.all(names.map((name) => access(name)));
    await Promise.all(names.map((name) => access(name)));
    expect(reads).toEqual(['ssh']);
    expect(world.api.writes).toEqual([]);
  });
});
