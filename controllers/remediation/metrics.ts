// SPDX-License-Identifier: Apache-2.0
import { TSRemediationKind } from '../../api/kinds.ts';
import type { Cache } from '../../runtime/informer.ts';
import { counter, gauge, type Metrics } from '../../runtime/metrics.ts';
import type { Phase } from './scope.ts';

/** Counts a remediation that has come to another phase. */
export type CountStep = (phase: Phase) => void;

/** A gauge over what there is, counted from the cache at each scrape, and a counter of steps. */
export function remediationMetrics(metrics: Metrics | undefined, cache: Pick<Cache, 'list'>): CountStep {
  if (metrics === undefined) return () => {};
  gauge(
    metrics,
    { name: 'ts_provider_remediations', help: 'TSRemediations by phase.', labelNames: ['phase'] },
    (remediations) => {
      remediations.reset();
      for (const { status } of cache.list(TSRemediationKind))
        remediations.inc({ phase: status?.phase ?? 'Waiting' });
    },
  );
  const steps = counter(metrics, {
    name: 'ts_provider_remediation_steps_total',
    help: 'Phases that TSRemediations have come to: Rebooting counts tries, HandedOver machines that are replaced.',
    labelNames: ['phase'],
  });
  return (phase) => steps.inc({ phase });
}
