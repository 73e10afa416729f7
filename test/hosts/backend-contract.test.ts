// SPDX-License-Identifier: Apache-2.0
// The promises of every backend, kept by real hosts: a real API server, our manager as a process that works on them over SSH, and two
// handles of the backend with caches of their own. The test plays the machine controller.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import { TSHostKind } from '../../api/kinds.ts';
import { WATCH_FILTER_LABEL } from '../../api/labels.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { BootstrapData, MachineBackend, MachineFacts } from '../../backends/backend.ts';
import { type BackendUnderTest, backendContract } from '../../backends/contract.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import { createHostBackend } from '../../backends/host/machine-backend.ts';
import { createHostInventory } from '../../controllers/host/inventory.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';
import { type Cache, createInformers, type Informers } from '../../runtime/informer.ts';
import { nameOf } from '../../runtime/object.ts';
import { type Environment, startEnvironment } from '../envtest/harness.ts';
import { type PlayedMachines, playMachines } from './played-machines.ts';
import { importHosts, NAMESPACE } from './site.ts';

/** One more than any test needs: what is made once too often finds a place. */
const HOSTS = ['host-1', 'host-2', 'host-3', 'host-4'];
/** Only TSHosts carry it, so that the manager works on hosts and leaves the machines to the test. */
const FILTER = 'hosts-only';
const UNSERVED = 'unserved';

/** Where each host notes what it became. No clean-up knows of it. */
const NOTES = '/root/instances';

/** Of a machine, and gone with it. */
const OURS = ['/run/cluster-api', '/etc/kubernetes/pki', '/var/lib/ts-provider'];

const bootstrapData: BootstrapData = {
  format: 'cloud-config',
  value: Buffer.from(`## template: jinja
#cloud-config
bootcmd:
- echo '{{ ds.meta_data.provider_id }}' >>${NOTES}
write_files:
- path: /run/cluster-api/placeholder
  content: x
- path: /etc/kubernetes/pki/ca.crt
  content: not a certificate
- path: /etc/motd
  content: a node
  append: true
users:
- name: nodeadmin
  shell: /bin/bash
runcmd:
- mkdir -p /var/lib/kubelet/pods && sleep 1
- echo success >/run/cluster-api/bootstrap-success.complete
`),
};

const ctx = quietContext();
let environment: Environment;
let provider: Provider;
let world: HostWorld;
let machines: PlayedMachines;
/** Of one manager each. */
let handles: { readonly backend: MachineBackend; readonly cache: Cache; readonly informers: Informers }[] =
  [];

beforeAll(async () => {
  world = await startHosts({ count: HOSTS.length, behindBastion: ['host-4'] });
  environment = await startEnvironment({ managers: [], controllerManager: false });
  const roles = Object.fromEntries(HOSTS.map((name) => [name, 'any']));
  const apply = (manifest: string) => environment.apply(manifest);
  await importHosts({ dir: environment.dir, world, management: { apply } }, roles);
  await addUnserved();
  const flags = [`--watch-filter=${FILTER}`, '--log-level=debug'];
  provider = await environment.startProvider({ flags });
  for (const name of HOSTS) await label(name);
  const { client } = environment;
  machines = await playMachines({ client, namespace: NAMESPACE, data: bootstrapData, begun });
  handles = [await createHandle(), await createHandle()];
  await settle();
});

afterAll(async () => {
  for (const { informers } of handles) await informers.stop();
  await environment?.stop();
  await world?.close();
});

async function createHandle() {
  const client: ApiClient = createClient({
    kubeConfig: loadKubeConfig({ path: environment.apiServer.kubeconfig }),
  });
  const informers = createInformers({ ...ctx, client });
  informers.add(TSHostKind);
  informers.start(new AbortController().signal);
  await informers.waitForSync(AbortSignal.timeout(30_000));
  const { cache } = informers;
  const backend = createHostBackend({ inventory: createHostInventory({ client, cache }) });
  return { backend: machines.play(backend), cache, informers };
}

const label = (name: string) =>
  environment.client.patch(
    TSHostKind,
    { namespace: NAMESPACE, name },
    { metadata: { labels: { [WATCH_FILTER_LABEL]: FILTER } } },
  );

/** The same host once more, for another manager: without the label nobody asks it anything. */
async function addUnserved(): Promise<void> {
  const { client } = environment;
  const like = await client.get(TSHostKind, { namespace: NAMESPACE, name: 'host-1' });
  const { apiVersion, kind } = TSHostKind;
  const metadata = { namespace: NAMESPACE, name: UNSERVED };
  await client.create<TSHost>(TSHostKind, { apiVersion, kind, metadata, spec: like!.spec });
}

/** What all hosts became so far, by their own notes. */
async function notes(): Promise<string[]> {
  const texts = await Promise.all(world.hosts.map(notesOf));
  return texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
}

async function notesOf(host: TestHost): Promise<string> {
  const { code, stdout } = await host.exec(['cat', NOTES]);
  return code === 0 ? stdout : '';
}

