// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { notPrepared, patchDifference } from './prepared.ts';

const software = { kubeadm: 'v1.36.3', kubelet: 'v1.36.3', containerd: '2.1.0' };

describe('a host that is prepared', () => {
  it.each([
    { name: 'the same version', there: software, version: 'v1.36.3' },
    { name: 'another patch', there: { ...software, kubelet: 'v1.36.0' }, version: 'v1.36.3' },
    { name: 'no version asked for', there: software, version: undefined },
    { name: 'versions without v', there: { ...software, kubelet: '1.36.3' }, version: '1.36.3' },
  ])('has $name', ({ there, version }) => expect(notPrepared(there, version)).toBe(''));

  it.each([
    { there: {}, says: 'no containerd, no kubeadm, no kubelet' },
    { there: { kubeadm: 'v1.36.3', kubelet: 'v1.36.3' }, says: 'no containerd' },
    { there: { ...software, kubelet: 'v1.35.9' }, says: 'kubelet v1.35.9 where' },
    {
      there: { ...software, kubeadm: 'v1.37.0', kubelet: 'v1.3.6' },
      says: 'kubeadm v1.37.0 and kubelet v1.3.6',
    },
    { there: { ...software, kubeadm: 'unknown' }, says: 'kubeadm unknown' },
  ])('is not one with $says', ({ there, says }) => {
    const message = notPrepared(there, 'v1.36.3');
    expect(message).toContain(says);
    expect(message).toMatch(/install .*or take another host$/);
  });

  it.each([
    { there: software, version: 'v1.36.3', expected: '' },
    { there: software, version: 'v1.36.3+build', expected: '' },
    { there: software, version: undefined, expected: '' },
    {
      there: { ...software, kubelet: 'v1.36.1' },
      version: 'v1.36.3',
      expected: 'The host has kubelet v1.36.1 where the Machine asks for v1.36.3; the minor is the same',
    },
  ])('tells of another patch: "$expected"', ({ there, version, expected }) => {
    expect(patchDifference(there, version)).toBe(expected);
  });
});
