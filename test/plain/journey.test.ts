// SPDX-License-Identifier: Apache-2.0
// Five machines with an SSH server and nothing else, and a site that they cannot leave: a cluster, a lost machine, a new version, the old one again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestHost } from '../../hack/hosts/world.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import { pause, waitUntil } from '../../hack/stack/process.ts';
import { SITE_VERSIONS, VERSIONS } from '../../hack/stack/versions.ts';
import { type ApiPoller, pollAPI } from '../hosts/api-poller.ts';
import {
  CLUSTER,
  deleteCluster,
  nodes,
  type Size,
  untilNodes,
  type Workload,
  workload,
} from '../hosts/cluster.ts';
import { type HostRecord, recordHosts } from '../hosts/host-record.ts';
import { importHosts, type Management, NAMESPACE, type Site, startSite, untilHosts } from '../hosts/site.ts';
import { answersThroughService, deployEcho } from '../hosts/workload-checks.ts';
import { plainManifest, preparationFrom, registrySecret, VIRTUAL_IP } from './plain-cluster.ts';
import { type PreparationTimes, recordPreparations } from './preparation-times.ts';
import { type SiteServers, startSiteServers } from './site-servers.ts';
import { clusterTraces } from './software-traces.ts';

const ROLES = {
  'host-1': 'control-plane',
  'host-2': 'control-plane',
  'host-3': 'control-plane',
  'host-4': 'worker',
  'host-5': 'worker',
};
const OLD = SITE_VERSIONS.previousKubernetes;
const NEW = VERSIONS.kubernetes;
const WHOLE = { controlPlanes: 3, workers: 2 };
const SMALL = { controlPlanes: 1, workers: 1 };

/** Longest time that nobody may answer at the endpoint when the machine that has it dies. */
const LONGEST_GAP_MS = 10_000;

let site: Site;
let at: Management;
let servers: SiteServers;
let cluster: Workload | undefined;
let record: HostRecord;
let times: PreparationTimes;
let poller: ApiPoller | undefined;

beforeAll(async () => {
  site = await startSite({ count: 5, bare: Object.keys(ROLES), behindBastion: [] });
  at = site.management;
  servers = await startSiteServers(site.dir);
  record = recordHosts(site.world.hosts);
  times = recordPreparations(at, site.world.hosts, () => cluster);
});

afterAll(async () => {
  await poller?.stop();
  await times?.stop();
  await record?.stop();
  await servers?.stop();
  await site?.stop();
});

const print = (what: string, text: string) => void process.stdout.write(`\n${what}\n${text}\n`);
const hosts = () => site.world.hosts;
const run = async (host: TestHost, script: string) => (await host.exec(['bash', '-c', script])).stdout.trim();

async function createCluster(size: Size, version: string): Promise<Workload> {
  const preparation = preparationFrom(servers.supply);
  await at.apply(await plainManifest(site, { size, version, preparation }));
  cluster = undefined;
  cluster = await workload(site, at);
  await untilNodes(at, cluster, size, 540_000);
  return cluster;
}

/** Versions that the programs on a host say: one, if all is well. */
async function versionsOn(host: TestHost): Promise<string[]> {
  const programs = ['kubelet --version', 'kubeadm version -o short', 'kubectl version --client'];
  const said = await run(host, `PATH=$PATH:/usr/local/bin; ${programs.join('; ')}`);
  return [...new Set(said.match(/v1\.\d+\.\d+/g))];
}

/** Names of hosts that have the shared address. */
async function holders(): Promise<string[]> {
  const ask = async (host: TestHost) => run(host, `ip -4 -oneline address | grep -F ' ${VIRTUAL_IP}/'`);
  const found = await Promise.all(
    hosts().map(async (host) => ((await ask(host).catch(() => '')) === '' ? [] : [host.name])),
  );
  return found.flat();
}

async function untilVersion(version: string): Promise<void> {
  await waitUntil(
    async () => {
      const all = await nodes(cluster!);
      const lines = all.map(({ metadata, status }) => `${metadata.name} ${status?.nodeInfo?.kubeletVersion}`);
      if (all.length === hosts().length && lines.every((line) => line.endsWith(` ${version}`))) return true;
      throw new Error(lines.join(', '));
    },
    { what: `every Node to run ${version}`, timeoutMs: 570_000, pollMs: 1_000 },
  );
}

