// SPDX-License-Identifier: Apache-2.0
// A host after a real kubeadm init with pods on it, cleaned by the driver over SSH, and looked at by somebody who trusts none of it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createHostDriver, type SshHostDriver } from '../../backends/host/driver.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import { createSshPool } from '../../backends/host/ssh/pool.ts';
import type { HostAccess, HostReport, JobProgress } from '../../backends/host-driver.ts';
import { ECHO_IMAGE } from '../../hack/hosts/images.ts';
import { podNetwork } from '../../hack/hosts/pod-network.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { VERSIONS } from '../../hack/stack/versions.ts';
import { systemClock } from '../../runtime/clock.ts';

const ctx = quietContext();
let world: HostWorld;
let host: TestHost;
let driver: SshHostDriver;
let access: HostAccess;
let generation = 0;

beforeAll(async () => {
  world = await startHosts({ count: 1, behindBastion: [] });
  [host] = world.hosts as [TestHost];
  driver = createHostDriver({ pool: createSshPool({ clock: systemClock }) });
  access = {
    ...{ key: `default/${host.name}`, address: host.address, port: host.sshPort, user: 'root' },
    ...{ credentials: { privateKey: world.privateKey }, hostKeys: [host.hostKey], trustOnFirstUse: false },
  };
}, 120_000);

afterAll(async () => {
  await driver?.close();
  await world?.close();
});

async function run(command: string, input = ''): Promise<string> {
  const { code, stdout, stderr } = await host.exec(['/bin/sh', '-c', command], { input, timeoutMs: 120_000 });
  if (code !== 0) throw new Error(`${command}: ${code}: ${stderr}${stdout}`);
  return stdout.trim();
}

const kubectl = (args: string, input?: string) =>
  run(`kubectl --kubeconfig=/etc/kubernetes/admin.conf --cache-dir=/run/lock/kubectl ${args}`, input);

/** What a KubeadmConfig renders to, with what these hosts need. */
function bootstrapData(proxyMode: 'iptables' | 'nftables'): Buffer {
  const kubeadm = 'kubeadm.k8s.io/v1beta4';
  const kubelet = { cgroupDriver: 'cgroupfs', failCgroupV1: false, failSwapOn: false };
  const documents = [
    {
      apiVersion: kubeadm,
      kind: 'InitConfiguration',
      nodeRegistration: {
        name: '{{ ds.meta_data.local_hostname }}',
        ignorePreflightErrors: ['SystemVerification'],
        taints: [],
      },
    },
    { apiVersion: kubeadm, kind: 'ClusterConfiguration', kubernetesVersion: VERSIONS.kubernetes },
    { apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration', ...kubelet },
    {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: proxyMode,
      conntrack: { maxPerCore: 0, min: 0 },
    },
  ];
  const network = podNetwork();
  const config = {
    write_files: [
      ...network.files,
      { path: '/run/kubeadm/kubeadm.yaml', content: documents.map((one) => stringify(one)).join('---\n') },
      { path: '/run/cluster-api/placeholder', content: 'x' },
      { path: '/etc/kubernetes/audit.yaml', content: 'x' },
      { path: '/etc/motd', content: 'a node\n', append: true },
    ],
    users: [{ name: 'nodeadmin', shell: '/bin/bash' }],
    runcmd: [
      ...network.preKubeadmCommands,
      'kubeadm init --config /run/kubeadm/kubeadm.yaml && echo success > /run/cluster-api/bootstrap-success.complete',
    ],
  };
  return Buffer.from(`## template: jinja\n#cloud-config\n${stringify(config, { lineWidth: 0 })}`);
}

function job(proxyMode: 'iptables' | 'nftables' = 'iptables') {
  return {
    id: `bootstrap-${generation}-0a1b2c3d`,
    owner: { token: '0a1b2c3d', generation },
    providerID: 'tshost://default/host-1/0a1b2c3d',
    nodeAddress: host.address,
    data: { format: 'cloud-config' as const, value: bootstrapData(proxyMode) },
  };
}

async function ended(work: () => Promise<JobProgress>): Promise<JobProgress> {
  let progress = await work();
  const over = async () => (progress = await work()).state !== 'running';
  await waitUntil(over, { what: 'the job to end', timeoutMs: 300_000, pollMs: 500 });
  return progress;
}

async function clean(): Promise<HostReport> {
  const id = `clean-${generation}-1`;
  const progress = await ended(() => driver.clean(ctx, access, id));
  const log = await run(`cat /var/lib/ts-provider/jobs/${id}/log 2>/dev/null || true`);
  expect(progress, log).toEqual({ state: 'succeeded' });
  await driver.finishClean(ctx, access);
  return driver.probe(ctx, access);
}

/**
 * Copies that the tools for accounts keep of what was there before: without the user, and not those of the fresh host. And the lock of
 * iptables, which is everybody's.
 */
const KEPT = /^(changed )?file (\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-|\/run\/xtables\.lock)$/;

async function traces(): Promise<string[]> {
  expect(await run('grep nodeadmin /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- || true')).toBe('');
  return (await host.traces()).filter((line) => !KEPT.test(line));
}

async function isReady(): Promise<boolean> {
  const path = '-o jsonpath=\'{.items[*].status.conditions[?(@.type=="Ready")].status}\'';
  return (await kubectl(`get nodes ${path}`).catch(() => '')) === 'True';
}

const PODS = stringify({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'echo' },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'echo' } },
    template: {
      metadata: { labels: { app: 'echo' } },
      spec: {
        volumes: [{ name: 'scratch', emptyDir: { medium: 'Memory' } }],
        containers: [
          { name: 'echo', image: ECHO_IMAGE, volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] },
        ],
      },
    },
  },
});

