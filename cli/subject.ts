// SPDX-License-Identifier: Apache-2.0
// What is to be rendered: which configuration, whose Machine, of which Cluster, for what, in which version.
import type { Cluster, Machine } from '../api/cluster-api.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../api/labels.ts';
import type { Purpose } from '../kubeadm/machine-contents.ts';
import { type ConfigManifest, type Manifests, UsageError } from './manifests.ts';
import type { Found } from './sources.ts';

/** Used when nothing says which version the machine is to run. */
const DEFAULT_VERSION = 'v1.36.3';

const PURPOSES: readonly Purpose[] = ['init', 'control-plane-join', 'worker-join'];

/** The only configuration, or the one of that name. Throws UsageError. */
export function chosenConfig(configs: readonly ConfigManifest[], name: string | undefined): ConfigManifest {
  const found = name === undefined ? configs : configs.filter((config) => config.name === name);
  const [first, second] = found;
  if (first === undefined)
    throw new UsageError(`the files hold no KubeadmConfig${name === undefined ? '' : ` named ${name}`}`);
  if (second === undefined) return first;
  throw new UsageError(`the files hold ${found.map(({ label }) => label).join(', ')}: give one with --name`);
}

/** The Machine that owns the configuration, where it was given. */
export function machineOf({ machines }: Manifests, config: ConfigManifest): Machine | undefined {
  return (
    machines.find(({ metadata }) => metadata.name === config.ownerMachine) ??
    machines.find(({ spec }) => spec.bootstrap?.configRef?.name === config.name)
  );
}

/** The Cluster that Machine or label name, else the only one. */
export function clusterOf(
  { clusters }: Manifests,
  config: ConfigManifest,
  machine: Machine | undefined,
): Cluster | undefined {
  const name = machine?.spec.clusterName ?? config.labels[CLUSTER_NAME_LABEL];
  return name === undefined ? clusters[0] : clusters.find(({ metadata }) => metadata.name === name);
}

/** What was asked for, else what the configuration looks like. Throws UsageError. */
export function purposeOf(
  config: ConfigManifest,
  machine: Machine | undefined,
  asked: string | undefined,
): Found<Purpose> {
  if (asked === undefined) return apparentPurpose(config, machine);
  const value = PURPOSES.find((purpose) => purpose === asked);
  if (value !== undefined) return { value, from: '--purpose' };
  throw new UsageError(`--purpose is "${asked}"; use one of ${PURPOSES.join(', ')}`);
}

function apparentPurpose({ spec }: ConfigManifest, machine: Machine | undefined): Found<Purpose> {
  if (spec.joinConfiguration?.controlPlane !== undefined)
    return { value: 'control-plane-join', from: 'spec.joinConfiguration.controlPlane' };
  if (spec.clusterConfiguration !== undefined || spec.initConfiguration !== undefined)
    return { value: 'init', from: 'spec.clusterConfiguration or spec.initConfiguration' };
  const controlPlane = machine?.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
  return controlPlane
    ? { value: 'control-plane-join', from: `label ${CONTROL_PLANE_LABEL} of the Machine` }
    : { value: 'worker-join', from: 'the configuration has nothing of a control plane' };
}

/** The version that the machine is to run. */
export function versionOf(
  machine: Machine | undefined,
  cluster: Cluster | undefined,
  asked: string | undefined,
): Found<string> {
  if (asked !== undefined) return { value: asked, from: '--kubernetes-version' };
  if (machine?.spec.version !== undefined)
    return { value: machine.spec.version, from: `Machine ${machine.metadata.name} spec.version` };
  const topology = (cluster?.spec as { topology?: { version?: string } } | undefined)?.topology?.version;
  if (topology !== undefined) return { value: topology, from: 'Cluster spec.topology.version' };
  return { value: DEFAULT_VERSION, from: 'the default: give --kubernetes-version or the Machine' };
}
