// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { measurementOf } from './measurement-fixture.ts';
import { comparison } from './tables.ts';

const stock = measurementOf({
  candidate: 'stock',
  seconds: 8,
  requests: {
    management: new Map([
      ['patch kubeadmconfigs/status', 520],
      ['create secrets', 130],
    ]),
    workload: new Map([['get secrets', 190]]),
  },
  eventLoopP99Ms: undefined,
});

/** The cells of each row by its first. */
function rows(text: string): Map<string, string[]> {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const cells = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return new Map(cells.map(([what = '', ...values]) => [what, values]));
}

describe('comparison', () => {
  const text = comparison([stock, measurementOf()]);

  it('puts the candidates side by side under the size', () => {
    expect(text.split('\n')[0]).toBe('### 100 worker KubeadmConfigs unpaused at once');
    expect(rows(text).get('')).toEqual(['stock as shipped', 'ours']);
    expect(rows(text).get('wall time')).toEqual(['8 s', '2 s']);
    expect(rows(text).get('rate')).toEqual(['12.5/s', '50/s']);
    expect(rows(text).get('processors taken by others meanwhile')).toEqual(['5 %', '5 %']);
  });

  it('counts requests per config, the most frequent first, also those that one of them does not make', () => {
    const keys = [...rows(text).keys()];
    expect(keys.slice(keys.indexOf('management requests per config')).slice(0, 5)).toEqual([
      'management requests per config',
      '- patch kubeadmconfigs/status',
      '- create secrets',
      '- patch kubeadmconfigs',
      '- get secrets',
    ]);
    expect(rows(text).get('management requests per config')).toEqual(['6.50', '3.01']);
    expect(rows(text).get('- patch kubeadmconfigs')).toEqual(['0', '1']);
  });

  it('leaves a cell empty for what one does not have, and the row out when nobody has it', () => {
    expect(rows(text).get('event loop delay, p99')).toEqual(['', '12 ms']);
    expect([...rows(text).keys()].filter((what) => what.startsWith('idle'))).toEqual([]);
    expect(rows(comparison([stock])).has('event loop delay, p99')).toBe(false);
  });

  it('shows the idle window of those that had one', () => {
    const idle = { management: 0, workload: 6, leases: 30, watches: 0.5 };
    const found = rows(comparison([stock, measurementOf({ idle })]));
    expect(found.get('idle: workload requests per minute')).toEqual(['', '6']);
    expect(found.get('idle: watches begun per minute')).toEqual(['', '0.50']);
  });

  it('says what dominates', () => {
    expect(text).toContain(
      '- ours: 4 s of CPU around 2 s of wall time: the management API server 50 %, the provider 25 %, ' +
        'the workload API server 13 %, etcd 13 %\n',
    );
  });
});
