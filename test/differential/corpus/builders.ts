// SPDX-License-Identifier: Apache-2.0
// How the corpus says a scenario in one line: what is not said is the ordinary case.
import type { KubeadmConfigSpec } from '../../../api/kubeadmconfig.ts';
import type { ClusterShape, Owner, Scenario } from '../scenario.ts';

/** What a scenario may differ in from the ordinary one of its purpose. */
export interface Variation extends Partial<Omit<Scenario, 'id' | 'owner' | 'spec' | 'cluster'>> {
  readonly cluster?: Partial<ClusterShape>;
}

export const VERSION = 'v1.36.3';

/** Kubernetes minors of the corpus. */
export const MINORS = [28, 29, 30, 31, 32, 33, 34, 35, 36, 37] as const;

/** The first control plane Machine of a Cluster whose control plane provider has made the certificates. */
export function init(name: string, spec: KubeadmConfigSpec = {}, variation: Variation = {}): Scenario {
  return scenario(`init-${name}`, 'control-plane', spec, {
    ...variation,
    cluster: { initialized: false, certificates: 'rsa', controlPlane: VERSION, ...variation.cluster },
  });
}

/** A further control plane Machine. */
export function controlPlaneJoin(
  name: string,
  spec: KubeadmConfigSpec = {},
  variation: Variation = {},
): Scenario {
  return scenario(`cp-${name}`, 'control-plane', spec, joins(variation));
}

/** A worker Machine. */
export function workerJoin(name: string, spec: KubeadmConfigSpec = {}, variation: Variation = {}): Scenario {
  return scenario(`worker-${name}`, 'worker', spec, joins(variation));
}

/** A MachinePool. */
export function poolJoin(name: string, spec: KubeadmConfigSpec = {}, variation: Variation = {}): Scenario {
  return scenario(`pool-${name}`, 'pool', spec, joins(variation));
}

/** The same spec for a control plane join, a worker and a pool. */
export function joinOfEach(name: string, spec: KubeadmConfigSpec, variation: Variation = {}): Scenario[] {
  return [controlPlaneJoin, workerJoin, poolJoin].map((purpose) => purpose(name, spec, variation));
}

/** The same spec for init and for a worker: cloud-init and Ignition know no other difference in what is not kubeadm's. */
export function initAndWorker(name: string, spec: KubeadmConfigSpec, variation: Variation = {}): Scenario[] {
  return [init, workerJoin].map((purpose) => purpose(name, spec, variation));
}

function joins(variation: Variation): Variation & { cluster: ClusterShape } {
  const shape = { initialized: true, certificates: 'rsa', controlPlane: VERSION } as const;
  return { ...variation, cluster: { ...shape, ...variation.cluster } };
}

function scenario(
  id: string,
  owner: Owner,
  spec: KubeadmConfigSpec,
  { cluster, ...rest }: Variation & { cluster: ClusterShape },
): Scenario {
  return { version: VERSION, expect: 'data', ...rest, id, owner, spec, cluster };
}