/** MiB of files and images that each host fetched since `before`. */
function fetchedTable(before: ReturnType<SiteServers['fetched']> = new Map()): string {
  const rows = [...servers.fetched()].map(([address, { fileBytes, imageBytes }]) => {
    const old = before.get(address);
    const mib = (bytes: number) => `${(bytes / (1 << 20)).toFixed(0)} MiB`;
    const name = hosts().find((host) => host.address === address)?.name ?? address;
    const cells = [name, mib(fileBytes - (old?.fileBytes ?? 0)), mib(imageBytes - (old?.imageBytes ?? 0))];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| host | files | images |', '| --- | --- | --- |', ...rows.sort()].join('\n');
}

describe('machines with nothing but an SSH server', () => {
  it('are Available, though they have nothing that Kubernetes needs', async () => {
    const programs = 'curl wget iptables nft conntrack socat runc containerd kubelet kubeadm kubectl';
    for (const host of hosts()) expect(await run(host, `command -v ${programs}`)).toBe('');
    await importHosts(site, ROLES);
    await untilHosts(at, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available',
    });
  });

  it('reach the servers of the site, and nothing else', async () => {
    const reach = (where: string) =>
      run(hosts()[0]!, `timeout 3 bash -c ': <>/dev/tcp/${where}' && echo yes`);
    expect(await reach(`10.88.55.1/${servers.artifacts.port}`)).toBe('yes');
    expect(await reach('10.88.55.1/443')).toBe('');
    expect(await reach('1.1.1.1/443')).toBe('');
  });

  it(`become a cluster of 3 control planes and 2 workers of ${OLD} behind an address that they share`, async () => {
    await at.apply(registrySecret(servers.registries.login));
    await createCluster(WHOLE, OLD);
    print('plain host to Node Ready', await times.stop());
    print('fetched by each host', fetchedTable());
    for (const node of await nodes(cluster!)) expect(node.status?.nodeInfo?.kubeletVersion).toBe(OLD);
    for (const host of hosts()) expect(await versionsOn(host)).toEqual([OLD]);
    expect(await holders()).toHaveLength(1);
  });

  it('run pods with names and Services, with images from the registries', async () => {
    const [one = '', two = ''] = await deployEcho(cluster!);
    expect(await answersThroughService(cluster!, one)).toEqual([one, two].sort());
  });
});

describe('the machine that has the shared address dies', () => {
  it('another one has it, and the API is away for less than ten seconds', async () => {
    poller = pollAPI({ host: VIRTUAL_IP, port: 6443 });
    await pause(2_000);
    const [name] = await holders();
    const lost = hosts().find((host) => host.name === name)!;
    await lost.crash();
    await pause(20_000);
    print(`API after ${name} died`, JSON.stringify(poller.gaps()));
    expect(poller.gaps().longestMs).toBeLessThan(LONGEST_GAP_MS);
    const next = await holders();
    expect(next).toHaveLength(1);
    expect(next).not.toEqual([name]);
    await lost.boot();
    await untilNodes(at, cluster!, WHOLE);
    await pause(5_000);
    expect(await holders()).toHaveLength(1);
  });
});

describe('another version', () => {
  it(`comes to every host with a rollout to ${NEW}, and no host to spare`, async () => {
    const before = servers.fetched();
    const controlPlane = { namespace: NAMESPACE, name: `${CLUSTER}-control-plane` };
    const workers = { namespace: NAMESPACE, name: `${CLUSTER}-md-0` };
    await at.client.patch(KubeadmControlPlaneKind, controlPlane, { spec: { version: NEW } });
    // A worker that came first would be newer than its control plane: it waits, and says so.
    await at.client.patch(MachineDeploymentKind, workers, { spec: { template: { spec: { version: NEW } } } });
    await untilVersion(NEW);
    await untilNodes(at, cluster!, WHOLE);
    print('API from the crash to the end of the rollout', JSON.stringify(await poller!.stop()));
    print('fetched by each host for the new version', fetchedTable(before));
    for (const host of hosts()) expect(await versionsOn(host)).toEqual([NEW]);
    expect(await holders()).toHaveLength(1);
  });
});

describe('the cluster goes', () => {
  it('and every host is Available with nothing but software on it', async () => {
    await deleteCluster(at);
    await untilHosts(at, ({ status }) => status?.state === 'Available', {
      what: 'all hosts to be Available again',
    });
    const traces = await Promise.all(
      hosts().map(async (host) => [host.name, await clusterTraces(host)] as const),
    );
    expect(traces.filter(([, lines]) => lines.length > 0)).toEqual([]);
    expect(await holders()).toEqual([]);
  });

  it(`and hosts that had ${NEW} are a cluster of ${OLD}`, async () => {
    await createCluster(SMALL, OLD);
    const used = (await nodes(cluster!)).map(({ metadata }) => metadata.name);
    for (const host of hosts().filter(({ name }) => used.includes(name)))
      expect(await versionsOn(host)).toEqual([OLD]);
    await deleteCluster(at);
  });

  it('no step of a bootstrap ran twice, and no host had two owners at once', () => {
    expect(record.repeated().filter((line) => line.includes(' bootstrap-'))).toEqual([]);
    expect(hosts().flatMap(({ name }) => record.history(name).overlaps)).toEqual([]);
  });
});
