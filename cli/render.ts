// SPDX-License-Identifier: Apache-2.0
// `ts-provider render`: what a machine would get, without a management cluster.
import { parseArgs } from 'node:util';
import type { Cluster, Machine } from '../api/cluster-api.ts';
import { CONTROL_PLANE_LABEL } from '../api/labels.ts';
import { completeDiscovery } from '../kubeadm/complete-discovery.ts';
import { controlPlaneEndpointText } from '../kubeadm/discovery.ts';
import type { ClusterFacts, Purpose } from '../kubeadm/machine-contents.ts';
import { renderBootstrapData } from '../kubeadm/render.ts';
import { ignitionVersionOf } from '../kubeadm/ignition-version.ts';
import { type ConfigManifest, type Manifests, readManifests, UsageError } from './manifests.ts';
import { givenSecrets, type GivenSecrets } from './given-secrets.ts';
import { type Source, sourceTable } from './sources.ts';
import { checkShape } from './shape.ts';

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

/** Used when nothing says which version the machine is to run. */
const DEFAULT_VERSION = 'v1.36.3';

const PURPOSES: readonly Purpose[] = ['init', 'control-plane-join', 'worker-join'];

/** A token that nobody was given. */
const PLACEHOLDER_TOKEN = 'abcdef.0123456789abcdef';

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
  const config = chosen(manifests.configs, values.name);
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
  const note = (value: string, text: string, from: string) => {
    sources.push({ value, text, from });
    return text;
  };
  const machine = machineOf(manifests, config);
  const cluster = clusterOf(manifests, config, machine);
  const purpose = purposeOf(config, machine, options.purpose);
  note('purpose', purpose.value, purpose.from);
  const version = versionOf(machine, cluster, options.version);
  note('Kubernetes version', version.value, version.from);
  const facts = factsOf(cluster, note);
  const secrets = givenSecrets(manifests, config, {
    purpose: purpose.value,
    clusterName: facts.name,
    showSecrets: options.showSecrets,
  });
  sources.push(...secrets.sources);
  const spec =
    purpose.value === 'init'
      ? config.spec
      : {
          ...config.spec,
          joinConfiguration: joined(config, purpose.value, { facts, secrets, note, options }),
        };
  const { value } = renderBootstrapData({
    purpose: purpose.value,
    spec,
    cluster: facts,
    kubernetesVersion: version.value,
    certificateFiles: secrets.certificateFiles,
    clusterCA: secrets.clusterCA,
    secrets: secrets.values,
    variables: templateVariables(manifests, note),
    ignitionVersion: ignitionVersionOf(config.annotations),
  });
  return { data: value, notes: [`${config.label}`, ...sourceTable(sources)] };
}

type Note = (value: string, text: string, from: string) => string;

interface JoinFacts {
  readonly facts: ClusterFacts;
  readonly secrets: GivenSecrets;
  readonly note: Note;
  readonly options: Options;
}

/** The configuration of a join, complete, with its token masked unless asked for. */
function joined(config: ConfigManifest, purpose: Exclude<Purpose, 'init'>, about: JoinFacts) {
  const { facts, secrets, note, options } = about;
  const given = config.spec.joinConfiguration;
  const join = completeDiscovery(given, {
    purpose,
    endpoint:
      facts.controlPlaneEndpoint === undefined ? '' : controlPlaneEndpointText(facts.controlPlaneEndpoint),
    clusterCA: secrets.clusterCA,
    newToken: () => PLACEHOLDER_TOKEN,
  });
  const token = join.discovery?.bootstrapToken;
  if (token === undefined) return join;
  const before = given?.discovery?.bootstrapToken;
  const ofSpec = 'spec.joinConfiguration.discovery.bootstrapToken';
  note(
    'API server',
    token.apiServerEndpoint ?? '',
    before?.apiServerEndpoint ? ofSpec : 'Cluster spec.controlPlaneEndpoint',
  );
  const hashes = token.caCertHashes ?? [];
  note(
    'CA hashes',
    hashes.join(' ') || 'none: the CA is not verified',
    before?.caCertHashes ? ofSpec : secrets.caSource,
  );
  const shown = options.showSecrets || before?.token === undefined ? token.token! : 'masked';
  note(
    'bootstrap token',
    shown,
    before?.token ? ofSpec : 'a placeholder: the controller makes one for each machine',
  );
  if (before?.token !== undefined && !options.showSecrets) token.token = PLACEHOLDER_TOKEN;
  return join;
}

