// SPDX-License-Identifier: Apache-2.0
// What goes wrong in the field: the manager dies again and again, cables are pulled, hosts hang, bootstraps fail. The end must be right.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { KubeadmControlPlaneKind, MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import { pause, waitUntil } from '../../hack/stack/process.ts';
import {
  CLUSTER,
  clusterManifest,
  deleteCluster,
  machineConfig,
  untilNodes,
  type Workload,
  workload,
} from './cluster.ts';
import { type HostRecord, recordHosts } from './host-record.ts';
import { killManager, type ManagerKiller } from './manager-killer.ts';
import { importHosts, type Management, NAMESPACE, type Site, startSite, tsHost, untilHosts } from './site.ts';

const ROLES = {
  'host-1': 'load-balancer',
  'host-2': 'control-plane',
  'host-3': 'control-plane',
  'host-4': 'control-plane',
  'host-5': 'worker',
  'host-6': 'worker',
};
const KILLS = 20;

let site: Site;
let at: Management;
let cluster: Workload;
let record: HostRecord;
let killer: ManagerKiller;

beforeAll(async () => {
  site = await startSite();
  at = site.management;
  record = recordHosts(site.world.hosts);
});

afterAll(async () => {
  await killer?.stop(0);
  await record?.stop();
  await site?.stop();
});

const hostNamed = (name: string): TestHost => site.world.hosts.find((host) => host.name === name)!;
const scaleWorkers = (replicas: number) =>
  at.client.patch(
    MachineDeploymentKind,
    { namespace: NAMESPACE, name: `${CLUSTER}-md-0` },
    { spec: { replicas } },
  );
const available = ({ status }: TSHost) => status?.state === 'Available';

/** Until one TSHost is as `ask` wants it. */
const untilHost = (name: string, ask: (host: TSHost) => boolean, what: string) =>
  untilHosts(at, (host) => host.metadata.name !== name || ask(host), {
    what: `${name} ${what}`,
    timeoutMs: 240_000,
  });

/** The TSHost of the pool that got into this state, whichever it is. */
async function firstIn(states: readonly string[], names: readonly string[]): Promise<TestHost> {
  let found = '';
  await waitUntil(
    async () => {
      const hosts = await at.client.list(TSHostKind, { namespace: NAMESPACE });
      found =
        hosts.find(
          ({ metadata, status }) => names.includes(metadata.name) && states.includes(status?.state ?? ''),
        )?.metadata.name ?? '';
      return found !== '';
    },
    { what: `a host to be ${states.join(' or ')}`, timeoutMs: 120_000, pollMs: 50 },
  );
  return hostNamed(found);
}

const WORKERS = ['host-5', 'host-6'];
const CUT_MS = 12_000;

describe('while our manager is killed again and again', () => {
  it('a cluster comes up, grows to 3 control planes, and shrinks to 1', async () => {
    await importHosts(site, ROLES);
    await untilHosts(at, available, { what: 'all hosts to be Available' });
    killer = killManager(site.stack, at, { seed: Date.now() % 100_000, fromMs: 2_000, toMs: 9_000 });
    process.stdout.write(`seed of the kills: ${killer.seed}\n`);
    const size = { controlPlanes: 1, workers: 2 };
    await at.apply(await clusterManifest(site, size, { controlPlane: 'control-plane', worker: 'worker' }));
    cluster = await workload(site, at);
    await untilNodes(at, cluster, size, 400_000);
    const controlPlane = { namespace: NAMESPACE, name: `${CLUSTER}-control-plane` };
    await at.client.patch(KubeadmControlPlaneKind, controlPlane, { spec: { replicas: 3 } });
    await untilNodes(at, cluster, { controlPlanes: 3, workers: 2 }, 400_000);
    await at.client.patch(KubeadmControlPlaneKind, controlPlane, { spec: { replicas: 1 } });
    await untilNodes(at, cluster, { controlPlanes: 1, workers: 2 }, 400_000);
  });

  it('workers go, and come again on the same hosts', async () => {
    await scaleWorkers(0);
    await untilNodes(at, cluster, { controlPlanes: 1, workers: 0 }, 300_000);
    await untilHosts(at, (host) => !WORKERS.includes(host.metadata.name) || available(host), {
      what: 'the workers to be Available',
    });
    await scaleWorkers(2);
    await untilNodes(at, cluster, { controlPlanes: 1, workers: 2 }, 300_000);
    await killer.stop(KILLS);
    process.stdout.write(`kills: ${killer.kills()}\n`);
    expect(killer.kills()).toBeGreaterThanOrEqual(KILLS);
    expect(record.repeated()).toEqual([]);
  });
});

