// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readEntry, readTar, writeTar } from './tar.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tar-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LONG = `${'long-folder-name/'.repeat(12)}file`;

function write(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

it.each(['gnu', 'posix', 'ustar'])('reads what tar writes in the format %s', (format) => {
  write('in/small', 'small');
  write('in/empty', '');
  write(format === 'ustar' ? 'in/a/long' : `in/${LONG}`, 'behind a long name');
  write('in/z', 'z'.repeat(5000));
  const archive = join(folder, 'a.tar');
  execFileSync('tar', [`--format=${format}`, '-C', join(folder, 'in'), '-cf', archive, '.']);
  const read = Object.fromEntries(
    readTar(archive).map((entry) => [entry.name, readEntry(archive, entry).toString()]),
  );
  expect(read).toEqual({
    small: 'small',
    empty: '',
    [format === 'ustar' ? 'a/long' : LONG]: 'behind a long name',
    z: 'z'.repeat(5000),
  });
});

it('writes what tar reads, the same each time', async () => {
  const sources = [
    { name: 'data', data: Buffer.from('some data') },
    { name: 'blobs/file', file: write('source', 'x'.repeat(1025)), size: 1025 },
    { name: 'nothing', data: Buffer.alloc(0) },
  ];
  const archives = ['a.tar', 'b.tar'].map((name) => join(folder, name));
  for (const archive of archives) await writeTar(archive, sources);
  const list = execFileSync('tar', ['-tvf', archives[0]!], { encoding: 'utf8' });
  expect(list.match(/\d+ 1970-01-01 .*/g)).toHaveLength(3);
  execFileSync('tar', ['-C', folder, '-xf', archives[0]!]);
  expect(readFileSync(join(folder, 'blobs/file'), 'utf8')).toBe('x'.repeat(1025));
  expect(readFileSync(join(folder, 'data'), 'utf8')).toBe('some data');
  expect(readFileSync(archives[0]!).equals(readFileSync(archives[1]!))).toBe(true);
});

it('says that an archive has no end, or is none', async () => {
  const archive = join(folder, 'a.tar');
  await writeTar(archive, [{ name: 'data', data: Buffer.alloc(2000) }]);
  truncateSync(archive, 1600);
  expect(() => readTar(archive)).toThrow('ends before the archive does');
  expect(() => readTar(write('text', 'no archive '.repeat(100)))).toThrow('not a tar archive');
});
