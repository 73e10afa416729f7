// SPDX-License-Identifier: Apache-2.0
// Input that cannot work: one line on the object says what is wrong and what to do, nothing spins, no secret is repeated, and all
// is well once it is mended. Everything goes wrong at the same time, so that one look at the manager judges all of it.
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind, SecretKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { ourRefusals, readAuditLog } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { instancesOf } from './instances.ts';
import {
  bootstrapSecret,
  conditionOf,
  createCluster,
  createMachine,
  joinConfig,
  type PlainCluster,
  type PlainMachine,
  secretName,
  soon,
} from './machines.ts';
import { growth, reconciles } from './quiet.ts';

/** Stands in every secret of this file, and may stand nowhere else. */
const CANARY = `canary${randomBytes(12).toString('hex')}`;
/** As if an operator had pasted something else into the Secret. */
const BROKEN_KUBECONFIG = `apiVersion: v1\nkind: Config\nusers:\n- user: {token: ${CANARY}\n  name: "x`;
const STRANGE_KUBECONFIG = `{"token": "${CANARY}"}`;
const UNTRUSTED_KUBECONFIG = (port: number) => `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:${port}"}}]
users: [{name: u, user: {token: ${CANARY}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`;

interface Mistake {
  readonly what: string;
  readonly cluster?: Partial<PlainCluster>;
  readonly machine?: Partial<PlainMachine>;
  /** The condition Ready of the TSMachine; `NS` and `M` stand for the names. */
  readonly says: RegExp;
  readonly instances: number;
  /** What a person does about it; absent where only deleting the Machine helps. */
  readonly mend?: (where: Where) => Promise<unknown>;
}

interface Where {
  readonly namespace: string;
  readonly machine: PlainMachine;
}

let environment: Environment;
let client: ApiClient;
let provider: Provider;
const places = new Map<string, Where>();

const KUBECONFIG_SAYS = (why: string) =>
  new RegExp(
    `^True Ready: Secret kubeconfig-[0-9a-f]+/c-kubeconfig is not a usable kubeconfig: .*${why}.*` +
      'Delete it to have the control plane provider make it again, or write a kubeconfig under its key "value"$',
  );

async function mendKubeconfig({ namespace }: Where): Promise<void> {
  const { pki } = await environment.workload();
  const { data } = kubeconfigSecret({ namespace, clusterName: 'c', pki });
  await client.patch(SecretKind, { namespace, name: 'c-kubeconfig' }, { data });
}

async function mendBootstrapData({ namespace, machine }: Where): Promise<void> {
  const { data } = bootstrapSecret(machine, { value: joinConfig(CANARY), format: 'cloud-config' });
  await client.patch(SecretKind, { namespace, name: secretName(machine.name) }, { data });
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'a bootstrap data Secret that does not exist',
    machine: { bootstrap: 'missing' },
    says: /^False BootstrapDataMissing: Secret .*-bootstrap, which spec.bootstrap.dataSecretName .* does not exist; restore it or delete/,
    instances: 0,
    mend: ({ machine }) => client.create(SecretKind, bootstrapSecret(machine)),
  },
  {
    what: 'a bootstrap data Secret without its key',
    machine: { bootstrap: { userdata: CANARY } },
    says: /^False BootstrapDataInvalid: .*-bootstrap has nothing under its key "value"; mend it or delete/,
    instances: 0,
    mend: mendBootstrapData,
  },
  {
    what: 'a bootstrap data Secret of an unknown format, with its keys mixed up',
    machine: { bootstrap: { value: 'cloud-config', format: CANARY } },
    says: /^False BootstrapDataInvalid: .*-bootstrap has a format .* neither cloud-config nor ignition/,
    instances: 0,
    mend: mendBootstrapData,
  },
  {
    what: 'bootstrap data that is no bootstrap data',
    machine: { bootstrap: { value: `#cloud-config\nwrite_files: [ {${CANARY}: "` } },
    says: /^False InstanceFailed: The first boot failed: The bootstrap data /,
    instances: 1,
  },
  {
    what: 'bootstrap data for something else than kubeadm',
    machine: { bootstrap: { value: `#cloud-config\nruncmd: [echo ${CANARY}]\n` } },
    says: /^False InstanceFailed: The first boot failed: The bootstrap data /,
    instances: 1,
  },
  {
    what: 'a failure domain that the cluster does not have',
    cluster: {
      infrastructure: { controlPlaneEndpoint: ENDPOINT(), inMemory: { failureDomains: [{ name: 'a' }] } },
    },
    machine: { failureDomain: 'b' },
    says: /^False FailureDomainUnknown: Failure domain b is not among the cluster's \(a\); add it to spec.inMemory.failureDomains/,
    instances: 0,
    mend: ({ namespace }) =>
      client.patch(
        TSClusterKind,
        { namespace, name: 'c' },
        { spec: { inMemory: { failureDomains: [{ name: 'a' }, { name: 'b' }] } } },
      ),
  },
  {
    what: 'a TSCluster without an endpoint',
    cluster: { infrastructure: {} },
    says: /^False WaitingForClusterInfrastructure: Waiting for Cluster c to have its infrastructure provisioned$/,
    instances: 0,
    mend: async ({ namespace }) => {
      const { port } = await environment.workload();
      const controlPlaneEndpoint = { host: '127.0.0.1', port };
      await client.patch(TSClusterKind, { namespace, name: 'c' }, { spec: { controlPlaneEndpoint } });
    },
  },
  ...[
    ['that is not YAML', BROKEN_KUBECONFIG, ''],
    ['that is something else', STRANGE_KUBECONFIG, ''],
    ['that is empty', '', 'it has no data under the key "value"'],
  ].map(([what = '', kubeconfig = '', why = '']): Mistake => ({
    what: `a kubeconfig ${what}`,
    cluster: { kubeconfig },
    says: KUBECONFIG_SAYS(why),
    instances: 1,
    mend: mendKubeconfig,
  })),
];

