// SPDX-License-Identifier: Apache-2.0
// kubeadm.k8s.io/v1beta4: our spec has its names; only durations are written otherwise (KB-41, KB-42).
import type {
  Arg,
  ClusterConfiguration,
  ControlPlaneComponent,
  EnvVar,
  LocalEtcd,
} from '../api/bootstrap/cluster-configuration.ts';
import type { InitConfiguration } from '../api/bootstrap/init-configuration.ts';
import type { JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import type { NodeRegistrationOptions, Timeouts } from '../api/bootstrap/node-registration.ts';
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
import { durationOfDays } from './duration.ts';
import type { ClusterFacts } from './machine-contents.ts';
import type { YamlMap, YamlValue } from './yaml.ts';

const API_VERSION = 'kubeadm.k8s.io/v1beta4';

/** What the cluster says of itself, next to the spec (6.3). */
export interface ClusterDetails {
  readonly cluster: ClusterFacts;
  /** As it is written in the Machine. */
  readonly kubernetesVersion: string;
  /** `host:port`. */
  readonly controlPlaneEndpoint: string | undefined;
}

/** ClusterConfiguration in v1beta4. */
export function clusterConfiguration(spec: ClusterConfiguration, details: ClusterDetails): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterConfiguration',
    apiServer: { ...component(spec.apiServer), certSANs: unlessEmpty(spec.apiServer?.certSANs) },
    caCertificateValidityPeriod: days(spec.caCertificateValidityPeriodDays),
    certificateValidityPeriod: days(spec.certificateValidityPeriodDays),
    certificatesDir: unlessEmpty(spec.certificatesDir),
    clusterName: unlessEmpty(details.cluster.name),
    controlPlaneEndpoint: unlessEmpty(details.controlPlaneEndpoint),
    controllerManager: component(spec.controllerManager),
    dns: {
      imageRepository: unlessEmpty(spec.dns?.imageRepository),
      imageTag: unlessEmpty(spec.dns?.imageTag),
    },
    encryptionAlgorithm: unlessEmpty(spec.encryptionAlgorithm),
    etcd: { local: localEtcd(spec.etcd?.local), external: externalEtcd(unlessUnset(spec.etcd?.external)) },
    featureGates: unlessEmpty(spec.featureGates),
    imageRepository: unlessEmpty(spec.imageRepository),
    kubernetesVersion: details.kubernetesVersion,
    networking: networking(details.cluster),
    proxy: {},
    scheduler: component(spec.scheduler),
  };
}

/** InitConfiguration in v1beta4. Throws InputError. */
export function initConfiguration(spec: InitConfiguration): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'InitConfiguration',
    bootstrapTokens: bootstrapTokens(spec.bootstrapTokens),
    localAPIEndpoint: apiEndpoint(spec.localAPIEndpoint),
    nodeRegistration: registration(spec.nodeRegistration, 'spec.initConfiguration.nodeRegistration'),
    patches: patches(spec.patches),
    skipPhases: unlessEmpty(spec.skipPhases),
    timeouts: timeouts(spec.timeouts),
  };
}

/** JoinConfiguration in v1beta4. Throws InputError. */
export function joinConfiguration(spec: JoinConfiguration): YamlMap {
  return {
    apiVersion: API_VERSION,
    kind: 'JoinConfiguration',
    caCertPath: unlessEmpty(spec.caCertPath),
    controlPlane: spec.controlPlane && { localAPIEndpoint: apiEndpoint(spec.controlPlane.localAPIEndpoint) },
    discovery: discovery(spec.discovery),
    nodeRegistration: registration(spec.nodeRegistration, 'spec.joinConfiguration.nodeRegistration'),
    patches: patches(spec.patches),
    skipPhases: unlessEmpty(spec.skipPhases),
    timeouts: timeouts(spec.timeouts),
  };
}

function component(options: ControlPlaneComponent | undefined): YamlMap {
  return {
    extraArgs: args(options?.extraArgs),
    extraEnvs: environment(options?.extraEnvs),
    extraVolumes: hostPathMounts(options?.extraVolumes),
  };
}

function localEtcd(options: LocalEtcd | undefined): YamlMap | undefined {
  if (unlessUnset(options) === undefined) return undefined;
  return {
    dataDir: options?.dataDir ?? '',
    extraArgs: args(options?.extraArgs),
    extraEnvs: environment(options?.extraEnvs),
    imageRepository: unlessEmpty(options?.imageRepository),
    imageTag: unlessEmpty(options?.imageTag),
    peerCertSANs: unlessEmpty(options?.peerCertSANs),
    serverCertSANs: unlessEmpty(options?.serverCertSANs),
  };
}

function registration(options: NodeRegistrationOptions | undefined, field: string): YamlMap {
  return {
    ...nodeRegistration(options, field),
    imagePullSerial: options?.imagePullSerial,
    kubeletExtraArgs: args(options?.kubeletExtraArgs),
  };
}

/** A list, so that an argument may be given several times; an empty value is a value (KB-44). */
function args(list: readonly Arg[] | undefined): YamlValue[] | undefined {
  return unlessEmpty(list?.map(({ name, value }) => ({ name, value })));
}

function environment(variables: readonly EnvVar[] | undefined): YamlValue[] | undefined {
  return unlessEmpty(
    variables?.map(({ name, value, valueFrom }) => ({
      name,
      value: unlessEmpty(value),
      valueFrom: valueFrom && valueSource(valueFrom),
    })),
  );
}

/** Sources are those of a Pod. The API server fills in an empty name and an absent divisor stands for 0, as it does there. */
function valueSource(source: NonNullable<EnvVar['valueFrom']>): YamlMap {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  return {
    fieldRef: fieldRef && { ...fieldRef, apiVersion: unlessEmpty(fieldRef.apiVersion) },
    resourceFieldRef: resourceFieldRef && {
      ...resourceFieldRef,
      containerName: unlessEmpty(resourceFieldRef.containerName),
      divisor: String(resourceFieldRef.divisor ?? 0),
    },
    configMapKeyRef: configMapKeyRef && { ...configMapKeyRef, name: unlessEmpty(configMapKeyRef.name) },
    secretKeyRef: secretKeyRef && { ...secretKeyRef, name: unlessEmpty(secretKeyRef.name) },
    fileKeyRef: fileKeyRef && { ...fileKeyRef },
  };
}

function timeouts(options: Timeouts | undefined): YamlMap | undefined {
  const set = unlessUnset(options);
  return (
    set && {
      controlPlaneComponentHealthCheck: durationField(set.controlPlaneComponentHealthCheckSeconds),
      discovery: durationField(set.discoverySeconds),
      etcdAPICall: durationField(set.etcdAPICallSeconds),
      kubeletHealthCheck: durationField(set.kubeletHealthCheckSeconds),
      kubernetesAPICall: durationField(set.kubernetesAPICallSeconds),
      tlsBootstrap: durationField(set.tlsBootstrapSeconds),
    }
  );
}

function patches(options: InitConfiguration['patches']): YamlMap | undefined {
  return unlessUnset(options) && { directory: unlessEmpty(options?.directory) };
}

function days(count: number | undefined): string | undefined {
  return count === undefined || count === 0 ? undefined : durationOfDays(count);
}
