// SPDX-License-Identifier: Apache-2.0
// What a platform engineer does with clusterctl, from the folder of a release: init, generate, describe, move, upgrade, delete.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ClusterKind,
  MachineKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
  TSMachineTemplateKind,
} from '../../api/kinds.ts';
import type { Machine } from '../../api/cluster-api.ts';
import type { InMemoryCloud } from '../../backends/inmemory/cloud.ts';
import { openInMemoryCloud } from '../../backends/inmemory/sqlite-cloud.ts';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { type Stack, stack as findStack } from '../../hack/stack/build.ts';
import { clusterSecrets, kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import { applyText } from '../../hack/stack/install.ts';
import { MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import {
  type ManagementCluster,
  PROVIDER_VERSION,
  startManagementCluster,
} from '../../hack/stack/management-cluster.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { startProvider } from '../../hack/stack/provider.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';

const NAMESPACE = 'default';
const NEXT_VERSION = 'v0.1.1';
/** The two providers of a release, where each is installed, and as what. */
const OURS = [
  ['infrastructure-ts-provider', 'ts-provider-system', 'InfrastructureProvider'],
  ['bootstrap-ts-provider', 'ts-provider-bootstrap-system', 'BootstrapProvider'],
] as const;
const soon = { timeout: 240_000, interval: 500 };
const STORY = { timeout: 400_000 };

interface Provider extends KubeObject {
  providerName?: string;
  type?: string;
  version?: string;
}

const ProviderKind: Kind<Provider> = {
  apiVersion: 'clusterctl.cluster.x-k8s.io/v1alpha3',
  kind: 'Provider',
  plural: 'providers',
  namespaced: true,
};

/** A management cluster and a client of its API server. */
interface Site {
  readonly management: ManagementCluster;
  readonly client: ApiClient;
}

let stack: Stack;
let directory: TemporaryDirectory;
let cloud: InMemoryCloud;
let source: Site;
let target: Site;
const owned: (() => Promise<void>)[] = [];

beforeAll(async () => {
  stack = await findStack();
  directory = temporaryDirectory('e2e');
  source = await site('source');
  cloud = openInMemoryCloud({ path: database(), clock: systemClock });
});

afterAll(async () => {
  for (const end of owned.splice(0).reverse()) await end();
  cloud?.close();
  directory?.remove();
});

/** One cloud for all management clusters, as a real one would be. */
function database(): string {
  return join(directory.path, 'cloud.sqlite');
}

async function site(name: string): Promise<Site> {
  const management = await startManagementCluster({ stack, dir: directory.path, name, database: database() });
  owned.push(() => management.stop());
  return { management, client: clientOf(management.apiServer) };
}

async function endpoint(name: string): Promise<APIServer> {
  const server = await startAPIServer({ stack, dir: directory.path, name });
  owned.push(() => server.stop());
  return server;
}

function clientOf(apiServer: APIServer): ApiClient {
  return createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
}

function clusterctl({ management }: Site, ...args: string[]): Promise<string> {
  return management.clusterctl.run(args, management.apiServer);
}

interface ClusterOptions {
  readonly name: string;
  /** Default: none, which is one of them. */
  readonly flavor?: string;
  readonly workers: number;
  readonly workload: APIServer;
}

/** `clusterctl generate cluster` from the installed release. */
function generate({ management }: Site, options: ClusterOptions): Promise<string> {
  const { name, flavor, workers, workload } = options;
  const flags = [
    ...(flavor === undefined ? [] : [`--flavor=${flavor}`]),
    `--kubernetes-version=${stack.versions.kubernetes}`,
    '--control-plane-machine-count=1',
    `--worker-machine-count=${workers}`,
  ];
  return management.clusterctl.run(['generate', 'cluster', name, ...flags], management.apiServer, {
    CONTROL_PLANE_ENDPOINT_HOST: '127.0.0.1',
    CONTROL_PLANE_ENDPOINT_PORT: String(workload.port),
    ETCD_ENDPOINT: workload.etcd.url,
    BOOT_DELAY_SECONDS: '0',
  });
}

/** Brings the certificates, generates the manifest and applies it. Returns that. */
async function createCluster(at: Site, options: ClusterOptions): Promise<string> {
  const { pki } = options.workload;
  const identity = { namespace: NAMESPACE, clusterName: options.name, pki };
  for (const secret of [...clusterSecrets(identity), kubeconfigSecret(identity)])
    await at.client.create(SecretKind, secret);
  const manifest = await generate(at, options);
  await applyText({ stack, apiServer: at.management.apiServer }, manifest);
  return manifest;
}

async function machines({ client }: Site, cluster: string): Promise<Machine[]> {
  const labelSelector = `cluster.x-k8s.io/cluster-name=${cluster}`;
  return client.list(MachineKind, { namespace: NAMESPACE, labelSelector });
}

/** Phase and version of every Machine of a cluster, sorted: `Running v1.36.3`. */
async function phases(at: Site, cluster: string): Promise<string[]> {
  return (await machines(at, cluster)).map((one) => `${phaseOf(one)} ${one.spec.version}`).sort();
}

function phaseOf(machine: object): string {
  return (machine as { status?: { phase?: string } }).status?.phase ?? '';
}

function running(count: number, version: string = stack.versions.kubernetes): string[] {
  return Array<string>(count).fill(`Running ${version}`);
}

/** Of every TSMachine, by name: its providerID, and its Ready condition. */
async function identities({ client }: Site): Promise<Record<string, string>> {
  const all = await client.list(TSMachineKind, { namespace: NAMESPACE });
  return Object.fromEntries(all.map(({ metadata, spec }) => [metadata.name, spec.providerID ?? '']));
}

async function readiness({ client }: Site): Promise<string[]> {
  const all = await client.list(TSMachineKind, { namespace: NAMESPACE });
  return all.map(({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? '');
}

it.each(OURS)(
  'CTL-2, CTL-3, CTL-8: clusterctl init installs %s and labels every object of it',
  async (label, namespace, type) => {
    const { apiServer } = source.management;
    const components = `${label.split('-')[0]}-components.yaml`;
    const file = join(apiServer.dir, 'repository', label, PROVIDER_VERSION, components);
    const kubectl = [`--kubeconfig=${apiServer.kubeconfig}`, 'get', `--filename=${file}`, '--output=json'];
    const { items } = JSON.parse(await runProgram(stack.binaries.kubectl, kubectl)) as {
      items: KubeObject[];
    };
    expect(items.length).toBeGreaterThan(8);
    for (const { kind, metadata } of items) {
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        'clusterctl.cluster.x-k8s.io': '',
        'cluster.x-k8s.io/provider': label,
      });
    }
    const inventory = await source.client.get(ProviderKind, { namespace, name: label });
    expect(inventory).toMatchObject({ providerName: 'ts-provider', type, version: PROVIDER_VERSION });
    // CTL-9: the image that an override would replace.
    const deployment = items.find(({ kind }) => kind === 'Deployment');
    expect(JSON.stringify(deployment)).toMatch(new RegExp(`"image":"[^"]+/ts-provider:${PROVIDER_VERSION}"`));
  },
);

it(
  'CTL-10, CTL-12: generate cluster --flavor in-memory makes a cluster that runs, and is what no flavor means',
  STORY,
  async () => {
    const options = { name: 'journey', workers: 2, workload: await endpoint('journey') };
    const manifest = await createCluster(source, { ...options, flavor: 'in-memory' });
    expect(manifest).not.toMatch(/\$\{/);
    expect(await generate(source, options)).toBe(manifest);
    await expect.poll(() => phases(source, 'journey'), soon).toEqual(running(3));
    const variables = await clusterctl(source, 'generate', 'cluster', 'x', '--list-variables');
    expect(variables).toMatch(/CONTROL_PLANE_ENDPOINT_HOST/);
  },
);

it('IC-7, IM-7: describe cluster shows a healthy tree, and our objects only when they have something to say', async () => {
  const ready = async () => {
    const text = await clusterctl(source, 'describe', 'cluster', 'journey', `--namespace=${NAMESPACE}`);
    return text.split('\n').filter((line) => /False|Unknown/.test(line));
  };
  await expect.poll(ready, soon).toEqual([]);
  const flags = ['describe', 'cluster', 'journey', `--namespace=${NAMESPACE}`];
  const short = await clusterctl(source, ...flags);
  expect(short).toMatch(/TSCluster default\/journey +True +Ready/);
  expect(short).not.toContain('TSMachine ');
  const long = await clusterctl(source, ...flags, '--echo', '--grouping=false', '--show-conditions=all');
  for (const name of Object.keys(await identities(source)))
    expect(long).toContain(`TSMachine default/${name}`);
  expect(long).toMatch(/InstanceReady +True/);
});

it(
  'CTL-M1..M5: move keeps every machine: same ids, nothing made, status found again, nothing left behind',
  STORY,
  async () => {
    const [before, made] = [await identities(source), cloud.counts().instancesMade];
    target = await site('target');
    const to = target.management.apiServer.kubeconfig;
    await clusterctl(source, 'move', `--to-kubeconfig=${to}`, `--namespace=${NAMESPACE}`);
    expect(await identities(target)).toEqual(before);
    for (const kind of [ClusterKind, MachineKind, TSClusterKind, TSMachineKind, TSMachineTemplateKind])
      expect(await source.client.list(kind as Kind, { namespace: NAMESPACE }), kind.kind).toEqual([]);

    await expect.poll(() => readiness(target), soon).toEqual(['True', 'True', 'True']);
    await expect.poll(() => phases(target, 'journey'), soon).toEqual(running(3));
    expect(await identities(target)).toEqual(before);
    expect(cloud.counts().instancesMade).toBe(made);
    const cluster = await target.client.get(TSClusterKind, { namespace: NAMESPACE, name: 'journey' });
    expect(cluster?.status).toMatchObject({ initialization: { provisioned: true } });
    expect(cluster?.status?.failureDomains).not.toHaveLength(0);
    const copied = await target.client.get(ClusterKind, { namespace: NAMESPACE, name: 'journey' });
    expect(copied?.status?.initialization).toMatchObject({ infrastructureProvisioned: true });
  },
);

it('after a move the source manager lets go, and the target scales the cluster', STORY, async () => {
  const made = cloud.counts().instancesMade;
  const name = { namespace: NAMESPACE, name: 'journey-md-0' };
  await target.client.patch(MachineDeploymentKind, name, { spec: { replicas: 3 } });
  await expect.poll(() => phases(target, 'journey'), soon).toEqual(running(4));
  expect(cloud.counts().instancesMade).toBe(made + 1);
});

it('clusterctl delete --include-crd removes the provider from the empty source', STORY, async () => {
  const { apiServer, provider, bootstrapProvider } = source.management;
  await provider.server.stop();
  await bootstrapProvider?.server.stop();
  const which = ['--infrastructure=ts-provider', '--bootstrap=ts-provider'];
  await clusterctl(source, 'delete', ...which, '--include-crd', '--include-namespace');
  const selector = `--selector=cluster.x-k8s.io/provider in (${OURS.map(([label]) => label).join(',')})`;
  const get = [
    `--kubeconfig=${apiServer.kubeconfig}`,
    'get',
    'crd,namespace,clusterrole,clusterrolebinding',
    selector,
    '--output=name',
  ];
  await expect.poll(() => runProgram(stack.binaries.kubectl, get), soon).toBe('');
  const left = (await source.client.list(ProviderKind)).map(({ metadata }) => metadata.name);
  for (const [label] of OURS) expect(left).not.toContain(label);
});

it(
  'CTL-5, CTL-7: upgrade plan sees the next release, upgrade apply installs it, and no machine is made anew',
  STORY,
  async () => {
    const out = join(target.management.apiServer.dir, 'repository');
    const script = new URL('../../hack/release-manifests.ts', import.meta.url).pathname;
    const flags = [`--version=${NEXT_VERSION}`, `--out=${out}`, `--kubectl=${stack.binaries.kubectl}`];
    await runProgram(process.execPath, [script, ...flags]);
    const plan = await clusterctl(target, 'upgrade', 'plan');
    for (const [label] of OURS)
      expect(plan).toMatch(new RegExp(`${label} .*${PROVIDER_VERSION} +${NEXT_VERSION}`));

    const [before, made] = [await identities(target), cloud.counts().instancesMade];
    const which = ['infrastructure', 'bootstrap'].map((type) => `--${type}=ts-provider:${NEXT_VERSION}`);
    await clusterctl(target, 'upgrade', 'apply', ...which);
    // A Deployment would replace its Pod here: the service accounts are new ones.
    await target.management.provider.server.stop();
    await target.management.bootstrapProvider?.server.stop();
    await startOurs(target);
    for (const [label, namespace] of OURS)
      expect((await target.client.get(ProviderKind, { namespace, name: label }))?.version).toBe(NEXT_VERSION);
    const name = { namespace: NAMESPACE, name: 'journey-md-0' };
    await target.client.patch(MachineDeploymentKind, name, { spec: { replicas: 2 } });
    await expect.poll(() => phases(target, 'journey'), soon).toEqual(running(3));
    expect(before).toMatchObject(await identities(target));
    expect(cloud.counts().instancesMade).toBe(made);
    const after = await clusterctl(target, 'upgrade', 'plan');
    for (const [label] of OURS) expect(after).toMatch(new RegExp(`${label} .*${NEXT_VERSION} +Already`));
  },
);

async function startOurs({ management }: Site): Promise<void> {
  const { apiServer } = management;
  const provider = await startProvider({ stack, apiServer, database: database() });
  owned.push(() => provider.server.stop());
  const bootstrap = await startProvider({ stack, apiServer, provider: 'bootstrap' });
  owned.push(() => bootstrap.server.stop());
}

it(
  'IMT-1, IMT-5, IC-9: a cluster from our ClusterClass runs, grows and changes its version',
  STORY,
  async () => {
    const workload = await endpoint('topology');
    await createCluster(target, { name: 'topology', flavor: 'in-memory-topology', workers: 1, workload });
    await expect.poll(() => phases(target, 'topology'), soon).toEqual(running(2));
    const templates = await templateNames();
    const version = nextPatch(stack.versions.kubernetes);
    const patch = [
      { op: 'replace', path: '/spec/topology/version', value: version },
      { op: 'replace', path: '/spec/topology/workers/machineDeployments/0/replicas', value: 2 },
    ];
    const name = { namespace: NAMESPACE, name: 'topology' };
    await target.client.patch(ClusterKind, name, patch, { type: 'json' });
    await expect.poll(() => phases(target, 'topology'), soon).toEqual(running(3, version));
    // Another version alone is no reason for new templates.
    expect(await templateNames()).toEqual(templates);
  },
);

async function templateNames(): Promise<string[]> {
  const all = await target.client.list(TSMachineTemplateKind, { namespace: NAMESPACE });
  return all.map(({ metadata }) => metadata.name).sort();
}

function nextPatch(version: string): string {
  const [major, minor, patch] = version.split('.');
  return `${major}.${minor}.${Number(patch) + 1}`;
}

it('both clusters go, and nothing of them stays', STORY, async () => {
  for (const name of ['journey', 'topology'])
    await target.client.delete(ClusterKind, { namespace: NAMESPACE, name });
  await expect.poll(() => target.client.list(ClusterKind, { namespace: NAMESPACE }), soon).toEqual([]);
  expect(await target.client.list(TSMachineKind, { namespace: NAMESPACE })).toEqual([]);
  expect(await target.client.list(TSClusterKind, { namespace: NAMESPACE })).toEqual([]);
});
