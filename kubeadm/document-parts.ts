// SPDX-License-Identifier: Apache-2.0
// What v1beta3 and v1beta4 of kubeadm's configuration have in common, and the rule for what is written at all (KB-41).
import type { ExternalEtcd, HostPathMount } from '../api/bootstrap/cluster-configuration.ts';
import type { BootstrapToken } from '../api/bootstrap/init-configuration.ts';
import type { Discovery } from '../api/bootstrap/join-configuration.ts';
import type { APIEndpoint, NodeRegistrationOptions, Taint } from '../api/bootstrap/node-registration.ts';
import { durationOfSeconds, timeInUTC } from './duration.ts';
import { InputError } from './input-error.ts';
import type { ClusterFacts } from './machine-contents.ts';
import { isToken } from './token.ts';
import type { YamlMap, YamlValue } from './yaml.ts';

/** A value that kubeadm would take for unset is left out: `''`, `0`, `false`, an empty list, an empty map. */
export function unlessEmpty<T extends YamlValue>(value: T | undefined): T | undefined {
  if (value === undefined || value === null || value === '' || value === 0 || value === false)
    return undefined;
  return typeof value === 'object' && Object.keys(value).length === 0 ? undefined : value;
}

/** An object of the spec in which something is set; one in which nothing is counts as absent. */
export function unlessUnset<T extends object>(value: T | undefined): T | undefined {
  return value !== undefined && Object.values(value).some((member) => member !== undefined)
    ? value
    : undefined;
}

/** A duration, or nothing where none is asked for; 0 is written. */
export function durationField(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : durationOfSeconds(seconds);
}

/** Networking of a ClusterConfiguration, which the spec cannot set (6.3). */
export function networking({ serviceDomain, serviceCIDRs, podCIDRs }: ClusterFacts): YamlMap {
  return {
    dnsDomain: unlessEmpty(serviceDomain),
    podSubnet: unlessEmpty(podCIDRs.join(',')),
    serviceSubnet: unlessEmpty(serviceCIDRs.join(',')),
  };
}

/** Volumes of a control plane component. */
export function hostPathMounts(mounts: readonly HostPathMount[] | undefined): YamlValue[] | undefined {
  return unlessEmpty(
    mounts?.map(({ name, hostPath, mountPath, pathType, readOnly }) => ({
      name,
      hostPath,
      mountPath,
      pathType: unlessEmpty(pathType),
      readOnly: unlessEmpty(readOnly),
    })),
  );
}

/** Endpoints and client certificate of an etcd that kubeadm does not run. */
export function externalEtcd(etcd: ExternalEtcd | undefined): YamlMap | undefined {
  if (etcd === undefined) return undefined;
  const { endpoints, caFile, certFile, keyFile } = etcd;
  return { endpoints, caFile, certFile, keyFile };
}

/** Where an API server listens. */
export function apiEndpoint(endpoint: APIEndpoint | undefined): YamlMap {
  return {
    advertiseAddress: unlessEmpty(endpoint?.advertiseAddress),
    bindPort: unlessEmpty(endpoint?.bindPort),
  };
}

/**
 * What a node is registered with, without its arguments. Taints that are unset are null, which lets kubeadm taint a control
 * plane node; an empty list says that it shall have none (KB-41, PIT-15). `field` is where the options stand.
 */
export function nodeRegistration(options: NodeRegistrationOptions | undefined, field: string): YamlMap {
  return {
    name: unlessEmpty(options?.name),
    criSocket: unlessEmpty(options?.criSocket),
    ignorePreflightErrors: unlessEmpty(options?.ignorePreflightErrors),
    imagePullPolicy: unlessEmpty(options?.imagePullPolicy),
    taints: options?.taints?.map((taint, index) => taintFields(taint, `${field}.taints[${index}]`)) ?? null,
  };
}

function taintFields({ key, value, effect, timeAdded }: Taint, field: string): YamlMap {
  return {
    key,
    value: unlessEmpty(value),
    effect,
    timeAdded: timeAdded === undefined ? undefined : timeInUTC(timeAdded, `${field}.timeAdded`),
  };
}

/** Tokens that `kubeadm init` makes. Throws InputError for one that is not `id.secret`, without naming it. */
export function bootstrapTokens(tokens: readonly BootstrapToken[] | undefined): YamlValue[] | undefined {
  return unlessEmpty(
    tokens?.map((token, index) => bootstrapToken(token, `spec.initConfiguration.bootstrapTokens[${index}]`)),
  );
}

function bootstrapToken(token: BootstrapToken, field: string): YamlMap {
  if (!isToken(token.token)) {
    throw new InputError(
      `${field}.token`,
      'is not a bootstrap token, which has 6 and 16 of a-z0-9 around a dot',
    );
  }
  return {
    token: token.token,
    description: unlessEmpty(token.description),
    ttl: durationField(token.ttlSeconds),
    expires: token.expires === undefined ? undefined : timeInUTC(token.expires, `${field}.expires`),
    usages: unlessEmpty(token.usages),
    groups: unlessEmpty(token.groups),
  };
}

/** How a joining machine finds the cluster. The kubeconfig of `file` is ours to write and never kubeadm's to read (KB-18). */
export function discovery(options: Discovery | undefined): YamlMap {
  const token = unlessUnset(options?.bootstrapToken);
  const file = unlessUnset(options?.file);
  return {
    bootstrapToken: token && {
      token: token.token ?? '',
      apiServerEndpoint: unlessEmpty(token.apiServerEndpoint),
      caCertHashes: unlessEmpty(token.caCertHashes),
      unsafeSkipCAVerification: unlessEmpty(token.unsafeSkipCAVerification),
    },
    file: file && { kubeConfigPath: file.kubeConfigPath },
    tlsBootstrapToken: unlessEmpty(options?.tlsBootstrapToken),
  };
}
