// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { measurementOf, phaseOf } from './measurement-fixture.ts';
import { comparison } from './tables.ts';

const other = phaseOf({
  calls: new Map([
    ['RunInstances', 10],
    ['DescribeVpcs', 40],
  ]),
});

/** The cells of each row by its first, of one of the two tables. */
function rows(text: string, title: string): Map<string, string[]> {
  const part = text.split('### ').find((one) => one.startsWith(title)) ?? '';
  const lines = part.split('\n').filter((line) => line.startsWith('|'));
  const cells = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return new Map(cells.map(([what = '', ...values]) => [what, values]));
}

describe('comparison', () => {
  const text = comparison([
    measurementOf({ title: 'one' }),
    measurementOf({
      title: 'other',
      create: other,
      instances: { made: 12, living: 11 },
      leftOver: { made: 13, living: 2 },
    }),
  ]);
  const create = rows(text, '10 machines made at once');
  const gone = rows(text, '10 machines deleted at once');

  it('has the candidates side by side', () => {
    expect(create.get('')).toEqual(['one', 'other']);
    expect(create.get('wall time')).toEqual(['8 s', '8 s']);
    expect(create.get('processors taken by others meanwhile')).toEqual(['25 %', '25 %']);
    expect(create.get('CPU of the provider per machine')).toEqual(['50 ms', '50 ms']);
  });

  it('counts calls and requests per machine, the most frequent first, also those that one does not make', () => {
    expect(create.get('cloud calls per machine')).toEqual(['1', '5']);
    expect(create.get('- DescribeVpcs')).toEqual(['0', '4']);
    const keys = [...create.keys()].filter((key) => key.startsWith('- '));
    expect(keys).toEqual([
      ...['- DescribeVpcs', '- RunInstances'],
      ...['- create events', '- patch tsmachines/status', '- get secrets'],
    ]);
    expect(create.get('API server requests per machine')).toEqual(['10.5', '10.5']);
    expect(create.get('of which writes, without Events')).toEqual(['2.50', '2.50']);
    expect(create.get('of which writes of Events')).toEqual(['7.50', '7.50']);
    const conflicts = '409 patch tsmachines 3';
    expect(create.get('API server requests answered with an error')).toEqual([conflicts, conflicts]);
    expect(create.get('cloud calls answered with an error')).toEqual(['2', '2']);
  });

  it('tells instances that are too many and those that are left', () => {
    expect(create.get('instances made')).toEqual(['10', '12']);
    expect(create.get('instances that live')).toEqual(['10', '11']);
    expect(gone.get('instances ever made')).toEqual(['10', '13']);
    expect(gone.get('instances left over')).toEqual(['0', '2']);
    expect(gone.get('cloud calls per machine')).toEqual(['1', '1']);
    expect(gone.get('peak RSS, create and delete')).toEqual(['130 MiB', '130 MiB']);
  });

  it('is empty without measurements', () => expect(comparison([])).toBe(''));
});
