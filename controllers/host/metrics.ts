// SPDX-License-Identifier: Apache-2.0
import { TSHostKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { Cache } from '../../runtime/informer.ts';
import { gauge, type Metrics } from '../../runtime/metrics.ts';

/** Gauges over the inventory, counted from the cache at each scrape. */
export function registerHostMetrics(metrics: Metrics, cache: Pick<Cache, 'list'>): void {
  gauge(
    metrics,
    {
      name: 'ts_provider_hosts',
      help: 'TSHosts by state and operational status.',
      labelNames: ['state', 'operational_status'],
    },
    (hosts) => {
      hosts.reset();
      for (const { status } of cache.list(TSHostKind)) {
        const { state = 'Registering', operationalStatus = 'OK' } = status ?? {};
        hosts.inc({ state, operational_status: operationalStatus });
      }
    },
  );
  gauge(
    metrics,
    {
      name: 'ts_provider_hosts_trusted_on_first_use',
      help: 'TSHosts whose host key, or whose bastion, is trusted on first use.',
    },
    (hosts) => hosts.set(cache.list(TSHostKind).filter(trustsOnFirstUse).length),
  );
  gauge(
    metrics,
    {
      name: 'ts_provider_hosts_with_unverified_registries',
      help: 'TSHosts whose container runtime takes any certificate of a registry.',
    },
    (hosts) => hosts.set(cache.list(TSHostKind).filter(hasUnverifiedRegistries).length),
  );
}

function hasUnverifiedRegistries({ status }: TSHost): boolean {
  return status?.preparation?.unverifiedRegistries !== undefined;
}

function trustsOnFirstUse({ spec: { ssh } }: TSHost): boolean {
  return [ssh.hostKeyPolicy, ssh.bastion?.hostKeyPolicy].includes('TrustOnFirstUse');
}
