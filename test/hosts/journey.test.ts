// SPDX-License-Identifier: Apache-2.0
// Three machines and an SSH key, and what comes after: a real cluster that grows, loses a machine, moves, and goes without a trace.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MachineDeploymentKind, KubeadmControlPlaneKind } from '../../hack/stack/kinds.ts';
import {
  CLUSTER,
  clusterManifest,
  deleteCluster,
  nodes,
  untilNodes,
  type Workload,
  workload,
} from './cluster.ts';
import { type HostRecord, recordHosts } from './host-record.ts';
import { importHosts, NAMESPACE, type Site, startSite, tsHost, untilHosts } from './site.ts';
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
let cluster: Workload;
let record: HostRecord;

beforeAll(async () => {
  site = await startSite();
  record = recordHosts(site.world.hosts);
});

afterAll(async () => {
  await record?.stop();
  await site?.stop();
});

const scale = (kind: typeof MachineDeploymentKind, name: string, replicas: number) =>
  site.management.client.patch(kind, { namespace: NAMESPACE, name }, { spec: { replicas } });

describe('a cluster on hosts', () => {
  it('hosts import: six hosts are measured, clean and available', async () => {
    await importHosts(site, ROLES);
    await untilHosts(site.management, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available',
    });
    const { status } = await tsHost(site.management, 'host-6');
    expect(status).toMatchObject({
      operationalStatus: 'OK',
      hostname: 'host-6',
      operatingSystem: { id: 'debian', family: 'debian', version: '12' },
      software: { kubeadm: site.stack.versions.kubernetes, serviceManager: 'systemd' },
    });
    expect(status?.hardware?.cpus).toBeGreaterThan(0);
  });

  it('1 control plane and 2 workers: all Nodes are Ready', async () => {
    const counts = { controlPlanes: 1, workers: 2 };
    await site.management.apply(
      await clusterManifest(site, counts, { controlPlane: 'node', worker: 'node' }),
    );
    cluster = await workload(site, site.management);
    const ready = await untilNodes(site.management, cluster, 3);
    for (const node of ready) {
      expect(node.spec?.providerID).toMatch(/^tshost:\/\/default\/host-\d\/[0-9a-f]{8}$/);
      expect(node.metadata.labels?.['topology.kubernetes.io/zone']).toBe(`rack-${node.metadata.name.at(-1)}`);
    }
    const balancer = await tsHost(site.management, 'host-1');
    expect(balancer.spec.claim).toMatchObject({ for: 'LoadBalancer', cluster: { name: CLUSTER } });
  });

  it('names, Services across Nodes, logs and exec work', async () => {
    const [one = '', two = ''] = await deployEcho(cluster);
    expect(await answersThroughService(cluster, one)).toEqual([one, two].sort());
    expect(await answersThroughService(cluster, two)).toEqual([one, two].sort());
    expect(await cluster.kubectl('logs', one)).toMatch(/serving on/);
    expect(await cluster.kubectl('exec', one, '--', '/echo', 'env')).toMatch(/KUBERNETES_SERVICE_HOST/);
  });

  it('grows to 3 control planes behind HAProxy, and shrinks to 1', async () => {
    await scale(MachineDeploymentKind, `${CLUSTER}-md-0`, 1);
    await scale(KubeadmControlPlaneKind, `${CLUSTER}-control-plane`, 3);
    await untilNodes(site.management, cluster, 4, 400_000);
    expect((await tsHost(site.management, 'host-1')).status?.loadBalancer?.members).toHaveLength(3);
    await scale(KubeadmControlPlaneKind, `${CLUSTER}-control-plane`, 1);
    await untilNodes(site.management, cluster, 2, 400_000);
    expect((await tsHost(site.management, 'host-1')).status?.loadBalancer?.members).toHaveLength(1);
    expect(await nodes(cluster)).toHaveLength(2);
  });

  it('goes, and every host is Available without a trace', async () => {
    await deleteCluster(site.management);
    await untilHosts(site.management, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available again',
    });
    for (const host of site.world.hosts) expect(await host.traces(), host.name).toEqual([]);
  });

  it('no step ran twice, and no host had two owners at once', () => {
    expect(record.repeated()).toEqual([]);
    expect(site.world.hosts.flatMap(({ name }) => record.history(name).overlaps)).toEqual([]);
  });
});
