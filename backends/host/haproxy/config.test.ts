// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { haproxyConfig } from './config.ts';

const member = (name: string, address: string, port = 6443) => ({ name, address, port });

describe('haproxy.cfg', () => {
  it.each([
    { name: 'empty', config: { port: 6443, members: [] } },
    {
      name: 'three',
      config: {
        port: 8443,
        members: [member('cp-0', '10.0.0.1'), member('cp-1', '10.0.0.2'), member('cp-2', 'cp-2.example.org')],
      },
    },
    {
      name: 'ipv6',
      config: { port: 6443, members: [member('cp-0', 'fd00::1'), member('cp-1', '10.0.0.2', 16443)] },
    },
  ])('$name', ({ name, config }) => {
    const file = join(import.meta.dirname, 'testdata', `${name}.cfg`);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, haproxyConfig(config));
    expect(haproxyConfig(config)).toBe(readFileSync(file, 'utf8'));
  });

  it.each([
    { name: 'an address with a second line', members: [member('a', '10.0.0.1\nlisten x')] },
    { name: 'an address with options', members: [member('a', '10.0.0.1 backup')] },
    { name: 'an empty address', members: [member('a', '')] },
    { name: 'an address with a zone', members: [member('a', 'fe80::1%eth0')] },
    { name: 'a name with a blank', members: [member('a b', '10.0.0.1')] },
    { name: 'an empty name', members: [member('', '10.0.0.1')] },
    { name: 'no port', members: [member('a', '10.0.0.1', 0)] },
    { name: 'half a port', members: [member('a', '10.0.0.1', 1.5)] },
  ])('refuses $name', ({ members }) => {
    const invalid = expect.objectContaining({ reason: 'LoadBalancerInvalid' }) as Error;
    expect(() => haproxyConfig({ port: 6443, members })).toThrow(invalid);
  });

  it.each([0, -1, 65_536, 1.5, Number.NaN])('refuses to listen on port %d', (port) => {
    expect(() => haproxyConfig({ port, members: [] })).toThrow(/port/);
  });
});
