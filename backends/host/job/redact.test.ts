// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { redact, secretLines } from './redact.ts';

describe('redact', () => {
  it.each([
    ['kubeadm join --token abcdef.0123456789abcdef', 'kubeadm join --token ***'],
    ['-----BEGIN RSA PRIVATE KEY----- MIIE', '***'],
    [`key ${'0123456789abcdef'.repeat(4)}`, 'key ***'],
    [`digest sha256:${'0123456789abcdef'.repeat(4)}`, `digest sha256:${'0123456789abcdef'.repeat(4)}`],
    [`${'MIIEpAIBAAKCAQE0'.repeat(4)}==`, '***'],
    [
      'cannot read /var/lib/kubelet/pki/kubelet-client-current.pem of the host',
      'cannot read /var/lib/kubelet/pki/kubelet-client-current.pem of the host',
    ],
    ['password: hunter22 was wrong', 'password: *** was wrong'],
    ['cannot reach https://bob:hunter22@mirror.example/x', 'cannot reach https://bob:***@mirror.example/x'],
    ['Authorization: Bearer eyJhbGciOiJSUzI1NiJ9 failed', 'Authorization: Bearer *** failed'],
    ['a\tb\u0000\u001b[31mc\r\nd', 'a b [31mc d'],
  ])('%j is told as %j', (text, told) => {
    expect(redact(text)).toBe(told);
  });

  it('hides the longest secret first, and each line of one', () => {
    expect(redact('x secret-two y secret z', ['secret', 'secret-two'])).toBe('x *** y *** z');
    expect(redact('the second line', ['first line\nsecond line'])).toBe('the ***');
    expect(secretLines(['ab', '  padded secret ', ''])).toEqual(['padded secret']);
  });

  it.each(['a', ' ', '-----BEGIN a', 'password: '])('is quick with a megabyte of %j', (piece) => {
    const began = performance.now();
    redact(piece.repeat(1_000_000 / piece.length));
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('tells no more than it may', () => {
    expect(redact('word '.repeat(100))).toHaveLength(200);
  });
});
