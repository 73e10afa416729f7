// SPDX-License-Identifier: Apache-2.0
import { counter, gauge, histogram, type Metrics } from './metrics.ts';

/** What a queue tells about itself when it is asked. */
export interface WorkqueueProbe {
  /** Keys ready to be worked on. */
  depth(): number;
  /** Seconds since each key in processing was taken. */
  inProgressSeconds(): readonly number[];
}

/** What a queue reports as it happens; times in seconds. */
export interface WorkqueueMetrics {
  added(): void;
  retried(): void;
  taken(waitedSeconds: number): void;
  finished(workedSeconds: number): void;
}

interface Registered {
  readonly name: string;
  readonly probe: WorkqueueProbe;
}

/** The gauges of one registry ask all of its queues, at scrape time only. */
const queues = new WeakMap<Metrics, Registered[]>();

const LABELS = ['name', 'controller'] as const;
type Label = (typeof LABELS)[number];

/** Registers the `workqueue_*` metrics, named and labelled as in controller-runtime so that existing dashboards work. */
export function workqueueMetrics(metrics: Metrics, name: string, probe: WorkqueueProbe): WorkqueueMetrics {
  const known = queues.get(metrics) ?? [];
  queues.set(metrics, known);
  registerGauges(metrics, known);
  known.push({ name, probe });

  const labels = { name, controller: name };
  const define = (metric: string, help: string) => ({
    name: `workqueue_${metric}`,
    help,
    labelNames: LABELS,
  });
  const adds = counter<Label>(metrics, define('adds_total', 'Keys that were added.'));
  const retries = counter<Label>(metrics, define('retries_total', 'Keys that were added with back-off.'));
  const queued = histogram<Label>(
    metrics,
    define('queue_duration_seconds', 'How long keys stay in the queue before they are taken.'),
  );
  const worked = histogram<Label>(
    metrics,
    define('work_duration_seconds', 'How long the work on a key takes.'),
  );
  adds.inc(labels, 0);
  retries.inc(labels, 0);
  queued.zero(labels);
  worked.zero(labels);
  return {
    added: () => adds.inc(labels),
    retried: () => retries.inc(labels),
    taken: (seconds) => queued.observe(labels, seconds),
    finished: (seconds) => worked.observe(labels, seconds),
  };
}

function registerGauges(metrics: Metrics, known: readonly Registered[]): void {
  const probe = (metric: string, help: string, value: (probe: WorkqueueProbe) => number): void => {
    gauge<Label>(metrics, { name: `workqueue_${metric}`, help, labelNames: LABELS }, (target) => {
      for (const queue of known) target.set({ name: queue.name, controller: queue.name }, value(queue.probe));
    });
  };
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  probe('depth', 'Keys that wait to be worked on.', (queue) => queue.depth());
  probe('unfinished_work_seconds', 'Seconds of work in progress, over all keys.', (queue) =>
    sum(queue.inProgressSeconds()),
  );
  probe('longest_running_processor_seconds', 'Seconds that the longest work in progress takes.', (queue) =>
    Math.max(0, ...queue.inProgressSeconds()),
  );
}
