// SPDX-License-Identifier: Apache-2.0
// The documents that kubeadm reads on a machine, in the API version that the machine's kubeadm knows (KB-40 to KB-44).
import type { JoinConfiguration } from '../api/bootstrap/join-configuration.ts';
import type { Taint } from '../api/bootstrap/node-registration.ts';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { controlPlaneEndpointText } from './discovery.ts';
import { InputError } from './input-error.ts';
import type { ClusterFacts } from './machine-contents.ts';
import * as v1beta3 from './v1beta3.ts';
import * as v1beta4 from './v1beta4.ts';
import { kubeadmAPIVersion, parseKubernetesVersion } from './version.ts';
import { type YamlMap, yamlDocument } from './yaml.ts';

/** What documents are made of. */
export interface DocumentInput {
  readonly spec: KubeadmConfigSpec;
  /** Of this machine, as it is written in its Machine. */
  readonly kubernetesVersion: string;
  readonly cluster: ClusterFacts;
}

/** Keeps Pods off a worker until Cluster API has put the Machine's labels on its Node; core takes it away (BC-10). */
const NODE_UNINITIALIZED: Taint = { key: 'node.cluster.x-k8s.io/uninitialized', effect: 'NoSchedule' };

/** For `kubeadm init`: `---`, ClusterConfiguration, an empty line, `---`, InitConfiguration. Throws InputError. */
export function initDocuments({ spec, kubernetesVersion, cluster }: DocumentInput): string {
  const init = spec.initConfiguration ?? {};
  const details = { cluster, kubernetesVersion, controlPlaneEndpoint: controlPlaneEndpoint(spec, cluster) };
  const clusterSpec = spec.clusterConfiguration ?? {};
  if (apiVersionFor(kubernetesVersion) === 'kubeadm.k8s.io/v1beta4') {
    return joined(v1beta4.clusterConfiguration(clusterSpec, details), v1beta4.initConfiguration(init));
  }
  const timeoutSeconds = init.timeouts?.controlPlaneComponentHealthCheckSeconds;
  return joined(
    v1beta3.clusterConfiguration(clusterSpec, details, timeoutSeconds),
    v1beta3.initConfiguration(init),
  );
}

/**
 * For `kubeadm join`: a JoinConfiguration, for a worker behind `---` and with the taint that keeps Pods off it for now (6.4, 6.5).
 * Throws InputError.
 */
export function joinDocument(
  { spec, kubernetesVersion }: DocumentInput,
  purpose: 'control-plane-join' | 'worker-join',
): string {
  const join = spec.joinConfiguration ?? {};
  const complete = purpose === 'worker-join' ? forWorker(join) : forControlPlane(join);
  const document =
    apiVersionFor(kubernetesVersion) === 'kubeadm.k8s.io/v1beta4'
      ? v1beta4.joinConfiguration(complete)
      : v1beta3.joinConfiguration(complete);
  return `${purpose === 'worker-join' ? '---\n' : ''}${yamlDocument(document)}`;
}

function joined(clusterConfiguration: YamlMap, initConfiguration: YamlMap): string {
  return `---\n${yamlDocument(clusterConfiguration)}\n---\n${yamlDocument(initConfiguration)}`;
}

function apiVersionFor(kubernetesVersion: string) {
  return kubeadmAPIVersion(parseKubernetesVersion(kubernetesVersion, 'kubernetesVersion'));
}

/** What the spec says is kept; else the endpoint of the Cluster (6.3). */
function controlPlaneEndpoint(spec: KubeadmConfigSpec, cluster: ClusterFacts): string | undefined {
  const given = spec.clusterConfiguration?.controlPlaneEndpoint ?? '';
  if (given !== '') return given;
  return cluster.controlPlaneEndpoint && controlPlaneEndpointText(cluster.controlPlaneEndpoint);
}

function forControlPlane(join: JoinConfiguration): JoinConfiguration {
  return { ...join, controlPlane: join.controlPlane ?? {} };
}

/** A copy: the taint is never written back to the spec. */
function forWorker(join: JoinConfiguration): JoinConfiguration {
  if (join.controlPlane !== undefined) {
    throw new InputError('spec.joinConfiguration.controlPlane', 'a worker cannot have it, remove it');
  }
  const taints = join.nodeRegistration?.taints ?? [];
  const present = taints.some(
    ({ key, effect }) => key === NODE_UNINITIALIZED.key && effect === NODE_UNINITIALIZED.effect,
  );
  if (present) return join;
  return { ...join, nodeRegistration: { ...join.nodeRegistration, taints: [...taints, NODE_UNINITIALIZED] } };
}
