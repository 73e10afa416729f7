// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { checkPartitionSize, mebibytes } from './partition-units.ts';

it.each([
  ['0', 0],
  ['1MiB', 1],
  ['1024KiB', 1],
  ['1048576B', 1],
  ['100MB', 100],
  ['1GB', 1024],
  ['1.5GiB', 1536],
  ['.5GiB', 512],
  ['1.GiB', 1024],
  ['1GiB512MiB', 1536],
  ['+1TiB', 1_048_576],
  ['1PiB', 1_073_741_824],
])('%s is %i MiB', (size, expected) => {
  expect(mebibytes(size)).toBe(expected);
  expect(checkPartitionSize(size)).toBeUndefined();
});

it.each([
  '1',
  '100',
  '1G',
  '1M',
  '1mib',
  '1 MiB',
  ' 1MiB',
  '1MiBx',
  '-1MiB',
  '1KiB',
  '0.3MiB',
  'MiB',
  '.MiB',
])('%j is refused', (size) => {
  expect(mebibytes(size)).toBeUndefined();
  expect(checkPartitionSize(size)).toContain('whole MiB');
});

it('an empty size is none', () => {
  expect(mebibytes('')).toBeUndefined();
  expect(checkPartitionSize('')).toBeUndefined();
});
