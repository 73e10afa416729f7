// SPDX-License-Identifier: Apache-2.0
import type { BootstrapTokenDiscovery, JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import { caCertHashes } from './discovery.ts';
import type { Purpose } from './machine-contents.ts';

/** What a join takes from the cluster where its own configuration says nothing. */
export interface DiscoveryDefaults {
  readonly purpose: Exclude<Purpose, 'init'>;
  /** `host:port` of the control plane endpoint. */
  readonly endpoint: string;
  /** PEM of the cluster's CA; `undefined` joins without verifying it, as the stock provider does. */
  readonly clusterCA: string | undefined;
  /** Makes a bootstrap token; called only when the configuration has none. */
  readonly newToken: () => string;
}

/**
 * The configuration with everything that discovery needs (KB-18): what is there stays, what is missing is taken from the cluster.
 * A control plane join gets its `controlPlane` member (6.4).
 */
export function completeDiscovery(
  given: JoinConfiguration | undefined,
  defaults: DiscoveryDefaults,
): JoinConfiguration {
  const join: JoinConfiguration = { ...given };
  if (defaults.purpose === 'control-plane-join') join.controlPlane ??= {};
  if (join.discovery?.file !== undefined) return join;
  join.discovery = {
    ...join.discovery,
    bootstrapToken: completeToken(join.discovery?.bootstrapToken ?? {}, defaults),
  };
  return join;
}

function completeToken(given: BootstrapTokenDiscovery, defaults: DiscoveryDefaults): BootstrapTokenDiscovery {
  const token = { ...given };
  if (isEmpty(token.caCertHashes) && defaults.clusterCA !== undefined)
    token.caCertHashes = caCertHashes(defaults.clusterCA);
  token.apiServerEndpoint ||= defaults.endpoint;
  token.token ||= defaults.newToken();
  if (isEmpty(token.caCertHashes)) token.unsafeSkipCAVerification = true;
  return token;
}

function isEmpty(list: readonly string[] | undefined): boolean {
  return list === undefined || list.length === 0;
}
