// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { TSHost, TSHostSsh } from '../../api/tshost.ts';
import { HostWorld } from '../../test/host-world.ts';
import { fingerprintOf, hostKeyVerdict, pinKeys } from './host-keys.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIbT4bVtWlG7nXWVdV5vYzFhZwAAAAAAAAAAAAAAAAAA';
const TRUSTING = { hostKeyPolicy: 'TrustOnFirstUse' } as const;

function host(ssh: Partial<TSHostSsh>, error?: { reason: string; message: string }): TSHost {
  const world = new HostWorld();
  const made = world.addHost();
  made.spec.ssh = { address: 'a', credentialsRef: { name: 'ssh' }, ...ssh };
  return { ...made, ...(error && { status: { error: { ...error, since: 'now' } } }) };
}

const bastion = (change: object) => ({
  address: 'b',
  credentialsRef: { name: 'ssh' },
  hostKeys: [KEY],
  ...change,
});

describe('HostKeyVerified', () => {
  it.each<[string, TSHost, string, RegExp]>([
    ['pinned', host({ hostKeys: [KEY] }), 'HostKeyPinned', /^$/],
    ['both pinned', host({ hostKeys: [KEY], bastion: bastion({}) }), 'HostKeyPinned', /^$/],
    ['none given', host({}), 'HostKeyUnknown', /spec\.ssh\.hostKeys names no key/],
    [
      'none given for the bastion',
      host({ hostKeys: [KEY], bastion: bastion({ hostKeys: [] }) }),
      'HostKeyUnknown',
      /spec\.ssh\.bastion\.hostKeys/,
    ],
    ['to be trusted', host(TRUSTING), 'TrustedOnFirstUse', /first key will be trusted/],
    ['trusted', host({ ...TRUSTING, hostKeys: [KEY] }), 'TrustedOnFirstUse', /SHA256:.* was trusted/],
    [
      'a bastion that is trusted',
      host({ hostKeys: [KEY], bastion: bastion(TRUSTING) }),
      'TrustedOnFirstUse',
      /^spec\.ssh\.bastion/,
    ],
    [
      'another key than the pinned one',
      host({ hostKeys: [KEY] }, { reason: 'HostKeyMismatch', message: 'it shows another' }),
      'HostKeyMismatch',
      /it shows another/,
    ],
    [
      'an error of another kind',
      host({ hostKeys: [KEY] }, { reason: 'SudoRefused', message: 'no' }),
      'HostKeyPinned',
      /^$/,
    ],
  ])('%s', (_what, object, reason, message) => {
    const verdict = hostKeyVerdict(object);
    expect(verdict).toMatchObject({ status: reason === 'HostKeyPinned' ? 'True' : 'False', reason });
    expect(verdict.message).toMatch(message);
  });
});

describe('pinning', () => {
  const seen = { host: 'ssh-rsa AAAAhost', bastion: 'ssh-rsa AAAAbastion' };
  it.each<[string, Partial<TSHostSsh>, unknown, unknown]>([
    ['is asked for', TRUSTING, [seen.host], undefined],
    ['is not asked for', {}, undefined, undefined],
    ['is done already', { ...TRUSTING, hostKeys: [KEY] }, [KEY], undefined],
    [
      'is asked for the bastion only',
      { bastion: bastion({ ...TRUSTING, hostKeys: [] }) },
      undefined,
      [seen.bastion],
    ],
  ])('%s', (_what, ssh, ofHost, ofBastion) => {
    const object = host(ssh);
    pinKeys(object, seen);
    expect([object.spec.ssh.hostKeys, object.spec.ssh.bastion?.hostKeys]).toEqual([ofHost, ofBastion]);
  });
});

it('a fingerprint is what ssh-keygen -l prints, whatever comment the key has', () => {
  // ssh-keygen -l, of this key:
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
  expect(fingerprintOf(key)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
  expect(fingerprintOf(`${key} root@host`)).toBe(fingerprintOf(key));
});
