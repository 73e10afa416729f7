// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { counter, createMetrics, gauge, histogram } from './metrics.ts';

it('keeps registries apart', async () => {
  const [first, second] = [createMetrics(), createMetrics()];
  counter(first, { name: 'a_total', help: 'A.' }).inc();
  expect(await first.metrics()).toContain('a_total 1');
  expect(await second.metrics()).not.toContain('a_total');
});

it('gives the same metric to all who ask by one name', async () => {
  const metrics = createMetrics();
  for (const part of ['x', 'y']) {
    counter<'part'>(metrics, { name: 'c_total', help: 'C.', labelNames: ['part'] }).inc({ part });
    gauge<'part'>(metrics, { name: 'g', help: 'G.', labelNames: ['part'] }).set({ part }, 2);
    histogram<'part'>(metrics, { name: 'h_seconds', help: 'H.', labelNames: ['part'] }).observe(
      { part },
      0.1,
    );
  }
  const text = await metrics.metrics();
  for (const part of ['x', 'y']) {
    expect(text).toContain(`c_total{part="${part}"} 1`);
    expect(text).toContain(`g{part="${part}"} 2`);
    expect(text).toContain(`h_seconds_count{part="${part}"} 1`);
  }
});

it('asks a gauge at each scrape', async () => {
  const metrics = createMetrics();
  let value = 0;
  gauge(metrics, { name: 'asked', help: 'Asked.' }, (target) => target.set(++value));
  await metrics.metrics();
  expect(await metrics.metrics()).toContain('asked 2');
});
