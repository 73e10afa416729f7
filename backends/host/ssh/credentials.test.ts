// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';
import { describe, expect, it } from 'vitest';
import type { SshCredentials } from '../../host-driver.ts';
import { credentialReader } from './credentials.ts';

const place = { name: 'host default/a (10.0.0.7:22)', field: 'spec.ssh' };
const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519');
const otherPem = generateKeyPairSync('ed25519')
  .privateKey.export({ format: 'pem', type: 'pkcs8' })
  .toString();

describe('credentials', () => {
  it.each<[string, SshCredentials, string]>([
    ['nothing', {}, 'has neither ssh-privatekey nor password'],
    [
      'a certificate alone',
      { password: 'x', certificate: 'x' },
      'has ssh-certificate without its ssh-privatekey',
    ],
    ['no key', { privateKey: 'canary' }, 'its format is not known'],
    ['a broken key', { privateKey: privateKey.replace(/\n.{9}/, '\n') }, 'cannot be read'],
    ['a public key', { privateKey: publicKey }, 'it is a public key'],
    [
      'a public key as certificate',
      { privateKey, certificate: publicKey },
      'is not an OpenSSH user certificate',
    ],
    [
      'a broken certificate',
      { privateKey, certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA' },
      'is not an OpenSSH user',
    ],
  ])('with %s are refused in one line', (_name, credentials, message) => {
    const read = () => credentialReader().read(place, credentials);
    expect(read).toThrow(message);
    expect(read).toThrow('host default/a (10.0.0.7:22): the Secret of spec.ssh.credentialsRef ');
    expect(read).toThrow(expect.objectContaining({ reason: 'CredentialsInvalid' }) as Error);
    expect(read).not.toThrow('canary');
  });

  it('are read once', () => {
    const reader = credentialReader();
    const first = reader.read(place, { privateKey });
    expect(reader.read(place, { privateKey })).toBe(first);
    for (let index = 0; index < 64; index++) reader.read(place, { password: `${index}` });
    expect(reader.read(place, { privateKey })).not.toBe(first);
    expect(reader.read(place, { privateKey: otherPem }).key?.type).toBe('ssh-ed25519');
  });
});
