// SPDX-License-Identifier: Apache-2.0
// The life of bootstrap tokens, with the shortest time that can be set: kept until the Node joins, replaced where that helps, put back
// where it does not, changed for pools. All of it happens in one look at every config, a third of the time after the first.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MachineKind, MachinePoolKind, SecretKind } from '../../api/kinds.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject, ObjectName } from '../../runtime/object.ts';
import {
  createCluster,
  createConfig,
  decoded,
  observe,
  reportOwner,
  secretData,
  startBootstrap,
  tokenName,
} from './bootstrap-objects.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { soon } from './machines.ts';

const TTL_MS = 60_000;
/** Every third of its life, at most a fifth of that later; and the machine that tests may be slow. */
const LOOKED_AT = { ...soon, timeout: (TTL_MS / 3) * 1.2 + 20_000 };

let environment: Environment;
let client: ApiClient;
let workload: ApiClient;
let namespace: string;

/** What was published at first. */
interface Published {
  readonly token: string;
  readonly data: string;
  readonly expiration: string;
}
const first = new Map<string, Published>();

const MACHINES = ['kept', 'provisioned', 'joined', 'lost', 'lost-used', 'unreadable'] as const;
const POOLS = ['pool', 'pool-old', 'pool-lost'] as const;
type Name = (typeof MACHINES)[number] | (typeof POOLS)[number];

const nameOf = (name: Name): ObjectName => ({ namespace, name });
const configOf = (name: Name) => observe(environment, nameOf(name));
const idOf = (name: Name) => first.get(name)!.token.split('.')[0]!;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false, ourBootstrap: true });
  client = environment.client;
  workload = await environment.workloadClient();
  await startBootstrap(environment, { flags: [`--bootstrap-token-ttl=${TTL_MS / 1000}s`] });
  namespace = await environment.namespace('tokens');
  await createCluster(environment, { namespace, name: 'c' });
  for (const name of MACHINES) await createConfig(environment, { ...nameOf(name), cluster: 'c' });
  for (const name of POOLS) await createConfig(environment, { ...nameOf(name), cluster: 'c', role: 'pool' });
  for (const name of [...MACHINES, ...POOLS]) first.set(name, await published(name));
  await arrange();
});

afterAll(() => environment?.stop());

async function published(name: Name): Promise<Published> {
  const config = configOf(name);
  await waitUntil(config.isCreated, { what: `the data of ${name}`, timeoutMs: soon.timeout });
  const token = (await config.token()) ?? '';
  return { token, data: await config.data(), expiration: await expirationOf(name) };
}

/** What happens to tokens and owners in the time before they are looked at again. */
async function arrange(): Promise<void> {
  const provisioned = { initialization: { infrastructureProvisioned: true } };
  for (const name of ['provisioned', 'lost-used'] as const)
    await reportOwner(environment, MachineKind, nameOf(name), provisioned);
  await reportOwner(environment, MachineKind, nameOf('joined'), {
    nodeRef: { name: 'joined' },
    ...provisioned,
  });
  for (const name of ['pool', 'pool-old'] as const)
    await reportOwner(environment, MachinePoolKind, nameOf(name), { nodeRefs: [{ name: 'n' }] });
  for (const name of ['lost', 'lost-used', 'pool-lost'] as const)
    await workload.delete(SecretKind, tokenName(idOf(name)));
  // Less than half of its life is left.
  await setExpiration('pool-old', inTime(TTL_MS / 3));
  await setExpiration('unreadable', 'next week');
}

function inTime(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

async function setExpiration(name: Name, expiration: string): Promise<void> {
  await workload.patch(SecretKind, tokenName(idOf(name)), { data: secretData({ expiration }) });
}

/** Of the token that was made at first; '' when it is gone. */
async function expirationOf(name: Name): Promise<string> {
  const id = first.get(name)?.token.split('.')[0] ?? (await configOf(name).token())?.split('.')[0] ?? '';
  return decoded(await workload.get(SecretKind, tokenName(id)), 'expiration');
}

interface Event extends KubeObject {
  reason: string;
  note: string;
  regarding: { name: string };
}
const EventKind: Kind<Event> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};
const notesOf = async (name: Name) =>
  (await client.list(EventKind, { namespace }))
    .filter(({ regarding }) => regarding.name === name)
    .map(({ reason, note }) => `${reason}: ${note}`);

