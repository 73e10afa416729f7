// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Cluster, Machine, Secret } from '../../../api/cluster-api.ts';
import { ClusterKind, MachineKind, SecretKind, TSMachineKind } from '../../../api/kinds.ts';
import { TSMACHINE_FINALIZER } from '../../../api/labels.ts';
import type { HostPreparation } from '../../../api/preparation.ts';
import { FACTS } from '../../../test/fake-hosts.ts';
import { HostWorld } from '../../../test/host-world.ts';

const KEY = 'ns/h1';

const MIRRORED: HostPreparation = {
  registries: [
    { name: 'registry.k8s.io', mirrors: [{ endpoint: 'https://mirror:5000', authRef: { name: 'pull' } }] },
  ],
  proxy: { https: 'http://proxy:3128', credentialsRef: { name: 'proxy' } },
};

let world: HostWorld;
beforeEach(async () => {
  world = new HostWorld();
  world.addHost('h1', { ssh: { address: '10.0.0.7', credentialsRef: { name: 'ssh' }, hostKeys: ['k'] } });
  const { serviceManager } = FACTS.software;
  plain().facts = { ...FACTS, software: { ...(serviceManager !== undefined && { serviceManager }) } };
  await world.reconcile();
});

const plain = () => world.hosts.of(KEY);
const ready = () => `${world.condition('Ready')?.reason ?? ''}: ${world.condition('Ready')?.message ?? ''}`;
const kinds = () => world.hosts.launches.map(({ kind }) => kind);

function begin(change: Parameters<HostWorld['addMachine']>[1] = {}): Promise<unknown> {
  world.addMachine('m1', { preparation: {}, ...change });
  world.claim();
  return world.reconcile();
}

/** The job that is under way fails as a step with this exit code does. */
function fail(exitCode: number, stage = 'packages', message = 'it broke'): void {
  plain().preparationFailure = { exitCode, stage, message };
  plain().finish('failed');
}

function secret(name: string, data: Record<string, string>): void {
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const encoded = Object.entries(data).map(([key, text]): [string, string] => [key, encode(text)]);
  const metadata = { namespace: 'ns', name };
  world.api.put<Secret>({ ...SecretKind, metadata, data: Object.fromEntries(encoded) });
}