function chosen(configs: readonly ConfigManifest[], name: string | undefined): ConfigManifest {
  const found = name === undefined ? configs : configs.filter((config) => config.name === name);
  const [first, second] = found;
  if (first === undefined) {
    const wanted = name === undefined ? 'KubeadmConfig' : `KubeadmConfig named ${name}`;
    throw new UsageError(`the files hold no ${wanted}`);
  }
  if (second === undefined) return first;
  throw new UsageError(`the files hold ${found.map(({ label }) => label).join(', ')}: give one with --name`);
}

function machineOf({ machines }: Manifests, config: ConfigManifest): Machine | undefined {
  return (
    machines.find(({ metadata }) => metadata.name === config.ownerMachine) ??
    machines.find(({ spec }) => spec.bootstrap?.configRef?.name === config.name)
  );
}

function clusterOf(
  manifests: Manifests,
  config: ConfigManifest,
  machine: Machine | undefined,
): Cluster | undefined {
  const name = machine?.spec.clusterName ?? config.labels['cluster.x-k8s.io/cluster-name'];
  const { clusters } = manifests;
  return name === undefined ? clusters[0] : clusters.find(({ metadata }) => metadata.name === name);
}

interface Found<T> {
  readonly value: T;
  readonly from: string;
}

function purposeOf(
  config: ConfigManifest,
  machine: Machine | undefined,
  asked: string | undefined,
): Found<Purpose> {
  if (asked !== undefined) {
    const value = PURPOSES.find((purpose) => purpose === asked);
    if (value === undefined)
      throw new UsageError(`--purpose is "${asked}"; use one of ${PURPOSES.join(', ')}`);
    return { value, from: '--purpose' };
  }
  const { spec } = config;
  if (spec.joinConfiguration?.controlPlane !== undefined)
    return { value: 'control-plane-join', from: 'spec.joinConfiguration.controlPlane' };
  if (spec.clusterConfiguration !== undefined || spec.initConfiguration !== undefined)
    return { value: 'init', from: 'spec.clusterConfiguration or spec.initConfiguration' };
  const controlPlane = machine?.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
  return controlPlane
    ? { value: 'control-plane-join', from: `label ${CONTROL_PLANE_LABEL} of the Machine` }
    : { value: 'worker-join', from: 'the configuration has nothing of a control plane' };
}

function versionOf(
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

/** The cluster, or one that stands in for it. */
function factsOf(cluster: Cluster | undefined, note: Note): ClusterFacts {
  const from =
    cluster === undefined
      ? 'a placeholder: give the Cluster with --cluster'
      : `Cluster ${cluster.metadata.name}`;
  const network = cluster?.spec?.clusterNetwork;
  const endpoint = cluster?.spec?.controlPlaneEndpoint;
  const valid = endpoint?.host !== undefined && endpoint.host !== '' && (endpoint.port ?? 0) > 0;
  const facts: ClusterFacts = {
    name: note('cluster name', cluster?.metadata.name ?? 'example', from),
    controlPlaneEndpoint: valid
      ? { host: endpoint.host!, port: endpoint.port! }
      : { host: 'control-plane.example', port: 6443 },
    serviceDomain: network?.serviceDomain,
    serviceCIDRs: network?.services?.cidrBlocks ?? [],
    podCIDRs: network?.pods?.cidrBlocks ?? [],
  };
  note(
    'endpoint',
    controlPlaneEndpointText(facts.controlPlaneEndpoint!),
    valid
      ? `${from} spec.controlPlaneEndpoint`
      : 'a placeholder: the Cluster has no spec.controlPlaneEndpoint yet',
  );
  for (const [name, blocks] of [
    ['pod', facts.podCIDRs],
    ['service', facts.serviceCIDRs],
  ] as const)
    if (blocks.length > 0) note(`${name} subnets`, blocks.join(','), `${from} spec.clusterNetwork`);
  return facts;
}

function templateVariables({ controlPlaneVersion }: Manifests, note: Note) {
  if (controlPlaneVersion === undefined) return {};
  note('.controlPlane.version', controlPlaneVersion, 'KubeadmControlPlane spec.version');
  return { controlPlane: { version: controlPlaneVersion } };
}
