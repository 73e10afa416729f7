// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { mirrorsOf } from './mirrors.ts';

it('puts the place before the path, and leaves other hosts alone', () => {
  const mirrors = mirrorsOf(['dl.k8s.io=http://127.0.0.1:1234/dl/', 'github.com=file:///srv/github']);
  expect(mirrors.url('https://dl.k8s.io/release/v1/kubelet')).toBe(
    'http://127.0.0.1:1234/dl/release/v1/kubelet',
  );
  expect(mirrors.url('https://github.com/a/b')).toBe('file:///srv/github/a/b');
  expect(mirrors.url('https://example.org/a')).toBe('https://example.org/a');
});

it.each([
  [[], 'registry.k8s.io', 'https://registry.k8s.io', ''],
  [[], 'docker.io', 'https://registry-1.docker.io', ''],
  [['registry.k8s.io=https://m.example.org:5000'], 'registry.k8s.io', 'https://m.example.org:5000', ''],
  [
    ['registry.k8s.io=https://m.example.org/k8s/all/'],
    'registry.k8s.io',
    'https://m.example.org',
    'k8s/all/',
  ],
])('%j: images of %s are at %s below %j', (words, host, origin, prefix) => {
  expect(mirrorsOf(words).registry(host)).toEqual({ origin, prefix });
});

it.each([
  ['dl.k8s.io', 'write it like dl.k8s.io=https://mirror.example.org/k8s'],
  ['dl.k8s.io=mirror', 'is not a URL'],
  ['dl.k8s.io=ftp://mirror', 'is not a URL'],
  ['dl.k8s.io=https://me:secret@mirror', 'no credentials in URLs'],
])('--mirror %s is refused', (word, message) => {
  expect(() => mirrorsOf([word])).toThrow(message);
  expect(() => mirrorsOf([word])).not.toThrow('secret');
});
