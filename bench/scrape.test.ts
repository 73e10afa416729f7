// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { growth, parseScrape } from './scrape.ts';

const TEXT = `# HELP requests Calls.
# TYPE requests counter
requests{verb="patch",resource="tsmachines"} 3
requests{verb="get",resource="secrets"} 5
requests{verb="patch",resource="tsclusters"} 1.5e1
up 1
odd{message="a \\"quoted, thing\\""} 2
`;

describe('scrape', () => {
  const scrape = parseScrape(TEXT);

  it.each([
    ['requests', {}, 23],
    ['requests', { verb: 'patch' }, 18],
    ['requests', { verb: 'patch', resource: 'tsmachines' }, 3],
    ['up', {}, 1],
    ['odd', {}, 2],
    ['absent', {}, 0],
  ])('%s %j is %d', (name, labels, sum) => {
    expect(scrape.sum(name, labels)).toBe(sum);
  });

  it('groups by labels', () => {
    expect([...scrape.by('requests', ['verb'])]).toEqual([
      ['patch', 18],
      ['get', 5],
    ]);
    expect(scrape.by('requests', ['verb', 'resource'], { verb: 'get' })).toEqual(
      new Map([['get secrets', 5]]),
    );
  });

  it('tells what was counted in between', () => {
    const before = new Map([
      ['get', 1],
      ['list', 4],
    ]);
    const after = new Map([
      ['get', 3],
      ['list', 4],
      ['patch', 2],
    ]);
    expect(growth(before, after)).toEqual(
      new Map([
        ['get', 2],
        ['patch', 2],
      ]),
    );
  });
});
