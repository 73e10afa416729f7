// SPDX-License-Identifier: Apache-2.0
// Three machines and an SSH key, and what comes after: a real cluster that grows, loses a machine, moves, and goes without a trace.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Node } from '../../api/cluster-api.ts';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { type ApiPoller, pollAPI } from './api-poller.ts';
import {
  CLUSTER,
  clusterManifest,
  deleteCluster,
  machinesOf,
  nodes,
  untilNodes,
  type Workload,
  workload,
} from './cluster.ts';
import { CONTROL_PLANE_HEALTH_CHECK, etcdLeader } from './control-plane.ts';
import { type HostRecord, recordHosts } from './host-record.ts';
import { type PhaseTimes, recordPhases } from './phase-times.ts';
import { importHosts, type Management, NAMESPACE, type Site, startSite, tsHost, untilHosts } from './site.ts';
import { answersThroughService, deployEcho } from './workload-checks.ts';

/** One host is the endpoint, five are for whatever comes. */
const ROLES = {
  'host-1': 'load-balancer',
  'host-2': 'node',
  'host-3': 'node',
  'host-4': 'node',
  'host-5': 'node',
  'host-6': 'node',
};

let site: Site;
/** Where the cluster is managed at present. */
let at: Management;
let cluster: Workload | undefined;
let record: HostRecord;
let phases: PhaseTimes;
let poller: ApiPoller;
let lost: TestHost;

beforeAll(async () => {
  site = await startSite();
  at = site.management;
  record = recordHosts(site.world.hosts);
  phases = recordPhases(at, site.world.hosts, () => cluster);
});

afterAll(async () => {
  await record?.stop();
  await poller?.stop();
  await site?.stop();
});

const scale = (kind: typeof MachineDeploymentKind, name: string, replicas: number) =>
  at.client.patch(kind, { namespace: NAMESPACE, name }, { spec: { replicas } });
const scaleWorkers = (replicas: number) => scale(MachineDeploymentKind, `${CLUSTER}-md-0`, replicas);
const scaleControlPlane = (replicas: number) =>
  scale(KubeadmControlPlaneKind, `${CLUSTER}-control-plane`, replicas);
const members = async () => (await tsHost(at, 'host-1')).status?.loadBalancer?.members;

/** What tells one Node from another of the same name. */
const identity = ({ metadata, spec }: Node) => `${metadata.name} ${metadata.uid} ${spec?.providerID}`;

describe('a cluster on hosts', () => {
  it('hosts import: six hosts are measured, clean and available', async () => {
    await importHosts(site, ROLES);
    await untilHosts(at, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available',
    });
    const { status } = await tsHost(at, 'host-6');
    expect(status).toMatchObject({
      operationalStatus: 'OK',
      hostname: 'host-6',
      operatingSystem: { id: 'debian', family: 'debian', version: '12' },
      software: { kubeadm: site.stack.versions.kubernetes, serviceManager: 'systemd' },
    });
    expect(status?.hardware?.cpus).toBeGreaterThan(0);
  });

  it('1 control plane and 2 workers: all Nodes are Ready', async () => {
    const size = { controlPlanes: 1, workers: 2 };
    await at.apply(await clusterManifest(site, size, { controlPlane: 'node', worker: 'node' }));
    cluster = await workload(site, at);
    const ready = await untilNodes(at, cluster, size);
    for (const node of ready) {
      expect(node.spec?.providerID).toMatch(/^tshost:\/\/default\/host-\d\/[0-9a-f]{8}$/);
      expect(node.metadata.labels?.['topology.kubernetes.io/zone']).toBe(`rack-${node.metadata.name.at(-1)}`);
    }
    const balancer = await tsHost(at, 'host-1');
    expect(balancer.spec.claim).toMatchObject({ for: 'LoadBalancer', cluster: { name: CLUSTER } });
  });

  it('names, Services across Nodes, logs and exec work', async () => {
    const [one = '', two = ''] = await deployEcho(cluster!);
    expect(await answersThroughService(cluster!, one)).toEqual([one, two].sort());
    expect(await answersThroughService(cluster!, two)).toEqual([one, two].sort());
    expect(await cluster!.kubectl('logs', one)).toMatch(/serving on/);
    expect(await cluster!.kubectl('exec', one, '--', '/echo', 'env')).toMatch(/KUBERNETES_SERVICE_HOST/);
  });

  it('grows to 3 control planes behind HAProxy', async () => {
    poller = pollAPI({ host: site.world.hosts[0]!.address, port: 6443 });
    await scaleWorkers(1);
    await scaleControlPlane(3);
    await untilNodes(at, cluster!, { controlPlanes: 3, workers: 1 });
    expect(await members()).toHaveLength(3);
    process.stdout.write(`${await phases.stop()}\n`);
    process.stdout.write(`API while growing: ${JSON.stringify(poller.gaps())}\n`);
  });
});

