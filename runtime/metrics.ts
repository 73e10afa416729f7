// SPDX-License-Identifier: Apache-2.0
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Where all metrics of one manager are registered. There is no global one, so that two managers fit into one process. */
export type Metrics = Registry;

/** Name, help and label names of a metric. */
export interface MetricDefinition<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly L[];
}

/** Buckets in seconds from a millisecond to ten minutes: reconciles, queue waits and calls to slow clouds fit on one scale. */
export const DURATION_BUCKETS_SECONDS = [
  0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600,
];

/** An empty registry; `process: true` adds memory, CPU, event loop lag and garbage collection of this process. */
export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const metrics = new Registry();
  if (options.process === true) collectDefaultMetrics({ register: metrics });
  return metrics;
}

/** The counter of this name, made on first use: parts that exist several times share one metric and differ by label. */
export function counter<L extends string>(metrics: Metrics, definition: MetricDefinition<L>): Counter<L> {
  const known = metrics.getSingleMetric(definition.name) as Counter<L> | undefined;
  return known ?? new Counter({ ...definition, registers: [metrics] });
}

/** The gauge of this name, made on first use. `collect` runs at each scrape and belongs to the first user. */
export function gauge<L extends string>(
  metrics: Metrics,
  definition: MetricDefinition<L>,
  collect?: (gauge: Gauge<L>) => void,
): Gauge<L> {
  const known = metrics.getSingleMetric(definition.name) as Gauge<L> | undefined;
  if (known !== undefined) return known;
  const made: Gauge<L> = new Gauge({
    ...definition,
    registers: [metrics],
    ...(collect === undefined ? {} : { collect: () => collect(made) }),
  });
  return made;
}

/** The histogram of this name in seconds, made on first use. */
export function histogram<L extends string>(metrics: Metrics, definition: MetricDefinition<L>): Histogram<L> {
  const known = metrics.getSingleMetric(definition.name) as Histogram<L> | undefined;
  return known ?? new Histogram({ ...definition, buckets: DURATION_BUCKETS_SECONDS, registers: [metrics] });
}
