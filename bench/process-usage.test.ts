// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { parseUsage } from './process-usage.ts';

it('reads memory and CPU, also of a program with a strange name', () => {
  const status = 'Name:\tnode\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nThreads:\t11\n';
  const stat = '42 (my ) (prog) S 1 42 42 0 -1 4194304 1 0 0 0 250 50 7 7 20 0 11 0 100 1 1';
  expect(parseUsage(status, stat)).toEqual({ rssMiB: 100, peakMiB: 200, cpuSeconds: 3 });
});
