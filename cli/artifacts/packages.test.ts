// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { packageOf, packagesIn } from './packages.ts';

it.each([
  [
    'conntrack_1%3a1.4.7-1+b2_amd64.deb',
    'debian-12-amd64',
    'conntrack',
    '1:1.4.7-1+b2',
    'conntrack_1-1.4.7-1+b2_amd64.deb',
  ],
  [
    'libc6_2.36-9+deb12u10_all.deb',
    'debian-12-arm64',
    'libc6',
    '2.36-9+deb12u10',
    'libc6_2.36-9+deb12u10_all.deb',
  ],
  ['g++_1.0~rc1_amd64.deb', 'debian-12-amd64', 'g++', '1.0~rc1', 'g++_1.0~rc1_amd64.deb'],
  [
    'conntrack-tools-1.4.7-4.el9.x86_64.rpm',
    'rocky-9-amd64',
    'conntrack-tools',
    '1.4.7-4.el9',
    'conntrack-tools-1.4.7-4.el9.x86_64.rpm',
  ],
  [
    'tzdata-2025b-1.el9.noarch.rpm',
    'rocky-9-arm64',
    'tzdata',
    '2025b-1.el9',
    'tzdata-2025b-1.el9.noarch.rpm',
  ],
])('%s for %s', (...[file, platform, name, version, stored]) => {
  expect(packageOf(file, platform)).toEqual({
    ...{ kind: 'package', name, version, platform },
    path: `packages/${platform}/${stored}`,
  });
});

it.each([
  ['socat_1.7_arm64.deb', 'for arm64, but the platform is debian-12-amd64'],
  ['socat.deb', 'not the name of a package'],
  ['so cat_1_amd64.deb', 'not the name of a package'],
])('%s is refused', (file, message) => {
  expect(() => packageOf(file, 'debian-12-amd64')).toThrow(message);
});

it('says that a folder has none, and how to fill it', () => {
  expect(() => packagesIn(import.meta.dirname, 'debian-12-amd64')).toThrow('fill it with "apt-get download"');
  expect(() => packagesIn('/nowhere', 'debian-12-amd64')).toThrow('/nowhere');
});
