// SPDX-License-Identifier: Apache-2.0
// `ts-provider render`: what a machine would get, without a management cluster.
import { parseArgs } from 'node:util';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { controlPlaneEndpointText } from '../kubeadm/discovery.ts';
import { ignitionVersionOf } from '../kubeadm/ignition-version.ts';
import { renderBootstrapData, type RenderInput } from '../kubeadm/render.ts';
import { requireUsable } from './check.ts';
import { clusterFacts } from './cluster-facts.ts';
import { givenSecrets } from './given-secrets.ts';
import { completeJoin, type JoinOptions } from './join.ts';
import { type ConfigManifest, type Manifests, readManifests, UsageError } from './manifests.ts';
import { masked } from './mask.ts';
import { checkShape } from './shape.ts';
import { type Note, type Source, sourceTable } from './sources.ts';
import { chosenConfig, clusterOf, machineOf, purposeOf, versionOf } from './subject.ts';

export const RENDER_HELP = `ts-provider render -f FILE [-f FILE...] [--cluster FILE]

Prints the bootstrap data that a machine would get, and to the standard error where its values came from. The files may hold the
KubeadmConfig (or a KubeadmConfigTemplate, or a KubeadmControlPlane) and whatever it depends on: Cluster, Machine, Secrets. What is
missing is replaced by a placeholder, and said. Nothing is asked of any cluster.

  -f, --filename FILE          manifests, YAML or JSON; - is the standard input
  --cluster FILE               more manifests; the Cluster is usually here
  --name NAME                  which configuration, where the files hold several
  --purpose PURPOSE            init, control-plane-join or worker-join; default: what the configuration looks like
  --kubernetes-version VERSION default: the Machine's, else the Cluster's topology, else that of this release
  --show-secrets               print keys, tokens, password hashes and contents of Secrets; they are masked otherwise
`;

/** What is printed: the data, and where it came from. */
export interface Rendering {
  readonly data: string;
  readonly notes: readonly string[];
}

/** The command. Throws UsageError or InputError. */
export function renderCommand(args: readonly string[]): Rendering {
  const { values } = parseArgs({
    args: [...args],
    options: {
      filename: { type: 'string', short: 'f', multiple: true, default: [] },
      cluster: { type: 'string', multiple: true, default: [] },
      name: { type: 'string' },
      purpose: { type: 'string' },
      'kubernetes-version': { type: 'string' },
      'show-secrets': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { data: RENDER_HELP, notes: [] };
  if (values.filename.length === 0) throw new UsageError('give the file of the KubeadmConfig with -f FILE');
  const manifests = readManifests([...values.filename, ...values.cluster]);
  const config = chosenConfig(manifests.configs, values.name);
  checkShape(config);
  return render(manifests, config, {
    purpose: values.purpose,
    version: values['kubernetes-version'],
    showSecrets: values['show-secrets'],
  });
}

interface Options {
  readonly purpose: string | undefined;
  readonly version: string | undefined;
  readonly showSecrets: boolean;
}

function render(manifests: Manifests, config: ConfigManifest, options: Options): Rendering {
  const sources: Source[] = [];
  const note: Note = (value, text, from) => void sources.push({ value, text, from });
  const input = renderInput(manifests, config, { ...options, note });
  const { value } = renderBootstrapData(input);
  const machine = machineOf(manifests, config);
  const isGiven = (secret: string) => manifests.secrets.some(({ metadata }) => metadata.name === secret);
  const inTheClear = renderInput(manifests, config, { ...options, showSecrets: true, note: () => undefined });
  requireUsable({ input: inTheClear, config, machine, isGiven }, note);
  return { data: value, notes: [config.label, ...sourceTable(sources)] };
}

/** What is rendered, masked unless asked for otherwise. */
function renderInput(
  manifests: Manifests,
  config: ConfigManifest,
  { note, ...options }: Options & { readonly note: Note },
): RenderInput {
  const machine = machineOf(manifests, config);
  const cluster = clusterOf(manifests, config, machine);
  const purpose = purposeOf(config, machine, options.purpose);
  note('purpose', purpose.value, purpose.from);
  const version = versionOf(machine, cluster, options.version);
  note('Kubernetes version', version.value, version.from);
  const facts = clusterFacts(cluster, note);
  const about = { purpose: purpose.value, clusterName: facts.name, showSecrets: options.showSecrets };
  const secrets = givenSecrets(manifests, config, about);
  for (const { value, text, from } of secrets.sources) note(value, text, from);
  const spec = options.showSecrets ? config.spec : masked(config.spec);
  return {
    ...secrets,
    purpose: purpose.value,
    spec:
      purpose.value === 'init'
        ? spec
        : joined(spec, { ...options, ...secrets, purpose: purpose.value, facts, note }),
    cluster: facts,
    kubernetesVersion: version.value,
    secrets: secrets.values,
    variables: templateVariables(manifests, note),
    ignitionVersion: ignitionVersionOf(config.annotations),
  };
}

type Joining = Omit<JoinOptions, 'endpoint'> & { facts: ReturnType<typeof clusterFacts>; note: Note };

function joined(spec: KubeadmConfigSpec, { facts, note, ...options }: Joining): KubeadmConfigSpec {
  const endpoint = controlPlaneEndpointText(facts.controlPlaneEndpoint);
  return { ...spec, joinConfiguration: completeJoin(spec.joinConfiguration, { ...options, endpoint }, note) };
}

function templateVariables({ controlPlaneVersion }: Manifests, note: Note) {
  if (controlPlaneVersion === undefined) return {};
  note('.controlPlane.version', controlPlaneVersion, 'KubeadmControlPlane spec.version');
  return { controlPlane: { version: controlPlaneVersion } };
}