describe('a plain host', () => {
  it('is prepared for exactly the version of the Machine, and then becomes it', async () => {
    await begin();
    expect(world.status()).toMatchObject({
      state: 'Preparing',
      operation: { kind: 'Prepare', attempt: 1, step: 'start' },
    });
    expect(world.status().operation?.id).toMatch(/^prepare-1-1-[0-9a-f]{8}$/);
    expect(world.condition('Prepared')).toMatchObject({ status: 'False', reason: 'Preparing' });
    expect(plain().prepared?.preparation).toEqual({
      kubernetesVersion: 'v1.36.3',
      spec: {},
      secrets: { registries: {} },
      packages: [],
      network: {
        ...{ podCIDRs: [], serviceCIDRs: [], serviceDomain: 'cluster.local' },
        ...{ endpointHost: '10.0.0.100', nodeAddress: '10.0.0.7' },
      },
      mustServe: [10250, 10256],
    });

    plain().step('kubernetes');
    await world.reconcile();
    expect(world.status().operation?.step).toBe('kubernetes');
    expect(ready()).toBe('Preparing: Preparing: kubernetes');

    plain().finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({
      state: 'Bootstrapping',
      preparation: { version: 'v1.36.3' },
    });
    expect(world.condition('Prepared')).toMatchObject({ status: 'True', reason: 'Prepared' });
    plain().finish();
    await world.reconcile();
    expect(world.status().state).toBe('Provisioned');
    expect(kinds()).toEqual(['prepare', 'bootstrap']);
    expect(world.violations()).toEqual([]);
  });

  it('is told the networks, the ports of a control plane, and the package that carries its address', async () => {
    world.cluster({
      clusterNetwork: {
        ...{ pods: { cidrBlocks: ['10.244.0.0/16'] }, services: { cidrBlocks: ['10.96.0.0/12'] } },
        serviceDomain: 'example.local',
      },
      controlPlaneEndpoint: { host: '10.0.0.99', port: 6443 },
    });
    world.tsCluster({ controlPlaneLoadBalancer: { type: 'VirtualIP' } });
    await begin({ controlPlane: true });
    expect(plain().prepared?.preparation).toMatchObject({
      packages: ['keepalived'],
      network: {
        ...{ podCIDRs: ['10.244.0.0/16'], serviceCIDRs: ['10.96.0.0/12'] },
        ...{ serviceDomain: 'example.local', endpointHost: '10.0.0.99' },
      },
      mustServe: [10250, 10256, 6443, 2379, 2380, 10257, 10259],
    });
  });

  it('is given what the Secrets hold, and none of it is told', async () => {
    secret('pull', { username: 'puller', password: 'pull-password' });
    secret('proxy', { username: 'asker', password: 'proxy-password' });
    await begin({ preparation: MIRRORED });
    expect(plain().prepared?.preparation.secrets).toEqual({
      registries: { 'https://mirror:5000': { username: 'puller', password: 'pull-password' } },
      proxy: { username: 'asker', password: 'proxy-password' },
    });
    expect(JSON.stringify([world.host(), world.events])).not.toMatch(/pull-password|proxy-password/);
  });

  it('is looked at twice, and prepared once', async () => {
    await begin();
    const before = JSON.stringify(world.status());
    await world.reconcile();
    await world.reconcile();
    expect(JSON.stringify(world.status()).replace('"message":"Preparing: start"', '')).toBe(
      before.replace('"message":"Preparing: start"', ''),
    );
    expect(kinds()).toEqual(['prepare']);
  });

  it('is prepared once although the manager died right after it had begun', async () => {
    world.hosts.after = ({ verb }) => {
      if (verb === 'prepare') throw new Error('killed');
    };
    await begin().catch(() => {});
    expect(kinds()).toEqual(['prepare']);
    world.hosts.after = () => {};
    world.restart();
    await world.reconcile();
    expect(kinds()).toEqual(['prepare']);
    plain().finish();
    await world.reconcile();
    expect(kinds()).toEqual(['prepare', 'bootstrap']);
  });

  it('goes on after a reboot, and after a move', async () => {
    await begin();
    plain().interrupt();
    await world.reconcile();
    expect(plain().running?.[1].progress).not.toHaveProperty('stopped');
    world.move();
    await world.reconcile();
    expect(world.status().state).toBe('Preparing');
    plain().finish();
    await world.reconcile();
    expect(world.status().state).toBe('Bootstrapping');
    expect(kinds()).toEqual(['prepare', 'bootstrap']);
  });

  it('waits, after a move, for a try that still works there', async () => {
    await begin();
    fail(72);
    await world.reconcile();
    await world.clock.advance(30_000);
    await world.reconcile();
    await world.reconcile();
    world.move();
    await expect(world.reconcile()).rejects.toThrow('still works on the host');
    expect(kinds()).toEqual(['prepare', 'prepare']);
    plain().finish();
    await world.reconcile();
    // The host says by itself that it is ready: nothing is done again.
    expect(world.status().state).toBe('Bootstrapping');
    expect(kinds()).toEqual(['prepare', 'prepare', 'bootstrap']);
  });

  it('is not prepared again where it says that it is ready', async () => {
    await begin();
    plain().finish();
    world.hosts.before = ({ verb }) => {
      if (verb === 'bootstrap') throw new Error('killed');
    };
    await world.reconcile().catch(() => {});
    world.hosts.before = () => {};
    world.move();
    await world.reconcile();
    expect(kinds()).toEqual(['prepare', 'bootstrap']);
  });

  it('waits in Claimed for the load balancer only when it is ready itself', async () => {
    world.tsCluster({
      controlPlaneLoadBalancer: { type: 'HAProxy', hostSelector: { matchLabels: { role: 'lb' } } },
    });
    await begin({ controlPlane: true });
    expect(world.status().state).toBe('Preparing');
    plain().finish();
    await world.reconcile();
    expect(ready()).toMatch(/^WaitingForLoadBalancer: /);
    const probes = world.hosts.count('probe');
    await world.reconcile();
    expect(world.hosts.count('probe')).toBe(probes);
  });

  it('does not become a Node while something else than the prepared version answers', async () => {
    await begin();
    plain().finish();
    plain().facts = { ...FACTS, software: { ...FACTS.software, kubelet: 'v1.36.4' } };
    await world.reconcile();
    expect(ready()).toMatch(
      /^HostNotPrepared: The host was prepared for v1\.36\.3, and has kubelet v1\.36\.4: /,
    );
    expect(kinds()).toEqual(['prepare']);
  });
});

