// SPDX-License-Identifier: Apache-2.0
// Which family a system is of, by what it says of itself: also of systems that nothing can be run on here.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIBRARY } from './library.ts';

const FOLDER = join(import.meta.dirname, 'testdata', 'os-release');

const FAMILIES: Record<string, string> = {
  'almalinux-9': 'rhel almalinux 9.5',
  'alpine-3.21': 'unknown alpine 3.21.0',
  'amzn-2023': 'rhel amzn 2023',
  arch: 'unknown arch ',
  'centos-stream-9': 'rhel centos 9',
  'debian-12': 'debian debian 12',
  'flatcar-4081': 'flatcar flatcar 4081.2.1',
  'ol-9': 'rhel ol 9.5',
  'opensuse-leap-15.6': 'suse opensuse-leap 15.6',
  'rhel-9': 'rhel rhel 9.5',
  'rocky-9': 'rhel rocky 9.5',
  'sles-15.6': 'suse sles 15.6',
  'ubuntu-24.04': 'debian ubuntu 24.04',
};

function told(file: string): string {
  const script = `${LIBRARY}\nprintf '%s %s %s' "$family" "$os_id" "$os_version"`;
  return execFileSync('sh', ['-c', script], { env: { OS_RELEASE: join(FOLDER, file) }, encoding: 'utf8' });
}

describe('the family of', () => {
  it.each(Object.entries(FAMILIES))('%s', (file, expected) => {
    expect(told(file)).toBe(expected);
  });

  it('every system that is recorded is one of these', () => {
    const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
    expect(files.sort()).toEqual(Object.keys(FAMILIES).sort());
  });

  it('a system without the file is unknown', () => {
    expect(told('nothing')).toBe('unknown  ');
  });
});
