// SPDX-License-Identifier: Apache-2.0
// Takes secrets out of a configuration before anything is rendered from it: what is not there cannot be printed.
import type { Discovery, FileDiscoveryKubeConfig } from '../api/bootstrap/join-configuration.ts';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';

/** Stands in for a token: kubeadm would take it, and everybody can see that it is none. */
export const PLACEHOLDER_TOKEN = 'abcdef.0123456789abcdef';

const MASK = '(masked)';

/** A copy without tokens, password hashes, and what a kubeconfig for discovery says of its user. */
export function masked(spec: KubeadmConfigSpec): KubeadmConfigSpec {
  const copy = structuredClone(spec);
  for (const token of copy.initConfiguration?.bootstrapTokens ?? []) token.token = PLACEHOLDER_TOKEN;
  for (const user of copy.users ?? []) if (user.passwd !== undefined) user.passwd = MASK;
  const discovery = copy.joinConfiguration?.discovery;
  if (discovery !== undefined) maskDiscovery(discovery);
  return copy;
}

function maskDiscovery(discovery: Discovery): void {
  const { bootstrapToken, file } = discovery;
  if (bootstrapToken?.token !== undefined) bootstrapToken.token = PLACEHOLDER_TOKEN;
  if (discovery.tlsBootstrapToken !== undefined) discovery.tlsBootstrapToken = PLACEHOLDER_TOKEN;
  const user = file?.kubeConfig?.user;
  if (user !== undefined) maskUser(user);
}

function maskUser({ exec, authProvider }: FileDiscoveryKubeConfig['user']): void {
  for (const variable of exec?.env ?? []) variable.value = MASK;
  const config = authProvider?.config ?? {};
  for (const key of Object.keys(config)) config[key] = MASK;
}