describe('a preparation that fails', () => {
  it.each([
    [70, 'PreparationFailed'],
    [71, 'PreflightFailed'],
    [72, 'ArtifactsUnreachable'],
    [73, 'ChecksumMismatch'],
    [74, 'DiskFull'],
    [75, 'ProxyFailed'],
    [76, 'RepositoryUntrusted'],
    [77, 'PackageUnavailable'],
    [78, 'ImageUnavailable'],
    [1, 'PreparationFailed'],
    [137, 'PreparationFailed'],
  ])('with exit code %s is told as %s', async (code, reason) => {
    await begin();
    fail(code);
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Preparing', error: { reason } });
    expect(world.condition('Prepared')).toMatchObject({ status: 'False', reason });
    expect(ready()).toBe(
      `${reason}: Stage packages failed with exit code ${code}: it broke; the log is on the host in ` +
        `/var/lib/ts-provider/jobs/${world.status().operation?.id}/log; try 2 follows while the Machine is there`,
    );
    expect(kinds()).toEqual(['prepare']);
  });

  it('because of its time is told as PreparationTimedOut', async () => {
    await begin();
    plain().preparationFailure = { stage: 'images', message: 'TimedOut: its time was over' };
    plain().finish('failed');
    await world.reconcile();
    expect(world.status().error?.reason).toBe('PreparationTimedOut');
  });

  it('is tried again later and later, one job at a time, and its reason stays until it has helped', async () => {
    await begin();
    for (const [index, seconds] of [30, 60, 120, 300, 600, 600, 600].entries()) {
      fail(72);
      await world.reconcile();
      expect(world.status().operation?.attempt).toBe(index + 1);
      await world.clock.advance(seconds * 1_000 - 1_000);
      await world.reconcile();
      expect(world.hosts.launches).toHaveLength(index + 1);
      await world.clock.advance(1_000);
      await world.reconcile();
      await world.reconcile();
      expect(world.hosts.launches).toHaveLength(index + 2);
      expect(ready()).toMatch(/^ArtifactsUnreachable: /);
      expect([...plain().jobs.keys()]).toEqual([world.status().operation?.id]);
    }
    plain().finish();
    await world.reconcile();
    expect(world.status().state).toBe('Bootstrapping');
    expect(world.status().error).toBeUndefined();
    expect(world.events.filter(({ reason }) => reason === 'ArtifactsUnreachable')).toHaveLength(1);
    expect(world.violations()).toEqual([]);
  });

  it('ends with its machine: the host is cleaned', async () => {
    await begin();
    fail(73);
    await world.reconcile();
    world.release();
    await world.reconcile();
    expect(world.status().state).toBe('Releasing');
    await world.reconcile();
    expect(kinds()).toEqual(['prepare', 'clean']);
    plain().finish();
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Available' });
    expect(world.status().preparation).toBeUndefined();
    expect(world.condition('Prepared')).toBeUndefined();
    expect(world.violations()).toEqual([]);
  });

  it('is a failure as well when the host does not say that it is ready', async () => {
    await begin();
    plain().finish();
    plain().preparation = undefined;
    await world.reconcile();
    expect(ready()).toMatch(/^PreparationFailed: .*the host does not say that it is prepared/);
    expect(kinds()).toEqual(['prepare']);
  });
});

describe('meanwhile', () => {
  it('the machine is given back: the host is cleaned, though the preparation still runs', async () => {
    await begin();
    world.release();
    await world.reconcile();
    await world.reconcile();
    expect(kinds()).toEqual(['prepare', 'clean']);
  });

  it('the host is given to nobody: it is looked at anew', async () => {
    await begin();
    world.editHost('h1', ({ spec }) => void (spec.claim = { generation: 1 }));
    await world.reconcile();
    expect(world.status().state).not.toBe('Preparing');
    expect(kinds()).toEqual(['prepare']);
  });

  it.each<{ name: string; given: () => void; says: string }>([
    {
      name: 'the machine is being deleted',
      given: () => {
        const machine = world.machine()!;
        machine.metadata.finalizers = [TSMACHINE_FINALIZER];
        world.api.put(machine);
        world.api.remove(TSMachineKind, { namespace: 'ns', name: 'm1' });
      },
      says: 'HostClaimed: The machine is being deleted',
    },
    {
      name: 'the Cluster is paused',
      given: () => world.cluster({ paused: true }),
      says: 'HostClaimed: Left alone: Cluster spec.paused',
    },
    {
      name: 'the host is in maintenance',
      given: () => world.editHost('h1', ({ spec }) => void (spec.maintenance = true)),
      says: 'HostInMaintenance: ',
    },
  ])('$name: no other try begins', async ({ given, says }) => {
    await begin();
    fail(72);
    await world.reconcile();
    given();
    await world.clock.advance(30_000);
    await world.reconcile();
    await world.reconcile();
    expect(ready().startsWith(says)).toBe(true);
    expect(kinds()).toEqual(['prepare']);
  });

  it('a Secret changes: what runs is seen through, and the host is prepared anew', async () => {
    secret('pull', { username: 'puller', password: 'old-password' });
    secret('proxy', { username: 'asker', password: 'proxy-password' });
    await begin({ preparation: MIRRORED });
    secret('pull', { username: 'puller', password: 'new-password' });
    await world.clock.advance(31_000);
    await world.reconcile();
    expect(kinds()).toEqual(['prepare']);
    plain().finish();
    await world.reconcile();
    expect(kinds()).toEqual(['prepare', 'prepare']);
    expect(JSON.stringify(plain().prepared)).toContain('new-password');
  });
});

