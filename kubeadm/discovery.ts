// SPDX-License-Identifier: Apache-2.0
// How a joining machine finds the control plane and knows that it is the right one (KB-18, KB-19).
import { createHash } from 'node:crypto';
import type { FileDiscovery, FileDiscoveryKubeConfig } from '../api/bootstrap/join-configuration.ts';
import { subjectPublicKeyInfo } from './der.ts';
import { InputError } from './input-error.ts';
import type { ResolvedFile } from './machine-contents.ts';
import { certificatesIn } from './pem.ts';
import { yamlDocument, type YamlMap } from './yaml.ts';

/**
 * Hashes by which kubeadm knows the CA: `sha256:` and, in lower-case hex, the SHA-256 of the public key as it stands in the
 * certificate; one for each certificate of the bundle, in its order (KB-19). Throws InputError.
 */
export function caCertHashes(pem: string): string[] {
  return certificatesIn(pem, 'certificate of the cluster CA').map(({ raw }) => {
    const digest = createHash('sha256').update(subjectPublicKeyInfo(raw)).digest('hex');
    return `sha256:${digest}`;
  });
}

/** `host:port`, an IPv6 address in brackets. */
export function controlPlaneEndpointText({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What a kubeconfig for discovery takes from the cluster; the empty string where the cluster has it not yet. */
export interface DiscoveryKubeConfigOptions {
  /** `host:port` of the control plane endpoint. */
  readonly endpoint: string;
  /** PEM. */
  readonly clusterCA: string;
}

const EXEC_API_VERSION = 'client.authentication.k8s.io/v1';

/**
 * The file that `discovery.file.kubeConfig` asks for; `undefined` when it does not. Server and CA come from the cluster unless
 * they are given (KB-18). Throws InputError when the cluster has neither.
 */
export function discoveryKubeConfig(
  file: FileDiscovery,
  options: DiscoveryKubeConfigOptions,
): ResolvedFile | undefined {
  if (file.kubeConfig === undefined) return undefined;
  const kubeconfig = {
    clusters: [{ name: 'default', cluster: clusterEntry(file.kubeConfig, options) }],
    contexts: [{ name: 'default', context: { cluster: 'default', user: 'default' } }],
    'current-context': 'default',
    users: [{ name: 'default', user: userEntry(file.kubeConfig) }],
  };
  return {
    path: file.kubeConfigPath,
    owner: 'root:root',
    permissions: '0640',
    content: yamlDocument(kubeconfig),
  };
}

const CLUSTER_FIELD = 'spec.joinConfiguration.discovery.file.kubeConfig.cluster';

function clusterEntry(
  { cluster = {} }: FileDiscoveryKubeConfig,
  options: DiscoveryKubeConfigOptions,
): YamlMap {
  const server = cluster.server ?? (options.endpoint && `https://${options.endpoint}`);
  const authority =
    cluster.certificateAuthorityData ?? Buffer.from(options.clusterCA, 'utf8').toString('base64');
  if (server === '')
    throw new InputError(`${CLUSTER_FIELD}.server`, 'set it, since the Cluster has no endpoint yet');
  if (authority === '') {
    const message = 'set it, since the Cluster has no CA yet';
    throw new InputError(`${CLUSTER_FIELD}.certificateAuthorityData`, message);
  }
  return {
    server,
    'certificate-authority-data': authority,
    'tls-server-name': cluster.tlsServerName,
    'insecure-skip-tls-verify': cluster.insecureSkipTLSVerify === true ? true : undefined,
    'proxy-url': cluster.proxyURL,
  };
}

function userEntry({ user: { authProvider, exec } }: FileDiscoveryKubeConfig): YamlMap {
  return {
    'auth-provider': authProvider && { name: authProvider.name, config: authProvider.config ?? null },
    exec: exec && {
      apiVersion: exec.apiVersion ?? EXEC_API_VERSION,
      args: exec.args ?? null,
      command: exec.command,
      env: exec.env?.map(({ name, value }) => ({ name, value })) ?? null,
      // Nobody is there to answer a question.
      interactiveMode: 'Never',
      provideClusterInfo: exec.provideClusterInfo ?? false,
    },
  };
}
