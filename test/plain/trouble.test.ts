// SPDX-License-Identifier: Apache-2.0
// What goes wrong when a bare machine is prepared: each time one condition that says it, and a host that is as it was when its machine goes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TSMachineKind } from '../../api/kinds.ts';
import type { HostPreparation } from '../../api/preparation.ts';
import type { Condition } from '../../api/meta.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { VERSIONS } from '../../hack/stack/versions.ts';
import { deleteCluster, untilNodes, workload } from '../hosts/cluster.ts';
import {
  importHosts,
  type Management,
  NAMESPACE,
  type Site,
  startSite,
  tsHost,
  untilHosts,
} from '../hosts/site.ts';
import { ON_SHARED_KERNEL, plainManifest, preparationFrom, registrySecret } from './plain-cluster.ts';
import { type Repositories, startRepositories, whyNoRepositories } from './repositories.ts';
import { type SiteServers, startSiteServers } from './site-servers.ts';
import { clusterTraces } from './software-traces.ts';

const ONE = { controlPlanes: 1, workers: 0 };

let site: Site;
let at: Management;
let servers: SiteServers;
let repositories: Repositories;
let host: TestHost;

beforeAll(async () => {
  site = await startSite({ count: 1, bare: ['host-1'], behindBastion: [] });
  at = site.management;
  host = site.world.hosts[0]!;
  servers = await startSiteServers(site.dir);
  await importHosts(site, { 'host-1': 'control-plane' });
  await at.apply(registrySecret(servers.registries.login));
});

afterAll(async () => {
  await repositories?.stop();
  await servers?.stop();
  await site?.stop();
});

const usual = () => preparationFrom(servers.supply);
const run = async (script: string) => {
  const { code, stdout, stderr } = await host.exec(['sh', '-c', script]);
  if (code !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout.trim();
};

/** A cluster of one machine, which takes the only host there is. */
async function createCluster(preparation: HostPreparation): Promise<void> {
  await at.apply(await plainManifest(site, { size: ONE, version: VERSIONS.kubernetes, preparation }));
}

const conditionOf = (conditions: readonly Condition[] | undefined, name: string) =>
  conditions?.find(({ type }) => type === name);

/** Until host and machine say it; returns what they say. */
async function untilTold(reason: string, pattern: RegExp): Promise<string> {
  let told = '';
  await waitUntil(
    async () => {
      const machines = await at.client.list(TSMachineKind, { namespace: NAMESPACE });
      const { status } = await tsHost(at, host.name);
      const seen = [
        conditionOf(status?.conditions, 'Prepared'),
        conditionOf(status?.conditions, 'Ready'),
        conditionOf(machines[0]?.status?.conditions, 'Ready'),
      ];
      const lines = seen.map((one) => `${one?.status} ${one?.reason}: ${one?.message}`);
      told = lines.join('\n');
      const isSaid = (line: string) => line.startsWith(`False ${reason}: `) && pattern.test(line);
      if (lines.every(isSaid)) return true;
      throw new Error(`${status?.state}\n${told}`);
    },
    { what: `host and machine to say ${reason}`, timeoutMs: 180_000, pollMs: 500 },
  );
  process.stdout.write(`${told}\n`);
  return told;
}

/** The cluster goes; the host was only half prepared, and is as it was before. */
async function untilAsBefore(): Promise<void> {
  await deleteCluster(at);
  await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'the host to be Available' });
  expect(await host.traces()).toEqual([]);
}

describe('files', () => {
  it('a corrupted artifact is named with its checksum', async () => {
    const file = join(servers.bundle, `kubernetes/${VERSIONS.kubernetes}/linux-amd64/kubelet`);
    const whole = readFileSync(file);
    const broken = Buffer.from(whole);
    broken.fill(0, whole.length / 2, whole.length / 2 + 1024);
    writeFileSync(file, broken);
    await createCluster(usual());
    await untilTold('ChecksumMismatch', /kubelet.*SHA-256/);
    writeFileSync(file, whole);
    await untilAsBefore();
  });

  it('a server that is away is named', async () => {
    await servers.artifacts.kill();
    await createCluster(usual());
    await untilTold('ArtifactsUnreachable', /http:\/\/10\.88\.55\.1:8080\/manifest/);
    await servers.artifacts.start();
    await untilAsBefore();
  });

  it('a proxy that is wrong is named, without its password', async () => {
    const proxy = { http: 'http://10.88.55.1:3128', credentialsRef: { name: 'registry' } };
    await createCluster({ ...usual(), proxy });
    const told = await untilTold('ProxyFailed', /10\.88\.55\.1:3128/);
    expect(told).not.toContain(servers.registries.login.password);
    await untilAsBefore();
  });
});

describe('a disk that is full', () => {
  const fill = (size: string) => run(`mount -t tmpfs -o size=${size} small /usr/local`);

  it('is seen before anything is changed', async () => {
    await fill('64m');
    await createCluster(usual());
    await untilTold('DiskFull', /\/usr\/local has \d+ MiB free/);
    expect(await run('ls /usr/local')).toBe('');
    await deleteCluster(at);
    await run('umount /usr/local');
    await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'the host to be Available' });
    expect(await host.traces()).toEqual([]);
  });

  it('is said as what it is when it fills up on the way', async () => {
    await fill('128m');
    await createCluster({ ...usual(), ignorePreflight: ['Cgroups', 'Disk'] });
    await untilTold('DiskFull', /\/usr\/local/);
    await deleteCluster(at);
    await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'the host to be Available' });
    await run('umount /usr/local');
    expect(await host.traces()).toEqual([]);
  });
});

describe('registries', () => {
  it('both away: the image, and who was asked, are named; with one of them back it goes on', async () => {
    for (const index of [0, 1]) await servers.registries.kill(index);
    await createCluster(usual());
    await untilTold('ImageUnavailable', /pause.*10\.88\.55\.1:5001.*10\.88\.55\.1:5002/);
    await servers.registries.start(1);
    await untilNodes(at, await workload(site, at), ONE, 300_000);
    await servers.registries.start(0);
    await deleteCluster(at);
    await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'the host to be Available' });
    expect(await clusterTraces(host)).toEqual([]);
  });
});

const why = whyNoRepositories();
if (why !== undefined) process.stdout.write(`package repositories are skipped: ${why}\n`);

describe.skipIf(why !== undefined)('package repositories', () => {
  beforeAll(async () => {
    repositories = await startRepositories(servers.parts, join(site.dir, 'repositories'));
  });

  const packages = (): HostPreparation => {
    const { source: _, ...rest } = usual();
    return {
      ...rest,
      ...ON_SHARED_KERNEL,
      source: {
        packages: {
          kubernetes: { baseURL: repositories.kubernetesURL },
          containerRuntime: { baseURL: repositories.runtimeURL },
        },
      },
    };
  };

  it('a key that is missing, and one that is wrong, are said; with the right one it goes on', async () => {
    await host.exec(['sh', '-c', 'cat >/etc/apt/sources.list'], { input: `${repositories.distribution}\n` });
    repositories.giveKey('none');
    await createCluster(packages());
    await untilTold('RepositoryUntrusted', /Release\.key/);
    repositories.giveKey('wrong');
    await untilTold('RepositoryUntrusted', /key of the repository is missing or wrong/);
    repositories.giveKey('right');
    await untilNodes(at, await workload(site, at), ONE, 400_000);
    expect(await run('dpkg-query -W -f "\\${Version}" kubelet')).toMatch(VERSIONS.kubernetes.slice(1));
    expect(await run('apt-mark showhold')).toMatch(/kubelet/);
  });
});
