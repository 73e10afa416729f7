// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseFlags } from './flags.ts';

describe('flags', () => {
  it.each([
    ['1h', 3_600_000],
    ['90m', 5_400_000],
    ['1h30m', 5_400_000],
    ['15m0s', 900_000],
    ['60s', 60_000],
  ])('--bootstrap-token-ttl=%s is %d ms', (text, ms) => {
    expect(parseFlags([`--bootstrap-token-ttl=${text}`]).tokenTTLMs).toBe(ms);
  });

  it.each([
    ['--bootstrap-token-ttl=', /--bootstrap-token-ttl is ""; use a time from 1m/],
    ['--bootstrap-token-ttl=15', /--bootstrap-token-ttl is "15"; use a time from 1m/],
    ['--bootstrap-token-ttl=59s', /--bootstrap-token-ttl is "59s"; use a time from 1m/],
    ['--kubeadmconfig-concurrency=0', /--kubeadmconfig-concurrency is "0"; use a whole number from 1/],
    ['--provider=control-plane', /--provider is "control-plane"; use one of infrastructure, bootstrap/],
    ['--leader-elect=yes', /--leader-elect is "yes"; use one of true, false/],
  ])('%s is refused with the way out', (flag, message) => {
    expect(() => parseFlags([flag])).toThrow(message);
  });

  it('the lease is where the provider is installed, unless the Pod or a flag says otherwise', () => {
    expect(parseFlags([]).leaseNamespace).toBe('ts-provider-system');
    expect(parseFlags(['--provider=bootstrap']).leaseNamespace).toBe('ts-provider-bootstrap-system');
    expect(parseFlags(['--leader-elect-namespace=x']).leaseNamespace).toBe('x');
  });
});
