// SPDX-License-Identifier: Apache-2.0
// The life of hosts: a real API server, our manager, and simulated hosts with real SSH servers. All stories at once, each with hosts
// of its own; what they share is the manager.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { CLEAN_ANNOTATION, FORCE_RELEASE_ANNOTATION, TSHOST_FINALIZER } from '../../api/labels.ts';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { pause } from '../../hack/stack/process.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { CANARY } from './host-site.ts';
import { becomes, EventKind, type HostStories, hostStories } from './host-story.ts';
import { conditionText } from './machines.ts';
import { bundleManager, scrape } from './manager-bundle.ts';
import { growth, reconciles } from './quiet.ts';

const CLEANINGS = 2;

/** What the probe says of a host that runs a Node. */
const NODE = ['process 811 kubelet', 'file /etc/kubernetes/kubelet.conf'];

let environment: Environment;
let provider: Provider;
let stories: HostStories;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  stories = hostStories(environment);
  const main = await bundleManager(environment.dir);
  const flags = [`--host-cleanings-per-pool=${CLEANINGS}`, '--log-level=debug'];
  provider = await environment.startProvider({ main, flags });
});

afterAll(async () => {
  await stories?.close();
  await environment?.stop();
});

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(30))));

describe.concurrent('hosts', () => {
  it('a host is claimed, bootstrapped and provisioned, given back, cleaned and taken again', async ({
    expect,
  }) => {
    const story = await stories.begin({ purpose: 'journey' });
    const { site } = story;
    for (const generation of [1, 2]) {
      const name = `m${generation}`;
      await site.addMachine(name);
      await story.provisioned(name);
      const machine = await site.machine(name);
      const [, instance = ''] =
        /^tshost:\/\/.*\/host-000\/([0-9a-f]{8})$/.exec(machine?.spec.providerID ?? '') ?? [];
      expect(machine?.status?.addresses).toEqual(
        expect.arrayContaining([
          { type: 'Hostname', address: 'host-000' },
          { type: 'InternalIP', address: '10.20.0.1' },
        ]),
      );
      expect((await site.host('host-000')).metadata.finalizers).toContain(TSHOST_FINALIZER);
      await site.deleteMachine(name);
      await story.gone(name);
      await story.until(0, 'Available');
      const { metadata, spec, status } = await site.host('host-000');
      expect(spec.claim).toEqual({ generation, previous: instance });
      expect(metadata.finalizers ?? []).toEqual([]);
      expect(status).not.toHaveProperty('error');
      expect(story.jobs(0).slice(-2)).toEqual([
        `bootstrap-${generation}-${instance}`,
        `clean-${generation}-1`,
      ]);
      expect(story.at(0).host.record.owners.at(-1)).toBe(`${instance} ${generation}`);
    }
    expect(story.at(0).host.record.connections).toBe(1);
    expect(story.violations()).toEqual([]);
  });

  it('where no host fits, the machine counts why; when one fits, it gets that one', async ({ expect }) => {
    const story = await stories.begin({
      purpose: 'none',
      count: 4,
      make: (index) => ({ memoryKiB: index < 2 ? 4 << 20 : 64 << 20 }),
      change: (_, index) => ({ maintenance: index === 2, labels: index === 3 ? { rack: 'b' } : {} }),
    });
    const { site } = story;
    await story.until(3, 'Available');
    await site.addMachine('other', { selector: { matchLabels: { rack: 'b' } } });
    await story.provisioned('other');
    await site.addMachine('big', { selector: { minMemory: '32Gi' } });
    await becomes(
      'why not',
      () => story.machineReady('big'),
      /4 hosts: 2 too little memory, 1 claimed, 1 in maintenance/,
    );
    expect(await story.machineReady('big')).toMatch(/^False NoHostAvailable: /);
    await site.edit('host-002', { spec: { maintenance: null } });
    await story.provisioned('big');
    expect(story.jobs(2)).toHaveLength(1);
    expect([...story.jobs(0), ...story.jobs(1)]).toEqual([]);
    expect(story.violations()).toEqual([]);
  });

  it('a bootstrap that fails is told with stage, exit code and last line, without its secrets', async ({
    expect,
  }) => {
    const log = `[preflight] error: the token ${CANARY} is not known to abcdef.0123456789abcdef`;
    const bootstrapFailure = { stage: 'runcmd', exitCode: 7, log };
    const story = await stories.begin({ purpose: 'failing', plan: { all: { bootstrapFailure } } });
    await story.site.addMachine('m1');
    await becomes('the host', () => story.ready(0), /^False BootstrapFailed: /);
    const told = await story.ready(0);
    expect(told).toContain('Stage runcmd failed with exit code 7: [preflight] error: the token ***');
    await becomes('the machine', () => story.machineReady('m1'), /^False BootstrapFailed: .*exit code 7/);
    await story.told('TSMachine', 'm1', ['BootstrapFailed']);
    await story.site.deleteMachine('m1');
    await story.gone('m1');
    await story.until(0, 'Available');
    expect(story.violations()).toEqual([]);
  });

  it('another host key and a refused login are told, and nothing is sent there', async ({ expect }) => {
    const wrong = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    const story = await stories.begin({
      purpose: 'keys',
      count: 2,
      plan: { hosts: { '1': { login: 'refuses' } } },
      change: (_, index) => (index === 0 ? { ssh: { hostKeys: [wrong] } } : {}),
    });
    await becomes('host 0', () => story.ready(0), /^False HostKeyMismatch: .*spec\.ssh\.hostKeys/);
    await becomes('host 1', () => story.ready(1), /^False CredentialsRefused: .*spec\.ssh\.user/);
    await story.told('TSHost', 'host-000', ['HostKeyMismatch']);
    expect(story.hosts.records().map(({ sessions }) => sessions)).toEqual([0, 0]);
    await story.site.edit('host-000', { spec: { ssh: { hostKeys: [story.at(0).hostKey] } } });
    await story.until(0, 'Available');
  });

  it('a key that is trusted on first use is pinned, and told', async ({ expect }) => {
    const change = () => ({ ssh: { hostKeys: [], hostKeyPolicy: 'TrustOnFirstUse' as const } });
    const story = await stories.begin({ purpose: 'tofu', change });
    await story.until(0, 'Available');
    expect((await story.site.host('host-000')).spec.ssh.hostKeys).toEqual([story.at(0).hostKey]);
    await story.told('TSHost', 'host-000', ['TrustedOnFirstUse']);
  });

  it('a host that does not answer is Unreachable, is not taken, and comes back', async ({ expect }) => {
    const story = await stories.begin({ purpose: 'away', plan: { all: { sshd: 'refuses' } } });
    const operational = async () => (await story.site.host('host-000')).status?.operationalStatus;
    await becomes('operational status', operational, 'Unreachable');
    await story.told('TSHost', 'host-000', ['HostUnreachable']);
    await story.site.addMachine('m1');
    await becomes('the machine', () => story.machineReady('m1'), /NoHostAvailable: 1 host: 1 unreachable/);
    await story.hosts.behave({ sshd: 'serves' });
    await story.provisioned('m1');
    expect(await operational()).toBe('OK');
  });

  it('a host that hangs in the middle of its bootstrap is given up and asked anew; it wakes up and goes on', async ({
    expect,
  }) => {
    const story = await stories.begin({ purpose: 'hangs', plan: { all: { bootstrapMs: [3_000, 3_000] } } });
    const { record } = story.at(0).host;
    await story.site.addMachine('m1');
    await becomes('jobs', () => story.jobs(0).length, 1);
    await story.hosts.behave({ sshd: 'hangs' });
    await becomes('connections', () => record.connections, 2);
    await story.hosts.behave({ sshd: 'serves' });
    await story.provisioned('m1');
    expect(story.jobs(0)).toHaveLength(1);
    expect(story.violations()).toEqual([]);
  });

  it('a reboot in the middle of a bootstrap: it goes on where it stopped', async ({ expect }) => {
    const story = await stories.begin({ purpose: 'reboot', plan: { all: { bootstrapMs: [3_000, 3_000] } } });
    await story.site.addMachine('m1');
    await becomes('jobs', () => story.jobs(0).length, 1);
    story.at(0).host.reboot();
    story.at(0).sshd.drop();
    await story.provisioned('m1');
    expect(story.records(0)).toMatchObject([{ launches: 2 }]);
    expect(story.violations()).toEqual([]);
  });

  it('maintenance: nothing is started on a claimed host, and nothing is cleaned', async ({ expect }) => {
    const story = await stories.begin({ purpose: 'maintenance' });
    const { site } = story;
    await site.addMachine('m1');
    await story.provisioned('m1');
    await site.edit('host-000', { spec: { maintenance: true } });
    await site.deleteMachine('m1');
    await becomes('the machine', () => story.machineReady('m1'), /it is in maintenance/);
    expect(story.jobs(0)).toHaveLength(1);
    await site.edit('host-000', { spec: { maintenance: null } });
    await story.gone('m1');
    await story.until(0, 'Available');
    expect(story.jobs(0)).toHaveLength(2);
  });

  it('a host with a Node is adopted by a machine that asks for it, and nothing is done on it', async ({
    expect,
  }) => {
    const story = await stories.begin({ purpose: 'adopt', count: 2, plan: { all: { sshd: 'refuses' } } });
    for (const index of [0, 1]) story.at(index).host.place(NODE);
    await story.site.edit('host-000', { spec: { adopt: true } });
    await story.hosts.behave({ sshd: 'serves' });
    await story.until(0, 'Available');
    await story.until(1, 'Quarantined');
    await story.site.addMachine('fresh');
    await becomes(
      'the other machine',
      () => story.machineReady('fresh'),
      /2 hosts: 1 for adoption only, 1 quarantined/,
    );
    await story.site.addMachine('m1', { adopt: true });
    await story.provisioned('m1');
    expect([...story.jobs(0), ...story.jobs(1)]).toEqual([]);
    expect(story.violations()).toEqual([]);
  });

  it('force-release: the machine named goes without proof; its host is cleaned when a person asks', async ({
    expect,
  }) => {
    const story = await stories.begin({ purpose: 'force' });
    const { site } = story;
    const annotate = (name: string, value: string) =>
      site.edit('host-000', { metadata: { annotations: { [name]: value } } });
    await site.addMachine('m1');
    await story.provisioned('m1');
    await story.hosts.behave({ sshd: 'refuses' });
    await site.deleteMachine('m1');
    await becomes('the machine', () => story.machineReady('m1'), /force-release=tshost:/);
    await annotate(FORCE_RELEASE_ANNOTATION, 'tshost://else/host-000/00000000');
    await becomes('the annotation', async () => (await site.host('host-000')).metadata.annotations ?? {}, {});
    await story.told('TSHost', 'host-000', ['ForceReleaseRefused', 'HostUnreachable']);
    expect(await site.machine('m1')).toBeDefined();
    await annotate(FORCE_RELEASE_ANNOTATION, (await site.machine('m1'))?.spec.providerID ?? '');
    await story.gone('m1');
    expect(await story.ready(0)).toMatch(/^False ForceReleased: TSMachine .*m1 was made to give the host up/);
    await story.told('TSHost', 'host-000', ['ForceReleaseRefused', 'ForceReleased', 'HostUnreachable']);
    expect(story.jobs(0)).toHaveLength(1);

    await story.hosts.behave({ sshd: 'serves' });
    await annotate(CLEAN_ANNOTATION, '');
    await story.until(0, 'Available');
    expect(story.jobs(0)).toHaveLength(2);
    expect((await site.host('host-000')).metadata.annotations ?? {}).toEqual({});
  });

  it('what a clean-up leaves keeps the host out of the pool, not the machine', async ({ expect }) => {
    const story = await stories.begin({
      purpose: 'leftovers',
      plan: { all: { leftovers: ['file /var/lib/etcd'] } },
    });
    await story.site.addMachine('m1');
    await story.provisioned('m1');
    await story.site.deleteMachine('m1');
    await story.gone('m1');
    expect(await story.ready(0)).toMatch(/^False HostDirty: .*\/var\/lib\/etcd/);
    expect((await story.site.host('host-000')).status).toMatchObject({
      state: 'Quarantined',
      occupants: ['/var/lib/etcd'],
    });
    await story.hosts.behave({ leftovers: [] });
    await story.site.edit('host-000', { metadata: { annotations: { [CLEAN_ANNOTATION]: '' } } });
    await story.until(0, 'Available');
  });

  it(`of a pool ${CLEANINGS} hosts are cleaned at once`, async ({ expect }) => {
    const story = await stories.begin({
      purpose: 'pool',
      count: 5,
      plan: { all: { cleanMs: [1_500, 1_500] } },
    });
    const names = ['m1', 'm2', 'm3', 'm4', 'm5'];
    for (const name of names) await story.site.addMachine(name);
    for (const name of names) await story.provisioned(name);
    for (const name of names) await story.site.deleteMachine(name);
    for (const name of names) await story.gone(name);
    const cleanings = [0, 1, 2, 3, 4].flatMap((index) => story.records(index).slice(1));
    expect(cleanings).toHaveLength(5);
    const busy = cleanings.map(
      (one) =>
        cleanings.filter(({ begunMs, endsMs }) => begunMs <= one.begunMs && one.begunMs < endsMs).length,
    );
    expect(Math.max(...busy)).toBeLessThanOrEqual(CLEANINGS);
    expect(story.violations()).toEqual([]);
  });

  it('hosts of a paused Cluster are left alone', async ({ expect }) => {
    const story = await stories.begin({ purpose: 'paused' });
    await story.site.addMachine('m1');
    await story.provisioned('m1');
    await story.pauseCluster(true);
    const paused = async () => conditionText(await story.site.machine('m1'), 'Paused');
    await becomes('paused', paused, /^True/);
    await story.site.deleteMachine('m1');
    await pause(2_000);
    expect(await story.stateOf(0)).toBe('Provisioned');
    expect(story.jobs(0)).toHaveLength(1);
    await story.pauseCluster(false);
    await story.gone('m1');
    await story.until(0, 'Available');
    expect(story.jobs(0)).toHaveLength(2);
  });
});