describe('the machine that holds the etcd leader dies', () => {
  it('its host is not given away without proof, and says what a person can do', async () => {
    await at.apply(CONTROL_PLANE_HEALTH_CHECK);
    lost = await etcdLeader(site.world);
    await lost.crash();
    await waitUntil(
      async () => {
        const { spec, status } = await tsHost(at, lost.name);
        const said = `${status?.state} ${status?.operationalStatus} ${JSON.stringify(status?.conditions)}`;
        if (spec.claim?.releasing === true && status?.operationalStatus === 'Unreachable') return true;
        throw new Error(said);
      },
      { what: `${lost.name} to be given back, and Unreachable`, timeoutMs: 300_000, pollMs: 500 },
    );
    expect((await members())?.some((member) => member.startsWith(`${lost.address}:`))).toBe(false);
  });

  it('released by force, it is replaced on another host; it stays Quarantined', async () => {
    const { spec } = await tsHost(at, lost.name);
    const machines = await at.client.list(TSMachineKind, { namespace: NAMESPACE });
    const providerID = machines.find(({ metadata }) => metadata.name === spec.claim?.machine?.name)?.spec
      .providerID;
    await at.kubectl('annotate', 'tshost', lost.name, `${FORCE_RELEASE_ANNOTATION}=${providerID}`);
    await untilNodes(at, cluster!, { controlPlanes: 3, workers: 1 });
    const host = await tsHost(at, lost.name);
    expect(host.status).toMatchObject({ state: 'Quarantined' });
    expect(host.spec.claim?.for).toBeUndefined();
    expect(await at.kubectl('get', 'events.events.k8s.io')).toMatch(/ForceReleased/);
    const gaps = poller.gaps();
    process.stdout.write(`API until the leader was replaced: ${JSON.stringify(gaps)}\n`);
  });

  it('when it is back it is cleaned on request only, and Available again', async () => {
    await lost.boot();
    await untilHosts(
      at,
      ({ metadata, status }) => metadata.name !== lost.name || status?.operationalStatus === 'OK',
      {
        what: `${lost.name} to be reachable`,
      },
    );
    expect((await tsHost(at, lost.name)).status?.state).toBe('Quarantined');
    await at.kubectl('annotate', 'tshost', lost.name, 'infrastructure.cluster.x-k8s.io/clean=');
    await untilHosts(
      at,
      ({ metadata, status }) => metadata.name !== lost.name || status?.state === 'Available',
      {
        what: `${lost.name} to be Available`,
      },
    );
    // Its kubelet registered the Node again while nobody had cleaned the host: that is what a release by force means.
    await cluster!.kubectl('delete', 'node', lost.name, '--ignore-not-found');
    expect(await lost.traces()).toEqual([]);
  });
});

describe('life goes on', () => {
  it('shrinks to 1 control plane and 2 workers', async () => {
    await scaleControlPlane(1);
    await untilNodes(at, cluster!, { controlPlanes: 1, workers: 1 });
    expect(await members()).toHaveLength(1);
    await scaleWorkers(2);
    await untilNodes(at, cluster!, { controlPlanes: 1, workers: 2 });
    process.stdout.write(
      `API from 1 to 3, a lost leader, and back: ${JSON.stringify(await poller.stop())}\n`,
    );
  });

  it('clusterctl move: nothing is provisioned again', async () => {
    const target = await site.addManagement('target');
    const before = (await nodes(cluster!)).map(identity);
    const claims = new Map(
      (await at.client.list(TSHostKind, { namespace: NAMESPACE })).map((host) => [
        host.metadata.name,
        host.spec.claim,
      ]),
    );
    const steps = record.steps();
    const { clusterctl, apiServer } = at.cluster;
    await clusterctl.run(['move', `--to-kubeconfig=${target.cluster.apiServer.kubeconfig}`], apiServer);
    expect(await at.client.list(TSHostKind, { namespace: NAMESPACE })).toEqual([]);
    at = target;
    await untilNodes(at, cluster!, { controlPlanes: 1, workers: 2 });
    await untilHosts(
      at,
      ({ spec, status }) => status?.state === (spec.claim?.for === undefined ? 'Available' : 'Provisioned'),
      {
        what: 'all hosts to be known again',
      },
    );
    expect((await nodes(cluster!)).map(identity)).toEqual(before);
    for (const { metadata, spec } of await at.client.list(TSHostKind, { namespace: NAMESPACE })) {
      const old = claims.get(metadata.name);
      expect([spec.claim?.generation, spec.claim?.clientToken]).toEqual([old?.generation, old?.clientToken]);
    }
    expect(record.steps()).toEqual(steps);
    expect((await machinesOf(at)).length).toBe(3);
  });

  it('goes, and every host is Available without a trace', async () => {
    await deleteCluster(at);
    await untilHosts(at, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available again',
    });
    const traces = await Promise.all(
      site.world.hosts.map(async (host) => [host.name, await host.traces()] as const),
    );
    expect(traces.filter(([, lines]) => lines.length > 0)).toEqual([]);
  });

  it('no step ran twice, and no host had two owners at once', () => {
    expect(record.repeated()).toEqual([]);
    expect(site.world.hosts.flatMap(({ name }) => record.history(name).overlaps)).toEqual([]);
  });
});
