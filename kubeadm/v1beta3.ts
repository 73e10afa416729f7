// SPDX-License-Identifier: Apache-2.0
// kubeadm.k8s.io/v1beta3, for Kubernetes before 1.31. Arguments are a map; what came with v1beta4 is left out: extraEnvs, serial
// image pulls, key algorithm, validity periods, and timeouts but for the two that stood elsewhere (KB-43).
import type {
  Arg,
  ClusterConfiguration,
  ControlPlaneComponent,
  LocalEtcd,
} from '../api/bootstrap/cluster-configuration.ts';
import type { InitConfiguration } from '../api/bootstrap/init-configuration.ts';
import type { JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import type { NodeRegistrationOptions } from '../api/bootstrap/node-registration.ts';
import {
  apiEndpoint,
  bootstrapTokens,
  discovery,
  durationField,
  externalEtcd,
  hostPathMounts,
  networking,
  nodeRegistration,
  unlessEmpty,
  unlessUnset,
} from './document-parts.ts';
import type { ClusterDetails } from './v1beta4.ts';
import type { YamlMap } from './yaml.ts';

const API_VERSION = 'kubeadm.k8s.io/v1beta3';

/** ClusterConfiguration in v1beta3. `timeoutSeconds` is the one that v1beta4 has in its InitConfiguration. */
export function clusterConfiguration(
  spec: ClusterConfiguration,
  details: ClusterDetails,
  timeoutSeconds: number | undefined,
): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterConfiguration',
    apiServer: {
      ...component(spec.apiServer),
      certSANs: unlessEmpty(spec.apiServer?.certSANs),
      timeoutForControlPlane: durationField(timeoutSeconds),
    },
    certificatesDir: unlessEmpty(spec.certificatesDir),
    clusterName: unlessEmpty(details.cluster.name),
    controlPlaneEndpoint: unlessEmpty(details.controlPlaneEndpoint),
    controllerManager: component(spec.controllerManager),
    dns: {
      imageRepository: unlessEmpty(spec.dns?.imageRepository),
      imageTag: unlessEmpty(spec.dns?.imageTag),
    },
    etcd: { local: localEtcd(spec.etcd?.local), external: externalEtcd(unlessUnset(spec.etcd?.external)) },
    featureGates: unlessEmpty(spec.featureGates),
    imageRepository: unlessEmpty(spec.imageRepository),
    kubernetesVersion: details.kubernetesVersion,
    networking: networking(details.cluster),
    scheduler: component(spec.scheduler),
  };
}

/** InitConfiguration in v1beta3. Throws InputError. */
export function initConfiguration(spec: InitConfiguration): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'InitConfiguration',
    bootstrapTokens: bootstrapTokens(spec.bootstrapTokens),
    localAPIEndpoint: apiEndpoint(spec.localAPIEndpoint),
    nodeRegistration: registration(spec.nodeRegistration, 'spec.initConfiguration.nodeRegistration'),
    patches: patches(spec.patches),
    skipPhases: unlessEmpty(spec.skipPhases),
  };
}

/** JoinConfiguration in v1beta3. Throws InputError. */
export function joinConfiguration(spec: JoinConfiguration): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'JoinConfiguration',
    caCertPath: unlessEmpty(spec.caCertPath),
    controlPlane: spec.controlPlane && { localAPIEndpoint: apiEndpoint(spec.controlPlane.localAPIEndpoint) },
    discovery: {
      ...discovery(spec.discovery),
      timeout: durationField(spec.timeouts?.tlsBootstrapSeconds),
    },
    nodeRegistration: registration(spec.nodeRegistration, 'spec.joinConfiguration.nodeRegistration'),
    patches: patches(spec.patches),
    skipPhases: unlessEmpty(spec.skipPhases),
  };
}

function component(options: ControlPlaneComponent | undefined): YamlMap {
  return {
    extraArgs: args(options?.extraArgs),
    extraVolumes: hostPathMounts(options?.extraVolumes),
  };
}

function localEtcd(options: LocalEtcd | undefined): YamlMap | undefined {
  if (unlessUnset(options) === undefined) return undefined;
  return {
    dataDir: options?.dataDir ?? '',
    extraArgs: args(options?.extraArgs),
    imageRepository: unlessEmpty(options?.imageRepository),
    imageTag: unlessEmpty(options?.imageTag),
    peerCertSANs: unlessEmpty(options?.peerCertSANs),
    serverCertSANs: unlessEmpty(options?.serverCertSANs),
  };
}

function registration(options: NodeRegistrationOptions | undefined, field: string): YamlMap {
  return { ...nodeRegistration(options, field), kubeletExtraArgs: args(options?.kubeletExtraArgs) };
}

/** A map has room for one value: the last one given counts (KB-43). */
function args(list: readonly Arg[] | undefined): YamlMap | undefined {
  return unlessEmpty<YamlMap>(Object.fromEntries((list ?? []).map(({ name, value }) => [name, value])));
}

function patches(options: InitConfiguration['patches']): YamlMap | undefined {
  return unlessUnset(options) && { directory: unlessEmpty(options?.directory) };
}
