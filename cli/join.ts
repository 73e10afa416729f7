// SPDX-License-Identifier: Apache-2.0
import type { BootstrapTokenDiscovery, JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import { completeDiscovery } from '../kubeadm/complete-discovery.ts';
import type { Purpose } from '../kubeadm/machine-contents.ts';
import { PLACEHOLDER_TOKEN } from './mask.ts';
import type { Note } from './sources.ts';

/** The hash of a CA that nobody gave. */
const PLACEHOLDER_HASH = `sha256:${'0'.repeat(64)}`;

const OF_SPEC = 'spec.joinConfiguration.discovery.bootstrapToken';

export interface JoinOptions {
  readonly purpose: Exclude<Purpose, 'init'>;
  /** `host:port`. */
  readonly endpoint: string;
  /** PEM; `undefined` when it was not given. */
  readonly clusterCA: string | undefined;
  readonly caSource: string;
  readonly showSecrets: boolean;
}

/** The configuration of a join, complete as the controller would make it. */
export function completeJoin(
  given: JoinConfiguration | undefined,
  options: JoinOptions,
  note: Note,
): JoinConfiguration {
  const before = given?.discovery?.bootstrapToken ?? {};
  const withCA = options.clusterCA === undefined ? withPlaceholderHash(given) : given;
  const join = completeDiscovery(withCA, { ...options, newToken: () => PLACEHOLDER_TOKEN });
  const token = join.discovery?.bootstrapToken;
  if (token !== undefined) noteToken({ before, token, options }, note);
  return join;
}

interface TokenSources {
  readonly before: BootstrapTokenDiscovery;
  readonly token: BootstrapTokenDiscovery;
  readonly options: JoinOptions;
}

function noteToken({ before, token, options }: TokenSources, note: Note): void {
  const { apiServerEndpoint = '', caCertHashes = [] } = token;
  note('API server', apiServerEndpoint, before.apiServerEndpoint ? OF_SPEC : 'the endpoint above');
  note('CA hashes', caCertHashes.join(' '), before.caCertHashes ? OF_SPEC : options.caSource);
  if (before.token) note('bootstrap token', options.showSecrets ? before.token : 'masked', OF_SPEC);
  else note('bootstrap token', PLACEHOLDER_TOKEN, 'a placeholder: the controller makes one for each machine');
}

/** The controller would wait for the CA: no machine is told to trust just anybody because a file is missing here. */
function withPlaceholderHash(given: JoinConfiguration | undefined): JoinConfiguration {
  const token = given?.discovery?.bootstrapToken;
  if ((token?.caCertHashes ?? []).length > 0 || given?.discovery?.file !== undefined) return { ...given };
  const bootstrapToken = { ...token, caCertHashes: [PLACEHOLDER_HASH] };
  return { ...given, discovery: { ...given?.discovery, bootstrapToken } };
}