/** Any will do where nobody connects before the mistake is mended: core copies it once. */
function ENDPOINT() {
  return { host: '127.0.0.1', port: 6443 };
}

beforeAll(async () => {
  environment = await startEnvironment({ managers: ['core'], auditLog: 'audit.log' });
  client = environment.client;
  const { port } = await environment.workload();
  provider = await environment.startProvider({ flags: ['--log-level=debug'] });
  for (const { what, cluster, machine } of MISTAKES) {
    const namespace = await environment.namespace(what.includes('kubeconfig') ? 'kubeconfig' : 'bad');
    await createCluster(environment, { namespace, name: 'c', ...cluster });
    const made = { namespace, name: `m-${namespace}`, cluster: 'c', ...machine };
    await createMachine(environment, made);
    places.set(what, { namespace, machine: made });
  }
  const namespace = await environment.namespace('untrusted');
  await createCluster(environment, { namespace, name: 'c', kubeconfig: UNTRUSTED_KUBECONFIG(port) });
  const machine = {
    namespace,
    name: `m-${namespace}`,
    cluster: 'c',
    bootstrap: { value: joinConfig(CANARY) },
  };
  await createMachine(environment, machine);
  places.set('untrusted', { namespace, machine });
});

afterAll(() => environment?.stop());

const placeOf = (what: string): Where => {
  const place = places.get(what);
  if (place === undefined) throw new Error(`nobody made ${what}`);
  return place;
};
const readyOf = (what: string) => conditionOf(environment, TSMachineKind, placeOf(what).machine);

describe('what it says', () => {
  it.each(MISTAKES)('$what', async ({ what, says, instances }) => {
    await expect.poll(readyOf(what), soon).toMatch(says);
    const { namespace, machine } = placeOf(what);
    // People look at the Machine first (IM-7).
    const seen = conditionOf(environment, MachineKind, machine, 'InfrastructureReady');
    await expect.poll(seen, soon).toBe(await readyOf(what)());
    expect(instancesOf(provider.database, namespace)).toHaveLength(instances);
  });

  it('IC-2b, IC-7: a TSCluster without an endpoint says on the Cluster what to set', async () => {
    const { namespace } = placeOf('a TSCluster without an endpoint');
    const seen = conditionOf(environment, ClusterKind, { namespace, name: 'c' }, 'InfrastructureReady');
    await expect
      .poll(seen, soon)
      .toMatch(/^False WaitingForControlPlaneEndpoint: .*set spec.controlPlaneEndpoint/);
  });

  it('an API server that is not the one that the kubeconfig trusts', async () => {
    await expect
      .poll(readyOf('untrusted'), soon)
      .toMatch(/^True Ready: No answer from the API server.*certificate/);
  });

  it('what a person has to act upon is an Event as well', async () => {
    const { namespace } = placeOf('a bootstrap data Secret that does not exist');
    const notes = async () => (await eventsOf(namespace)).map(({ reason }) => reason);
    await expect.poll(notes, soon).toContain('BootstrapDataMissing');
  });
});

interface Event extends KubeObject {
  reason: string;
  note: string;
}

const EventKind: Kind<Event> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

function eventsOf(namespace?: string): Promise<Event[]> {
  return client.list(EventKind, namespace === undefined ? {} : { namespace });
}

describe('what it costs', () => {
  it('a mistake is looked at now and then, not again and again', async () => {
    expect(provider.server.running()).toBe(true);
    const grown = await growth(() => reconciles(provider.metricsURL), 10_000);
    // Three Secrets are looked for every 15 seconds; whoever waits for a person or a watch is not looked at.
    expect(grown['tsmachine']).toBeLessThanOrEqual(8);
    expect(grown['tscluster']).toBe(0);
  });
});

describe.concurrent('when it is mended', () => {
  const mendable = MISTAKES.flatMap(({ mend, ...mistake }) =>
    mend === undefined ? [] : [{ ...mistake, mend }],
  );

  it.for(mendable)('$what: the machine comes up', async ({ what, mend }, { expect }) => {
    const place = placeOf(what);
    await mend(place);
    await expect.poll(readyOf(what), soon).toBe('True Ready');
    expect(instancesOf(provider.database, place.namespace)).toHaveLength(1);
  });

  it('a machine that read broken bootstrap data is replaced by deleting its Machine', async ({ expect }) => {
    const { machine } = placeOf('bootstrap data that is no bootstrap data');
    await client.delete(MachineKind, machine);
    await expect.poll(() => client.get(TSMachineKind, machine), soon).toBeUndefined();
  });
});

describe('afterwards', () => {
  it('invariant 10: no secret stands in a log line, an event or any object that is not a Secret', async () => {
    const kinds: readonly Kind[] = [ClusterKind, MachineKind, TSClusterKind, TSMachineKind];
    const objects = await Promise.all(kinds.map((kind) => client.list(kind)));
    const said = {
      log: readFileSync(provider.server.logFile, 'utf8'),
      events: JSON.stringify(await eventsOf()),
      objects: JSON.stringify(objects),
    };
    const encoded = Buffer.from(CANARY).toString('base64').slice(0, 16);
    for (const [where, text] of Object.entries(said)) {
      expect(text.length, where).toBeGreaterThan(1000);
      expect(text.includes(CANARY) || text.includes(encoded), `a secret stands in the ${where}`).toBe(false);
    }
  });

  it('nothing was asked that the service account may not', () => {
    expect(ourRefusals(readAuditLog(`${environment.dir}/audit.log`))).toEqual([]);
  });
});
