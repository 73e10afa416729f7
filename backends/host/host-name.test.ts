// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostNameStep } from './host-name.ts';
import { quietContext } from './job/local-host.fixtures.ts';
import { type PrivateHost, startPrivateHost, whyNoPrivateHost } from './private-host.fixtures.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`The host's own name is not made to resolve: ${whyNot}.`);

it('needs an address', () => {
  expect(hostNameStep('node.example.org')).toBeUndefined();
  expect(hostNameStep('$(reboot)')).toBeUndefined();
  expect(hostNameStep('2001:db8::7')?.script).toContain('2001:db8::7');
});

describe.skipIf(whyNot !== undefined)("the host's own name", { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeAll(async () => {
    host = await startPrivateHost('system');
  });

  afterAll(() => host.close());

  it.each([
    ['127.0.0.1 localhost\n', '127.0.0.1 localhost\n10.0.0.7 test-host # added by ts-provider\n'],
    ['127.0.0.1 localhost', '127.0.0.1 localhost\n10.0.0.7 test-host # added by ts-provider\n'],
    ['', '10.0.0.7 test-host # added by ts-provider\n'],
    [
      '127.0.0.1 test-host-2 # test-host\n',
      '127.0.0.1 test-host-2 # test-host\n10.0.0.7 test-host # added by ts-provider\n',
    ],
    ['127.0.1.1 test-host.example.org test-host\n', '127.0.1.1 test-host.example.org test-host\n'],
    ['10.9.9.9 test-host\n', '10.9.9.9 test-host\n'],
  ])('resolves afterwards, and is added once, to %j', async (before, after) => {
    host.sh(`printf '${before}' >/etc/hosts`);
    const script = hostNameStep('10.0.0.7')?.script ?? '';
    for (let round = 0; round < 2; round += 1) {
      expect((await host.remote.run(quietContext(), script)).exitCode).toBe(0);
      expect(host.sh('cat /etc/hosts')).toBe(after);
    }
    expect(host.sh('getent hosts test-host')).toContain('test-host');
  });
});
