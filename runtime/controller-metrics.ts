// SPDX-License-Identifier: Apache-2.0
import { counter, gauge, histogram, type Metrics } from './metrics.ts';

/** `result` of `controller_runtime_reconcile_total`. */
export type ReconcileResult = 'success' | 'requeue_after' | 'requeue' | 'error';
const RESULTS: readonly ReconcileResult[] = ['success', 'requeue_after', 'requeue', 'error'];

/** What a controller reports. */
export interface ControllerMetrics {
  started(): void;
  finished(result: ReconcileResult, seconds: number): void;
  terminal(): void;
}

/** Registers the `controller_runtime_*` metrics, named as in controller-runtime, at 0 so that rates work from the first scrape. */
export function controllerMetrics(
  metrics: Metrics,
  controller: string,
  concurrency: number,
): ControllerMetrics {
  const label = { controller };
  const define = (name: string, help: string) => ({
    name: `controller_runtime_${name}`,
    help,
    labelNames: ['controller'] as const,
  });
  const total = counter<'controller' | 'result'>(metrics, {
    ...define('reconcile_total', 'Reconciles by result.'),
    labelNames: ['controller', 'result'],
  });
  const errors = counter<'controller'>(metrics, define('reconcile_errors_total', 'Reconciles that failed.'));
  const terminal = counter<'controller'>(
    metrics,
    define('terminal_reconcile_errors_total', 'Reconciles that failed and need a person or a new spec.'),
  );
  const time = histogram<'controller'>(
    metrics,
    define('reconcile_time_seconds', 'How long a reconcile takes.'),
  );
  const active = gauge<'controller'>(metrics, define('active_workers', 'Reconciles in progress.'));
  const maximum = gauge<'controller'>(
    metrics,
    define('max_concurrent_reconciles', 'Reconciles at once, at most.'),
  );

  for (const result of RESULTS) total.inc({ controller, result }, 0);
  for (const metric of [errors, terminal, active]) metric.inc(label, 0);
  time.zero(label);
  maximum.set(label, concurrency);
  return {
    started: () => active.inc(label),
    finished(result, seconds) {
      active.dec(label);
      total.inc({ controller, result });
      if (result === 'error') errors.inc(label);
      time.observe(label, seconds);
    },
    terminal: () => terminal.inc(label),
  };
}
