// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { brokenPromises, digits, listed, markdown, promise, target } from './report.ts';

describe('report', () => {
  const report = {
    title: 'Idle',
    rows: [
      { what: 'writes', value: '2', hold: promise('0', false) },
      { what: 'RSS', value: '600 MiB', hold: target('512 MiB', false) },
      { what: 'instances', value: '10', hold: promise('10', true) },
      { what: 'CPU', value: '1 s' },
    ],
  };

  it('only a promise that is broken breaks the run', () => {
    expect(brokenPromises([report])).toEqual(['Idle: writes is 2, promised 0']);
  });

  it('is a markdown table', () => {
    expect(markdown(report).split('\n')).toEqual([
      '### Idle',
      '',
      '|           | measured | to hold |            |',
      '| --------- | -------- | ------- | ---------- |',
      '| writes    | 2        | 0       | **missed** |',
      '| RSS       | 600 MiB  | 512 MiB | **missed** |',
      '| instances | 10       | 10      | held       |',
      '| CPU       | 1 s      |         |            |',
      '',
    ]);
  });

  it.each([
    [0, '0'],
    [1234.5, '1,235'],
    [12.34, '12.3'],
    [0.456, '0.46'],
  ])('%d reads %s', (value, text) => {
    expect(digits(value)).toBe(text);
  });

  it('lists the largest first', () => {
    const counts = new Map([
      ['get secrets', 10],
      ['patch tsmachines', 30],
    ]);
    expect(listed(counts, 10)).toBe('patch tsmachines 3, get secrets 1');
    expect(listed(new Map())).toBe('none');
  });
});
