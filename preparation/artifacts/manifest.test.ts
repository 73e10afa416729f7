// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Artifact, formatManifest, MANIFEST_HEADER, parseManifest } from './manifest.ts';

const kubelet: Artifact = {
  sha256: 'ab'.repeat(32),
  size: 84426914,
  kind: 'binary',
  name: 'kubelet',
  version: 'v1.36.3',
  platform: 'linux-amd64',
  path: 'kubernetes/v1.36.3/amd64/kubelet',
};
const pause: Artifact = {
  ...{ sha256: 'cd'.repeat(32), size: 1, kind: 'image', name: 'registry.k8s.io/pause:3.10.2' },
  ...{ version: 'any', platform: 'linux-amd64', path: 'images/pause.tar' },
};
const conntrack: Artifact = {
  ...{ sha256: 'ef'.repeat(32), size: 35240, kind: 'package', name: 'conntrack', version: '1:1.4.7-1+b2' },
  ...{ platform: 'debian-12-amd64', path: 'debian-12/conntrack_1%3a1.4.7-1+b2_amd64.deb' },
};

describe('a manifest', () => {
  it('is the same text for the same files, and says again what it was made of', () => {
    const text = formatManifest([kubelet, pause, conntrack]);
    expect(text).toBe(formatManifest([conntrack, kubelet, pause]));
    expect(parseManifest(text)).toEqual([conntrack, pause, kubelet]);
    expect(text.split('\n')).toEqual([MANIFEST_HEADER, ...text.split('\n').slice(1, 4), '']);
    expect(text).toContain(
      `${kubelet.sha256} 84426914 binary kubelet v1.36.3 linux-amd64 kubernetes/v1.36.3/amd64/kubelet\n`,
    );
  });

  it('may have comments', () => {
    const text = formatManifest([pause]).replace('\n', '\n# made for a test\n\n');
    expect(parseManifest(text)).toEqual([pause]);
  });

  it.each([
    { wrong: { path: '../etc/passwd' }, says: 'path' },
    { wrong: { path: '/etc/passwd' }, says: 'path' },
    { wrong: { path: 'a b' }, says: '8 words' },
    { wrong: { name: 'x;reboot' }, says: 'name' },
    { wrong: { name: '-rf' }, says: 'name' },
    { wrong: { version: '$(id)' }, says: 'version' },
    { wrong: { platform: 'linux' }, says: 'platform' },
    { wrong: { sha256: 'AB' }, says: 'sha256' },
    { wrong: { size: -1 }, says: 'size' },
    { wrong: { size: 1.5 }, says: 'size' },
  ])('takes no file with $wrong', ({ wrong, says }) => {
    expect(() => formatManifest([{ ...kubelet, ...wrong }])).toThrow(says);
  });

  it.each([
    { text: '', says: 'first line' },
    { text: `${MANIFEST_HEADER}\nabc\n`, says: 'line 2: 1 words' },
    { text: formatManifest([kubelet]).replace(' binary ', ' program '), says: 'line 2: kind' },
    {
      text: formatManifest([kubelet]) + formatManifest([kubelet]).split('\n')[1]!,
      says: 'is listed twice',
    },
  ])('that is wrong says where: $says', ({ text, says }) => {
    expect(() => parseManifest(text)).toThrow(says);
  });
});
