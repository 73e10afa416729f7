// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keepalivedConfig } from './config.ts';

const alone = {
  address: '10.0.0.100',
  port: 6443,
  own: '10.0.0.1',
  peers: [],
  routerID: 100,
  password: 'dd-_4321',
};

describe('keepalived.conf', () => {
  it.each([
    { name: 'alone', config: alone },
    { name: 'three', config: { ...alone, port: 8443, peers: ['10.0.0.2', '10.0.0.3'] } },
  ])('$name', ({ name, config }) => {
    const file = join(import.meta.dirname, 'testdata', `${name}.conf`);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, keepalivedConfig(config));
    expect(keepalivedConfig(config)).toBe(readFileSync(file, 'utf8'));
  });

  it.each([
    { name: 'an address with a second line', change: { address: '10.0.0.100\n}' } },
    { name: 'an IPv6 address', change: { address: 'fd00::1' } },
    { name: 'a peer that is a name', change: { peers: ['cp-1.example.org'] } },
    { name: 'an own address with a prefix', change: { own: '10.0.0.1/24' } },
    { name: "a host's own address", change: { address: '10.0.0.1' } },
    { name: "another host's own address", change: { peers: ['10.0.0.100'] } },
    { name: 'no port', change: { port: 0 } },
    { name: 'a router id that VRRP has not', change: { routerID: 256 } },
    { name: 'no router id', change: { routerID: 0 } },
    { name: 'a password that VRRP would cut off', change: { password: '123456789' } },
    { name: 'a password with a quote', change: { password: 'a"b' } },
    { name: 'no password', change: { password: '' } },
  ])('refuses $name', ({ change }) => {
    const invalid = expect.objectContaining({ reason: 'VirtualIPFailed' }) as Error;
    expect(() => keepalivedConfig({ ...alone, ...change })).toThrow(invalid);
  });

  it('says nothing of the password when it refuses it', () => {
    expect(() => keepalivedConfig({ ...alone, password: 'a secret that is long' })).toThrow(/^(?!.*secret)/);
  });
});
