// SPDX-License-Identifier: Apache-2.0
// What a machine gets, from what is known of it: the one place where the parts come together. Pure.
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { renderCloudConfig } from './cloud-init.ts';
import { controlPlaneEndpointText, discoveryKubeConfig } from './discovery.ts';
import { initDocuments, joinDocument } from './documents.ts';
import { resolveFiles, resolveUsers, type SecretValues, type TemplateVariables } from './files.ts';
import { type IgnitionVersion, renderIgnition } from './ignition/render.ts';
import type { ClusterFacts, MachineContents, Purpose, ResolvedFile } from './machine-contents.ts';

/** Everything that bootstrap data is made of. */
export interface RenderInput {
  readonly purpose: Purpose;
  /** For a join, `joinConfiguration.discovery` is complete. */
  readonly spec: KubeadmConfigSpec;
  readonly cluster: ClusterFacts;
  /** Of this machine, which may differ from the control plane's (KB-40). */
  readonly kubernetesVersion: string;
  /** Files of the certificates that kubeadm is to find, in order (KB-33); none for a worker. */
  readonly certificateFiles: readonly ResolvedFile[];
  /** PEM of the cluster's CA, for a kubeconfig of `discovery.file`. */
  readonly clusterCA: string | undefined;
  readonly secrets: SecretValues;
  readonly variables: TemplateVariables;
  readonly ignitionVersion: IgnitionVersion;
}

/** Bootstrap data as it is published (BC-2). */
export interface RenderedData {
  readonly value: string;
  readonly format: 'cloud-config' | 'ignition';
}

/** Renders cloud-config or Ignition. Throws InputError for a spec that cannot be rendered. */
export function renderBootstrapData(input: RenderInput): RenderedData {
  return renderContents(machineContents(input), input);
}

/** The same for contents that are at hand. Throws InputError for what the format cannot hold. */
export function renderContents(
  contents: MachineContents,
  { spec, ignitionVersion }: Pick<RenderInput, 'spec' | 'ignitionVersion'>,
): RenderedData {
  if (spec.format !== 'ignition') return { value: renderCloudConfig(contents), format: 'cloud-config' };
  const containerLinuxConfig = spec.ignition?.containerLinuxConfig;
  const value = renderIgnition(contents, {
    version: ignitionVersion,
    additionalConfig: containerLinuxConfig?.additionalConfig,
    strict: containerLinuxConfig?.strict ?? false,
  });
  return { value, format: 'ignition' };
}

/** What the machine is to find, before it is put into a format. Throws InputError. */
export function machineContents(input: RenderInput): MachineContents {
  const { spec, purpose, secrets } = input;
  return {
    purpose,
    kubeadmConfig: purpose === 'init' ? initDocuments(input) : joinDocument(input, purpose),
    files: [
      ...input.certificateFiles,
      ...resolveFiles(spec, secrets, input.variables),
      ...discoveryFiles(input),
    ],
    users: resolveUsers(spec, secrets),
    bootCommands: spec.bootCommands ?? [],
    preKubeadmCommands: spec.preKubeadmCommands ?? [],
    postKubeadmCommands: spec.postKubeadmCommands ?? [],
    mounts: spec.mounts ?? [],
    diskSetup: spec.diskSetup,
    ntp: spec.ntp,
    verbosity: spec.verbosity,
  };
}

function discoveryFiles({ purpose, spec, cluster, clusterCA }: RenderInput): ResolvedFile[] {
  const file = spec.joinConfiguration?.discovery?.file;
  if (purpose === 'init' || file === undefined) return [];
  const endpoint = cluster.controlPlaneEndpoint && controlPlaneEndpointText(cluster.controlPlaneEndpoint);
  const kubeconfig = discoveryKubeConfig(file, { endpoint: endpoint ?? '', clusterCA: clusterCA ?? '' });
  return kubeconfig === undefined ? [] : [kubeconfig];
}
