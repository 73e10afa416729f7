// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { checkUnitContents, checkURL } from './checks.ts';

it.each([
  ['', true],
  ['[A]\nx=1\n# c\n; c\n\n[B]\ny = \\\n  two words\n', true],
  ['no section at all\n', true],
  ['x=1\n[A]\n', true],
  ['[A]\r\nx=1\r\n', true],
  ['[A\nx=1', false],
  ['garbage[', false],
  ['[A]\nno option', false],
])('unit %j: %s', (contents, fine) => {
  expect(checkUnitContents(contents) === undefined).toBe(fine);
});

it.each([
  ['http://a', true],
  ['HTTPS://a/b?c', true],
  ['s3://bucket/key', true],
  ['tftp://a/b', true],
  ['data:,x%20y', true],
  ['data:text/plain;charset=utf-8,x', true],
  ['data:;base64,aGk=', true],
  ['data:;base64,%%%', false],
  ['data:,%zz', false],
  ['data:x', false],
  ['ftp://a', false],
  ['http://', false],
  ['a', false],
  ['', false],
])('URL %j: %s', (url, fine) => {
  expect(checkURL(url) === undefined).toBe(fine);
});