describe('while cables are pulled', () => {
  const workersAvailable = () =>
    untilHosts(at, (host) => !WORKERS.includes(host.metadata.name) || available(host), {
      what: 'the workers to be Available',
      timeoutMs: 240_000,
    });
  const two = () => untilNodes(at, cluster, { controlPlanes: 1, workers: 2 }, 300_000);

  it('in Releasing and Cleaning', async () => {
    await scaleWorkers(0);
    const host = await firstIn(['Releasing', 'Cleaning'], WORKERS);
    await host.cutLink({ what: 'ssh' });
    await pause(CUT_MS);
    await host.mendLink();
    await workersAvailable();
  });

  it('in Claimed: nothing is begun on a host that does not answer', async () => {
    for (const name of WORKERS) await hostNamed(name).cutLink({ what: 'ssh' });
    await scaleWorkers(2);
    const host = await firstIn(['Claimed'], WORKERS);
    await pause(CUT_MS);
    expect((await tsHost(at, host.name)).status?.state).toBe('Claimed');
    for (const name of WORKERS) await hostNamed(name).mendLink();
    await two();
    expect(record.repeated()).toEqual([]);
  });

  it('in Bootstrapping, and once it is Provisioned', async () => {
    await scaleWorkers(0);
    await workersAvailable();
    await scaleWorkers(2);
    const host = await firstIn(['Bootstrapping'], WORKERS);
    await host.cutLink({ what: 'ssh' });
    await pause(CUT_MS);
    await host.mendLink();
    await two();
    await host.cutLink({ what: 'ssh' });
    await pause(CUT_MS);
    await host.mendLink();
    await two();
    expect(record.repeated()).toEqual([]);
  });

  it('a host that hangs in the middle of its bootstrap is Unreachable, and goes on where it was', async () => {
    await scaleWorkers(0);
    await workersAvailable();
    await scaleWorkers(2);
    const host = await firstIn(['Bootstrapping'], WORKERS);
    await host.freeze();
    await untilHost(
      host.name,
      ({ status }) => status?.operationalStatus === 'Unreachable' && status.state === 'Bootstrapping',
      'to be Unreachable',
    );
    await host.thaw();
    await two();
    await untilHost(host.name, ({ status }) => status?.operationalStatus === 'OK', 'to be OK');
    expect(record.repeated()).toEqual([]);
  });
});

describe('a bootstrap that fails on purpose', () => {
  const POISON = `${CLUSTER}-poison`;

  /** A second pool whose machines run a command that ends kubeadm's work before it begins. */
  async function poisonedPool(): Promise<string> {
    const text = await clusterManifest(
      site,
      { controlPlanes: 1, workers: 1 },
      { controlPlane: 'control-plane', worker: 'control-plane' },
    );
    const renamed = text.replaceAll(`${CLUSTER}-md-0`, POISON);
    return parseAllDocuments(renamed)
      .map(
        (document) =>
          document.toJS() as { metadata: { name: string }; kind: string; spec: Record<string, unknown> },
      )
      .filter(({ metadata }) => metadata.name === POISON)
      .map((object) => {
        if (object.kind === 'KubeadmConfigTemplate') {
          const commands = [
            'echo "the password is hunter-2-canary" >&2; rm -f /run/kubeadm/kubeadm-join-config.yaml',
          ];
          object.spec['template'] = { spec: machineConfig({ preKubeadmCommands: commands }) };
        }
        return `---\n${stringify(object)}`;
      })
      .join('');
  }

  it('says stage, exit code and why on the TSMachine; the log stays on the host', async () => {
    await at.apply(await poisonedPool());
    let machine: TSMachine | undefined;
    await waitUntil(
      async () => {
        const machines = await at.client.list(TSMachineKind, { namespace: NAMESPACE });
        machine = machines.find(({ metadata }) => metadata.name.startsWith(POISON));
        const ready = machine?.status?.conditions?.find(({ type }) => type === 'Ready');
        if (ready?.reason === 'BootstrapFailed') return true;
        throw new Error(`${ready?.reason} ${ready?.message}`);
      },
      { what: 'the bootstrap to fail', timeoutMs: 180_000, pollMs: 500 },
    );
    const ready = machine!.status!.conditions!.find(({ type }) => type === 'Ready')!;
    expect(ready.message).toMatch(/runcmd/);
    expect(ready.message).toMatch(/exit code \d+/);
    const name = machine!.spec.providerID!.split('/')[3]!;
    const { stdout } = await hostNamed(name).exec(['sh', '-c', 'cat /var/lib/ts-provider/jobs/*/log']);
    expect(stdout).toMatch(/kubeadm/);
  });

  it('its host returns clean when the machine goes', async () => {
    await at.kubectl('delete', 'machinedeployment', POISON);
    await untilHosts(
      at,
      (host) =>
        ['host-1', 'host-5', 'host-6'].includes(host.metadata.name) ||
        host.spec.claim?.machine?.name.startsWith(`${CLUSTER}-control-plane`) === true ||
        available(host),
      { what: 'the host to be Available again', timeoutMs: 240_000 },
    );
  });
});

describe('after all that', () => {
  it('the cluster goes, and every host is Available without a trace', async () => {
    await deleteCluster(at);
    await untilHosts(at, available, { what: 'all hosts to be Available again', timeoutMs: 240_000 });
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