async function begun(providerID: string): Promise<void> {
  const named = parseProviderID(providerID);
  const host = world.hosts.find(({ name }) => named?.backend === 'host' && name === named.host);
  if (host === undefined) throw new Error(`No host is named by ${providerID}`);
  await waitUntil(async () => (await notesOf(host)).includes(providerID), {
    what: `the bootstrap of ${providerID} to begin`,
    timeoutMs: 60_000,
    server: provider.server,
  });
}

/** Until no host is on its way to anything, and both handles know it. */
async function settle(): Promise<void> {
  await waitUntil(
    async () => {
      const hosts = await environment.client.list(TSHostKind, { namespace: NAMESPACE });
      const moving = hosts.filter((host) => host.metadata.name !== UNSERVED && !isSettled(host));
      if (moving.length > 0) throw new Error(`not yet: ${moving.map(stateLine).join(', ')}`);
      return handles.every(({ cache }) => hosts.every((host) => isKnown(cache, host)));
    },
    { what: 'the hosts to settle', timeoutMs: 120_000, server: provider.server },
  );
}

function isSettled({ spec: { claim }, status }: TSHost): boolean {
  if (claim?.for === undefined) return status?.state === 'Available';
  return claim.releasing !== true && status?.state === 'Provisioned';
}

function isKnown(cache: Cache, host: TSHost): boolean {
  return cache.peek(TSHostKind, nameOf(host))?.metadata.resourceVersion === host.metadata.resourceVersion;
}

function stateLine({ metadata, spec: { claim }, status }: TSHost): string {
  return `${metadata.name} ${JSON.stringify(claim)} ${status?.state} ${JSON.stringify(status?.error ?? {})}`;
}

function newMachine(): MachineFacts {
  return {
    ...{ namespace: NAMESPACE, name: `m-${randomUUID()}`, uid: randomUUID(), clusterName: 'c1' },
    ...{ controlPlane: false, version: environment.stack.versions.kubernetes, failureDomain: undefined },
    ...{ providerID: undefined, intent: undefined, spec: { host: {} }, cluster: {} },
    ...{ infrastructureID: undefined, hasNode: false },
  };
}

/** All that was made is given back, and the hosts are free again. */
async function giveBack(): Promise<void> {
  const [{ backend }] = handles as [(typeof handles)[number]];
  for (const machine of machines.created()) await backend.destroy(ctx, machine);
  await settle();
  for (const machine of machines.created())
    expect(await backend.destroy(ctx, machine), machine.name).toEqual({ state: 'gone' });
  await machines.forget();
}

backendContract('hosts over SSH', async (): Promise<BackendUnderTest> => {
  onTestFailed(() => console.log(provider.server.tail(60)));
  const before = (await notes()).length;
  const [one, other] = handles as [(typeof handles)[number], (typeof handles)[number]];
  return {
    ...{ ctx, backend: one.backend, other: other.backend, newMachine, bootstrapData, settle },
    badInput: [
      {
        name: 'a machine of another backend',
        machine: { ...newMachine(), spec: { inMemory: {} } },
        reason: 'InvalidMachine',
      },
      {
        name: 'no bootstrap data',
        machine: newMachine(),
        bootstrapData: { format: 'cloud-config', value: Buffer.alloc(0) },
        reason: 'BootstrapDataInvalid',
      },
      {
        name: 'Ignition',
        machine: newMachine(),
        bootstrapData: { format: 'ignition', value: Buffer.from('{}') },
        reason: 'BootstrapDataUnsupported',
      },
    ],
    async countInstances() {
      await settle();
      return (await notes()).length - before;
    },
    close: giveBack,
  };
});

it('says gone not before the host itself is clean', async () => {
  const [{ backend }] = handles as [(typeof handles)[number]];
  const intent = { attempt: 1, clientToken: randomUUID(), requestHash: 'a-hash' };
  const machine = { ...newMachine(), intent };
  await backend.create(ctx, machine, intent, bootstrapData);
  await settle();
  await waitUntil(async () => (await backend.destroy(ctx, machine)).state === 'gone', {
    what: 'the machine to be gone',
    timeoutMs: 120_000,
  });
  const left = await Promise.all(world.hosts.map((host) => host.exec(['ls', ...OURS])));
  expect(left.map(({ stdout }) => stdout)).toEqual(HOSTS.map(() => ''));
  await giveBack();
});

describe('after all of them', () => {
  it('hosts that another manager serves were never asked', async () => {
    const host = await environment.client.get(TSHostKind, { namespace: NAMESPACE, name: UNSERVED });
    expect(host?.status).toBeUndefined();
  });

  it('nothing began twice, and nothing is left but the notes of it', async () => {
    const lines = await notes();
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines.length).toBeGreaterThan(10);
    const left = await Promise.all(world.hosts.map((host) => host.traces()));
    expect(left.map((traces) => traces.filter((trace) => !KEPT.test(trace)))).toEqual(HOSTS.map(() => []));
  });
});

/** Our notes, and copies that the tools for accounts keep. */
const KEPT =
  /^(changed )?file (\/root\/instances|\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-|\/run\/xtables\.lock)$/;