describe('before it begins', () => {
  it.each<{ name: string; given: () => void; says: string }>([
    {
      name: 'a Secret is missing',
      given: () => secret('proxy', { username: 'u', password: 'p' }),
      says: 'Secret ns/pull, which spec.host.preparation.registries[0].mirrors[0].authRef of the TSMachine names, does not exist; make it with the keys username and password',
    },
    {
      name: 'a Secret lacks a key',
      given: () => {
        secret('pull', { username: 'u', password: 'p' });
        secret('proxy', { username: 'u' });
      },
      says: 'Secret ns/proxy, which spec.host.preparation.proxy.credentialsRef of the TSMachine names, has no password; add this key',
    },
  ])('$name: one line says which, and the host is left alone', async ({ given, says }) => {
    given();
    await begin({ preparation: MIRRORED });
    expect(ready()).toBe(`PreparationCredentialsMissing: ${says}`);
    expect(world.condition('Reachable')?.status).toBe('True');
    expect(kinds()).toEqual([]);
    secret('pull', { username: 'u', password: 'p' });
    secret('proxy', { username: 'u', password: 'p' });
    await world.clock.advance(31_000);
    await world.reconcile();
    expect(kinds()).toEqual(['prepare']);
  });

  it('two Secrets for one endpoint are told: one of them would be used for both', async () => {
    const of = (name: string, secretName: string) => ({
      name,
      mirrors: [{ endpoint: 'https://mirror:5000', authRef: { name: secretName } }],
    });
    for (const name of ['a', 'b']) secret(name, { username: 'u', password: 'p' });
    await begin({ preparation: { registries: [of('one.example', 'a'), of('two.example', 'b')] } });
    expect(ready()).toMatch(/^PreparationInvalid: .* the Secrets a and b for the same endpoint https:/);
    expect(kinds()).toEqual([]);
  });

  it('a Machine without a version is told', async () => {
    world.addMachine('m1', { preparation: {} });
    const machine = world.api.read<Machine>(MachineKind, { namespace: 'ns', name: 'm1' })!;
    delete machine.spec.version;
    world.api.put(machine);
    world.claim();
    await world.reconcile();
    expect(ready()).toMatch(/^PreparationInvalid: The Machine has no spec\.version/);
  });

  it('a version that is newer than the control plane is refused, and taken once that has followed', async () => {
    const server = world.addMachine('cp', { controlPlane: true, version: 'v1.35.4' });
    const machine = world.api.read<Machine>(MachineKind, { namespace: 'ns', name: server.metadata.name })!;
    machine.status = { nodeRef: { name: 'cp' } };
    world.api.put(machine);
    await begin();
    expect(ready()).toMatch(/^VersionSkew: The Machine asks for v1\.36\.3, and .* still runs v1\.35\.4/);
    expect(kinds()).toEqual([]);
    machine.spec.version = 'v1.36.3';
    world.api.put(machine);
    await world.reconcile();
    expect(kinds()).toEqual(['prepare']);
  });

  it('a clock that is wrong is told, and need not be right where that was said', async () => {
    plain().facts = { ...plain().facts, clockSkewSeconds: -300 };
    await begin();
    expect(ready()).toMatch(/^PreflightFailed: Clock: the host is 300 s behind the manager; set its clock/);
    expect(kinds()).toEqual([]);
    plain().facts = { ...plain().facts, clockSkewSeconds: 60 };
    await world.clock.advance(61_000);
    await world.reconcile();
    expect(kinds()).toEqual(['prepare']);
  });

  it('a clock that may be wrong is not asked', async () => {
    plain().facts = { ...plain().facts, clockSkewSeconds: 300 };
    await begin({ preparation: { ignorePreflight: ['Clock'] } });
    expect(kinds()).toEqual(['prepare']);
  });

  it('a Cluster of the other API is no reason to fail: defaults hold', async () => {
    const cluster = world.api.read<Cluster>(ClusterKind, world.c1)!;
    delete cluster.spec?.clusterNetwork;
    world.api.put(cluster);
    await begin();
    expect(kinds()).toEqual(['prepare']);
  });
});