describe.concurrent('a third of its life later', () => {
  it.for(['kept', 'provisioned'] as const)(
    'KB-22: it lives on while the Node has not joined, whatever the infrastructure says (%s)',
    async (name, { expect }) => {
      const before = first.get(name)!;
      await expect.poll(() => expirationOf(name), LOOKED_AT).not.toBe(before.expiration);
      expect(Date.parse(await expirationOf(name)) - Date.parse(before.expiration)).toBeGreaterThan(
        TTL_MS / 4,
      );
      expect(await configOf(name).token()).toBe(before.token);
      expect(await configOf(name).data()).toBe(before.data);
    },
  );

  it('KB-22: one that is gone, of a machine that has not begun: another token, and data with it', async ({
    expect,
  }) => {
    const before = first.get('lost')!;
    const config = configOf('lost');
    await expect.poll(config.data, LOOKED_AT).not.toBe(before.data);
    const token = (await config.token()) ?? '';
    expect(token).not.toBe(before.token);
    expect(await config.data()).toBe(before.data.replaceAll(before.token, token));
    expect(await expirationOf('lost')).toBe('');
    expect(await config.tokenSecret()).toBeDefined();
    await expect
      .poll(() => notesOf('lost'), soon)
      .toEqual([expect.stringMatching(/^BootstrapTokenLost: .* Machine .*\/lost gets a new one/)]);
  });

  it('KB-22: one that is gone, of a machine that runs: the same token again, and the data as they were', async ({
    expect,
  }) => {
    const before = first.get('lost-used')!;
    await expect.poll(() => expirationOf('lost-used'), LOOKED_AT).not.toBe('');
    expect(await configOf('lost-used').token()).toBe(before.token);
    expect(await configOf('lost-used').data()).toBe(before.data);
    const secret = await configOf('lost-used').tokenSecret();
    expect(decoded(secret, 'token-secret')).toBe(before.token.split('.')[1]);
    await expect
      .poll(() => notesOf('lost-used'), soon)
      .toEqual([
        expect.stringMatching(/^BootstrapTokenLost: .* is there again: Machine .*\/lost-used may be joining/),
      ]);
  });

  it('KB-24: a pool whose Nodes have all joined gets another one when half of its life is gone', async ({
    expect,
  }) => {
    const before = first.get('pool-old')!;
    const config = configOf('pool-old');
    await expect.poll(config.data, LOOKED_AT).not.toBe(before.data);
    const token = (await config.token()) ?? '';
    expect(token).not.toBe(before.token);
    expect(await config.data()).toBe(before.data.replaceAll(before.token, token));
    expect(await config.tokenSecret()).toBeDefined();
    // Machines that have the old one may still be on their way.
    expect(await expirationOf('pool-old')).not.toBe('');
    expect(await config.condition('Ready')).toBe('True Ready');
  });

  it('KB-22: a pool that waits for Nodes gets another one when it is gone', async ({ expect }) => {
    const before = first.get('pool-lost')!;
    const config = configOf('pool-lost');
    await expect.poll(config.data, LOOKED_AT).not.toBe(before.data);
    expect(await config.data()).toContain(await config.token());
    expect(await config.tokenSecret()).toBeDefined();
  });

  it('one whose expiration cannot be read: says where, and goes on by itself when that is mended', async ({
    expect,
  }) => {
    const config = configOf('unreadable');
    await expect
      .poll(config.condition, LOOKED_AT)
      .toMatch(
        /^True Available: Secret kube-system\/bootstrap-token-\S+ data\["expiration"\].* remove this key in the workload cluster$/,
      );
    expect(await config.data()).toBe(first.get('unreadable')!.data);
    await workload.patch(SecretKind, tokenName(idOf('unreadable')), { data: { expiration: null } });
    await expect.poll(() => expirationOf('unreadable'), { ...soon, timeout: 60_000 }).not.toBe('');
    await expect.poll(config.condition, soon).toBe('True Available');
  });
});

it('KB-22, KB-24: nobody touches those of Nodes that have joined', async () => {
  const { token, data, expiration } = first.get('joined')!;
  expect(await expirationOf('joined')).toBe(expiration);
  expect(await configOf('joined').token()).toBe(token);
  expect(await configOf('joined').data()).toBe(data);
  // A pool, whose token is kept for the Nodes that it may get.
  expect(await configOf('pool').tokenSecret()).toBeDefined();
});