async function makeNode(proxyMode: 'iptables' | 'nftables'): Promise<void> {
  generation += 1;
  const progress = await ended(() => driver.bootstrap(ctx, access, job(proxyMode)));
  const log = await run(
    'tail -n 60 /var/lib/ts-provider/jobs/*/log; journalctl -u containerd | cut -c 1-300 | tail -n 30',
  );
  expect(progress, log).toEqual({ state: 'succeeded' });
  await waitUntil(isReady, { what: 'the Node to be Ready', timeoutMs: 60_000, pollMs: 500 });
  await kubectl('apply --filename=-', PODS);
  await kubectl('expose deployment echo --port=80 --target-port=8080 --type=NodePort');
  await kubectl('rollout status deployment/echo --timeout=60s');
}

/** Users and files of the bootstrap data that nobody could know for those of a cluster. */
const UNKNOWN =
  /nodeadmin|^(changed )?file \/etc\/((passwd|group|shadow|gshadow|subuid|subgid)|motd|cni(\/net\.d(\/10-pods\.conflist)?)?)$/;

describe('a host', () => {
  it('is measured, and is clean when it is fresh', async () => {
    const { facts, occupants, owner } = await driver.probe(ctx, access);
    expect(occupants).toEqual([]);
    expect(owner).toBeUndefined();
    expect(facts).toMatchObject({
      hostname: 'host-1',
      operatingSystem: { id: 'debian', family: 'debian' },
      software: { kubeadm: VERSIONS.kubernetes, kubelet: VERSIONS.kubernetes, serviceManager: 'systemd' },
      clockSkewSeconds: 0,
    });
    expect(facts.software.containerd).toMatch(/^v2\./);
    expect(facts.hardware.nics?.flatMap(({ addresses }) => addresses)).toContain(host.address);
    expect(await traces()).toEqual([]);
  });

  it('that is cleaned without a reason is left as it is', async () => {
    generation += 1;
    expect((await clean()).occupants).toEqual([]);
    expect(await traces()).toEqual([]);
  });

  it.each(['iptables', 'nftables'] as const)(
    'that was a control plane with kube-proxy in mode %s is as fresh after the clean-up, and is used again',
    async (mode) => {
      await makeNode(mode);
      expect(await kubectl("get nodes -o jsonpath='{.items[*].spec.providerID}'")).toBe(job().providerID);
      const startedMs = Date.now();
      const { occupants, owner } = await driver.probe(ctx, access);
      expect(Date.now() - startedMs).toBeLessThan(10_000);
      expect(owner).toEqual(job().owner);
      const kinds = new Set(occupants.map(({ kind, running }) => `${kind} ${running}`));
      for (const kind of ['process', 'port', 'unit']) expect(kinds).toContain(`${kind} true`);
      for (const kind of ['container', 'mount', 'file', 'network']) expect(kinds).toContain(`${kind} false`);
      const after = await clean();
      expect(after.occupants).toEqual([]);
      expect(await traces()).toEqual([]);
    },
  );

  it('whose bootstrap still goes on is clean after it as well', async () => {
    generation += 1;
    await driver.bootstrap(ctx, access, job());
    const begun = async () =>
      (await host.exec(['test', '-e', '/etc/kubernetes/manifests/etcd.yaml'])).code === 0;
    await waitUntil(begun, { what: 'kubeadm to be in the middle of it', timeoutMs: 60_000, pollMs: 100 });
    expect((await clean()).occupants).toEqual([]);
    expect(await traces()).toEqual([]);
  });

  it('that rebooted in the middle of its clean-up goes on with it', async () => {
    await makeNode('iptables');
    await driver.clean(ctx, access, `clean-${generation}-1`);
    await host.crash();
    await host.boot();
    expect((await clean()).occupants).toEqual([]);
    expect(await traces()).toEqual([]);
  });

  it('that remembers nothing of its bootstrap keeps only what no cluster has by itself', async () => {
    await makeNode('iptables');
    await run('rm -rf /var/lib/ts-provider');
    expect((await clean()).occupants).toEqual([]);
    expect((await host.traces()).filter((line) => !KEPT.test(line) && !UNKNOWN.test(line))).toEqual([]);
    expect(await run('ls /var/lib/ts-provider 2>&1 || true')).toContain('No such file');
  });
});
