// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareFiles, contentHash, listFiles } from './files.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ts-provider-unit-'));
  mkdirSync(join(dir, 'etc/old'), { recursive: true });
  writeFileSync(join(dir, 'etc/hosts'), 'one');
  writeFileSync(join(dir, 'etc/old/file'), 'two');
  symlinkSync('hosts', join(dir, 'etc/link'));
  utimesSync(join(dir, 'etc/hosts'), 1, 1);
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

const list = (skip: (path: string) => boolean = () => false) =>
  listFiles({ path: '/', dir, kept: true }, skip);

/** What is told after `change`, of a tree that is kept as it was unless said otherwise. */
function told(change: () => void, kept = true): string[] {
  const before = list();
  const hash = contentHash(join(dir, 'etc/hosts'));
  change();
  const sameContent = (path: string) => contentHash(join(dir, path)) === hash;
  return compareFiles(before, list(), { kept, sameContent });
}

describe('compareFiles', () => {
  it.each<[string, () => void, string[]]>([
    ['nothing', () => undefined, []],
    ['a new file', () => writeFileSync(join(dir, 'etc/new'), ''), ['file /etc/new']],
    ['another content', () => writeFileSync(join(dir, 'etc/hosts'), 'two'), ['changed file /etc/hosts']],
    ['the same content at another time', () => utimesSync(join(dir, 'etc/hosts'), 5, 5), []],
    ['other permissions', () => chmodSync(join(dir, 'etc/hosts'), 0o600), ['changed file /etc/hosts']],
    [
      'a folder instead of a file',
      () => {
        rmSync(join(dir, 'etc/hosts'));
        mkdirSync(join(dir, 'etc/hosts'));
      },
      ['changed file /etc/hosts'],
    ],
    [
      'a link to elsewhere',
      () => {
        rmSync(join(dir, 'etc/link'));
        symlinkSync('/tmp', join(dir, 'etc/link'));
      },
      ['changed file /etc/link'],
    ],
    [
      'a new folder, told once for all that is in it',
      () => {
        mkdirSync(join(dir, 'etc/new/deep'), { recursive: true });
        writeFileSync(join(dir, 'etc/new/deep/file'), '');
      },
      ['file /etc/new'],
    ],
    [
      'a folder that is gone',
      () => rmSync(join(dir, 'etc/old'), { recursive: true }),
      ['missing file /etc/old'],
    ],
  ])('tells of %s', (_what, change, expected) => {
    expect(told(change)).toEqual(expected);
  });

  it('tells only of new files where others may come and go', () => {
    const change = () => {
      rmSync(join(dir, 'etc/old'), { recursive: true });
      writeFileSync(join(dir, 'etc/hosts'), 'other');
      writeFileSync(join(dir, 'etc/new'), '');
    };
    expect(told(change, false)).toEqual(['file /etc/new']);
  });
});

describe('listFiles', () => {
  it('leaves out what is skipped, with all below it', () => {
    expect([...list((path) => path === '/etc/old').keys()]).toEqual(['/etc', '/etc/hosts', '/etc/link']);
  });

  it('is empty for a folder that is not there', () => {
    expect(listFiles({ path: '/run', dir: join(dir, 'run'), kept: true }, () => false).size).toBe(0);
  });
});
