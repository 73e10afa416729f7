// SPDX-License-Identifier: Apache-2.0
// One cluster under core, the kubeadm control plane provider and the kubeadm bootstrap provider: made, scaled, mended, left in peace,
// taken apart. The stories follow each other on the same cluster.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Machine } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  MachineKind,
  NodeKind,
  SecretKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { type Kind, type KubeObject, nameOf } from '../../runtime/object.ts';
import { OUR_USER, ourRefusals, ourWrites, readAuditLog } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { instancesOf, liveInstances } from './instances.ts';
import {
  BootstrapConfigKind,
  conditionOf,
  conditionsOf,
  conditionText,
  createMachine,
  phaseOf,
  type PlainMachine,
  secretName,
  soon,
} from './machines.ts';
import { quietFor } from './quiet.ts';

let environment: Environment;
let client: ApiClient;
let workload: ApiClient;
let provider: Provider;
let namespace: string;

beforeAll(async () => {
  environment = await startEnvironment({ auditLog: 'audit.log' });
  client = environment.client;
  workload = await environment.workloadClient();
  provider = await environment.startProvider({ flags: ['--leader-elect'] });
  namespace = await environment.namespace('life');
  await environment.cluster({ namespace, name: 'life', workerMachines: 2 });
});

afterAll(() => environment?.stop());

const requests = () => readAuditLog(`${environment.dir}/audit.log`);
const cluster = () => ({ namespace, name: 'life' });
const deployment = () => ({ namespace, name: 'life-md-0' });
const machines = () => client.list(MachineKind, { namespace });
const phases = async () => (await machines()).map(phaseOf).sort();
const workers = async () => (await machines()).filter((one) => !isControlPlane(one));
const isControlPlane = ({ metadata }: KubeObject) => metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined;
const running = (count: number) => Array.from({ length: count }, () => 'Running');
const infraOf = async (machine: Machine): Promise<TSMachine> => {
  const found = await client.get(TSMachineKind, nameOf(machine));
  if (found === undefined) throw new Error(`Machine ${machine.metadata.name} has no TSMachine of its name`);
  return found;
};
/** What the stories leave is what there is, wherever one looks. */
const names = async () => ({
  tsMachines: (await client.list(TSMachineKind, { namespace })).map(({ metadata }) => metadata.name).sort(),
  instances: liveInstances(provider.database, namespace).sort(),
  nodes: (await workload.list(NodeKind)).map(({ metadata }) => metadata.name).sort(),
});