it('idle: nothing is written, and nothing is reconciled', async () => {
  const sample = async () => {
    const { tshost = 0, tsmachine = 0, tscluster = 0 } = await reconciles(provider.metricsURL);
    const calls = (await scrape(provider)).by('ts_provider_api_requests_total', ['verb', 'resource']);
    const writes = [...calls].filter(([call]) => !/^(get|list|watch) /.test(call));
    return { tshost, tsmachine, tscluster, ...Object.fromEntries(writes) };
  };
  const grown = await growth(sample, 5_000);
  expect(Object.entries(grown).filter(([, count]) => count !== 0)).toEqual([]);
});

it('invariant 10: nothing of keys and bootstrap data is in logs, objects or Events', async () => {
  const { client } = environment;
  const keys = stories.begun.flatMap(({ hosts }) =>
    hosts.privateKey.split('\n').filter((line) => line.length > 40 && !line.startsWith('-----')),
  );
  expect(keys.length).toBeGreaterThan(stories.begun.length);
  const objects = [
    ...(await client.list(TSHostKind)),
    ...(await client.list(TSMachineKind)),
    ...(await client.list(EventKind)),
  ];
  const texts = [readFileSync(provider.server.logFile, 'utf8'), JSON.stringify(objects)];
  for (const secret of [CANARY, ...keys])
    expect(texts.map((text) => text.includes(secret))).toEqual([false, false]);
});
