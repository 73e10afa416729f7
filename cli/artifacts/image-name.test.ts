// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { imageName } from './image-name.ts';

it.each([
  ['registry.k8s.io/pause:3.10', 'registry.k8s.io', 'pause', '3.10'],
  ['registry.k8s.io/coredns/coredns:v1.14.2', 'registry.k8s.io', 'coredns/coredns', 'v1.14.2'],
  ['10.0.0.1:5000/a-b/c_d:x', '10.0.0.1:5000', 'a-b/c_d', 'x'],
  ['localhost/a:1', 'localhost', 'a', '1'],
])('%s', (text, registry, repository, tag) => {
  expect(imageName(text)).toEqual({ registry, repository, tag, text });
});

it.each([
  'busybox',
  'busybox:1',
  'library/busybox:1',
  'docker.io/library/busybox',
  'docker.io/../x:1',
  'a.b/c@sha256:0',
])('%s is refused: it is not the whole name', (text) => {
  expect(() => imageName(text)).toThrow('write the whole name with registry and tag');
});