describe('a cluster comes up', () => {
  it('IC-4, IM-5, KCP-6: the control plane is initialized and available, all Machines run', async () => {
    await expect.poll(phases, soon).toEqual(running(3));
    const controlPlane = { namespace, name: 'life-control-plane' };
    const condition = (kind: Kind, name: typeof controlPlane, type: string) =>
      conditionOf(environment, kind, name, type);
    await expect.poll(condition(KubeadmControlPlaneKind, controlPlane, 'Initialized'), soon).toMatch(/^True/);
    await expect.poll(condition(KubeadmControlPlaneKind, controlPlane, 'Available'), soon).toMatch(/^True/);
    await expect.poll(condition(MachineDeploymentKind, deployment(), 'Available'), soon).toMatch(/^True/);
    await expect.poll(condition(ClusterKind, cluster(), 'Available'), soon).toMatch(/^True/);
  });

  it('IC-2, IC-3, IC-5, IC-7: the Cluster has the endpoint, the failure domains and the readiness of the TSCluster', async () => {
    const ours = await client.get(TSClusterKind, cluster());
    const theirs = (await client.get(ClusterKind, cluster())) as
      | (KubeObject & { spec: { controlPlaneEndpoint: unknown }; status: { failureDomains: unknown } })
      | undefined;
    expect(theirs?.spec.controlPlaneEndpoint).toEqual(ours?.spec.controlPlaneEndpoint);
    expect(theirs?.status.failureDomains).toEqual(ours?.status?.failureDomains);
    expect(ours?.status?.failureDomains?.map(({ name }) => name)).toEqual(['zone-a', 'zone-b', 'zone-c']);
    expect(conditionText(theirs, 'InfrastructureReady')).toBe(conditionText(ours, 'Ready'));
  });

  it('IM-2, IM-2b, PIT-1: one providerID on TSMachine, Machine and Node, and each machine has its own', async () => {
    const seen = new Set<string>();
    for (const machine of await machines()) {
      const { providerID = '' } = (await infraOf(machine)).spec;
      const nodeName = machine.status?.nodeRef?.name ?? '';
      const node = await workload.get(NodeKind, { namespace: '', name: nodeName });
      expect(providerID).toMatch(/^tsinmemory:\/\/./);
      expect([machine.spec.providerID, node?.spec?.providerID]).toEqual([providerID, providerID]);
      seen.add(providerID);
    }
    expect(seen.size).toBe(3);
  });

  it('IM-3, IM-3b, IM-4: addresses and failure domain reach the Machine, and the wanted domain was honoured', async () => {
    for (const machine of await machines()) {
      const status = (await infraOf(machine)).status;
      const theirs = machine.status as { addresses?: unknown; failureDomain?: string };
      expect(theirs.addresses).toEqual(status?.addresses);
      expect(status?.addresses?.map(({ type }) => type)).toEqual(['InternalIP', 'Hostname']);
      expect(theirs.failureDomain).toBe(status?.failureDomain);
      expect(status?.failureDomain).toMatch(/^zone-[abc]$/);
      if (isControlPlane(machine)) expect(machine.spec.failureDomain).toBe(status?.failureDomain);
    }
  });

  it('IM-7, GEN-11, GEN-12: conditions in their order, current, mirrored on the Machine', async () => {
    for (const machine of await machines()) {
      const ours = await infraOf(machine);
      expect(conditionsOf(ours).map(({ type }) => type)).toEqual([
        'Ready',
        'InstanceReady',
        'Deleting',
        'Paused',
      ]);
      expect(ours.status?.observedGeneration).toBe(ours.metadata.generation);
      const generations = conditionsOf(ours).map(({ observedGeneration }) => observedGeneration);
      expect(new Set(generations)).toEqual(new Set([ours.metadata.generation]));
      expect(conditionText(machine, 'InfrastructureReady')).toBe('True Ready');
    }
    const tsCluster = await client.get(TSClusterKind, cluster());
    const types = conditionsOf(tsCluster).map(({ type }) => type);
    expect([types[0], types.at(-2), types.at(-1)]).toEqual(['Ready', 'Deleting', 'Paused']);
    expect(tsCluster?.status?.observedGeneration).toBe(tsCluster?.metadata.generation);
  });

  it('IMT-1, IMT-8, GEN-13, GEN-14, GEN-19: what core wrote on our objects is all there, and nothing of older contracts', async () => {
    for (const machine of await workers()) {
      const { metadata, status = {} } = await infraOf(machine);
      expect(metadata.labels).toMatchObject({ [CLUSTER_NAME_LABEL]: 'life', nodepool: 'life-md-0' });
      expect(metadata.annotations).toMatchObject({ 'cluster.x-k8s.io/cloned-from-name': 'life-md-0' });
      expect(metadata.ownerReferences).toMatchObject([{ kind: 'Machine', controller: true }]);
      expect(Object.keys(status)).toEqual(
        expect.not.arrayContaining(['v1beta2', 'failureReason', 'failureMessage']),
      );
    }
  });
});

describe('a MachineDeployment', () => {
  const scale = (replicas: number) =>
    client.patch(MachineDeploymentKind, deployment(), { spec: { replicas } });

  it('scales up and down, and machines, instances and Nodes with it', async () => {
    await scale(4);
    await expect.poll(phases, soon).toEqual(running(5));
    await scale(2);
    await expect.poll(async () => (await machines()).length, soon).toBe(3);
    const left = (await machines()).map(({ metadata }) => metadata.name).sort();
    await expect.poll(names, soon).toEqual({ tsMachines: left, instances: left, nodes: left });
  });
});

describe('rehearsed failures', () => {
  it('MHC-3: a machine that dies is seen, replaced by its MachineHealthCheck, and leaves nothing', async () => {
    const HealthCheck: Kind<KubeObject & { spec?: object }> = {
      apiVersion: 'cluster.x-k8s.io/v1beta2',
      kind: 'MachineHealthCheck',
      plural: 'machinehealthchecks',
      namespaced: true,
    };
    const unhealthyNodeConditions = [{ type: 'Ready', status: 'Unknown', timeoutSeconds: 1 }];
    await client.patch(HealthCheck, deployment(), {
      spec: {
        checks: { unhealthyNodeConditions },
        remediation: { triggerIf: { unhealthyLessThanOrEqualTo: '100%' } },
      },
    });
    const [victim] = await workers();
    const failures = { diesAfterSeconds: 0 };
    await client.patch(TSMachineKind, nameOf(victim!), { spec: { inMemory: { failures } } });
    await expect
      .poll(async () => (await machines()).map(({ metadata }) => metadata.name), soon)
      .not.toContain(victim!.metadata.name);
    await expect.poll(phases, soon).toEqual(running(3));
    const left = (await machines()).map(({ metadata }) => metadata.name).sort();
    await expect.poll(names, soon).toEqual({ tsMachines: left, instances: left, nodes: left });
  });

  const extra = (name: string, failures: object): PlainMachine => ({
    namespace,
    name,
    cluster: 'life',
    inMemory: { bootDelaySeconds: 0, failures },
  });

  it.each([
    ['provisioningError', { provisioningError: 'no such image' }, /^False InstanceFailed: no such image$/],
    [
      'neverBoots',
      { neverBoots: true },
      /^False InstancePending: .*never boots, as failures.neverBoots asks$/,
    ],
  ])('IM-7: %s is one line on the Machine', async (failure, failures, says) => {
    const machine = extra(failure.toLowerCase(), failures);
    await createMachine(environment, machine);
    const seen = conditionOf(environment, MachineKind, machine, 'InfrastructureReady');
    await expect.poll(seen, soon).toMatch(says);
    await client.delete(MachineKind, machine);
    await expect.poll(() => client.get(MachineKind, machine), soon).toBeUndefined();
  });

  it('throttled calls heal by themselves', async () => {
    const machine = extra('throttled', { throttledCalls: 3 });
    await createMachine(environment, machine);
    await expect.poll(async () => phaseOf(await client.get(MachineKind, machine)), soon).toBe('Running');
    expect(instancesOf(provider.database, namespace).filter(({ name }) => name === 'throttled')).toHaveLength(
      1,
    );
    await client.delete(MachineKind, machine);
    await expect.poll(() => client.get(MachineKind, machine), soon).toBeUndefined();
  });

  it('trouble that comes again is counted on its Event', async () => {
    const machine: PlainMachine = { ...extra('again', {}), bootstrap: 'missing' };
    const secret = { namespace, name: secretName('again') };
    const ready = conditionOf(environment, TSMachineKind, machine);
    /** Any change of its annotations lets our manager look again. */
    const look = (at: string) =>
      client.patch(TSMachineKind, machine, { metadata: { annotations: { look: at } } });
    await createMachine(environment, machine);
    await expect.poll(ready, soon).toMatch(/^False BootstrapDataMissing/);
    const { apiVersion, kind } = SecretKind;
    await client.create(SecretKind, { apiVersion, kind, metadata: { ...secret } });
    await look('1');
    await expect.poll(ready, soon).toMatch(/^False BootstrapDataInvalid/);
    await client.delete(SecretKind, secret);
    await look('2');
    await expect.poll(ready, soon).toMatch(/^False BootstrapDataMissing/);
    await client.delete(MachineKind, machine);
    await expect.poll(() => client.get(MachineKind, machine), soon).toBeUndefined();
  });
});

describe('a converged cluster', () => {
  const KINDS: readonly Kind[] = [
    ...[ClusterKind, MachineKind, TSClusterKind, TSMachineKind, SecretKind, BootstrapConfigKind],
    ...[MachineDeploymentKind, KubeadmControlPlaneKind],
    { ...TSMachineKind, kind: 'TSMachineTemplate', plural: 'tsmachinetemplates' },
    { ...MachineKind, kind: 'MachineSet', plural: 'machinesets' },
  ];

  it('OR-15, PIT-23: no object moves for 20 seconds, and our manager writes nothing', async () => {
    const look = async () => {
      const objects = (await Promise.all(KINDS.map((kind) => client.list(kind, { namespace })))).flat();
      const versions = objects.map(({ kind, metadata }) => [
        `${kind} ${metadata.name}`,
        metadata.resourceVersion,
      ]);
      return { ...Object.fromEntries(versions), writes: ourWrites(requests()).length } as Record<
        string,
        unknown
      >;
    };
    const seen = await quietFor(look, { forMs: 20_000, timeoutMs: 100_000 });
    expect(Object.keys(seen).length).toBeGreaterThan(15);
  });
});

describe('the end', () => {
  it('IC-13, DEL-1: the Cluster is deleted and nothing of it is left', async () => {
    await client.delete(ClusterKind, cluster());
    await expect.poll(() => client.get(ClusterKind, cluster()), soon).toBeUndefined();
    await expect.poll(names, soon).toEqual({ tsMachines: [], instances: [], nodes: [] });
    expect(await client.list(TSClusterKind, { namespace })).toEqual([]);
  });

  it('the service account may do what was done and nothing else', async () => {
    // Stopping gives the lease back and writes the last counts of Events.
    await provider.server.stop();
    expect(ourRefusals(requests())).toEqual([]);
    const used = new Set(
      requests()
        .filter(({ user }) => user === OUR_USER)
        .map(({ verb, group, resource }) => `${verb} ${resource}.${group}`),
    );
    // For a race with the API server that nobody can call up: controllers/machine/lost.ts.
    const rare = ['get clusters.cluster.x-k8s.io', 'get tsmachines.infrastructure.cluster.x-k8s.io'];
    expect([...used, ...rare, ...OF_HOSTS, ...OF_REMEDIATION, ...OF_CLOUDS].sort()).toEqual(
      expect.arrayContaining(granted()),
    );
    expect(granted().length).toBeGreaterThan(15);
  });
});

/** What only hosts need: hosts.test.ts does it under the same account. */
const OF_HOSTS = [
  'get tshosts.infrastructure.cluster.x-k8s.io',
  'patch tshosts.infrastructure.cluster.x-k8s.io',
  'patch tshosts/status.infrastructure.cluster.x-k8s.io',
  // Before a load balancer is worked on; test/hosts/journey.test.ts.
  'get tsclusters.infrastructure.cluster.x-k8s.io',
];

/** What only remediations need: remediation.test.ts does it under the same account. */
const OF_REMEDIATION = [
  'patch tsremediations.infrastructure.cluster.x-k8s.io',
  'patch tsremediations/status.infrastructure.cluster.x-k8s.io',
  'get machines.cluster.x-k8s.io',
  'patch machines/status.cluster.x-k8s.io',
];

/** What only machines at a cloud and their pools need: the stories of AWS do it under the same account. */
const OF_CLOUDS = [
  'create tsmachines.infrastructure.cluster.x-k8s.io',
  'delete tsmachines.infrastructure.cluster.x-k8s.io',
  'delete machines.cluster.x-k8s.io',
  'get namespaces.',
  'patch machinepools.cluster.x-k8s.io',
  'patch tsmachinepools.infrastructure.cluster.x-k8s.io',
  'patch tsmachinepools/status.infrastructure.cluster.x-k8s.io',
];

/** Every verb of every resource that our roles grant, as `verb resource.group`. */
function granted(): string[] {
  interface Role {
    rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  }
  const files = ['role.yaml', 'leader-election-role.yaml'].map((name) =>
    readFileSync(new URL(`../../config/rbac/${name}`, import.meta.url), 'utf8'),
  );
  return files
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Role))
    .flatMap(({ rules }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${group}`)),
      ),
    )
    .sort();
}
