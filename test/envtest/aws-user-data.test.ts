// SPDX-License-Identifier: Apache-2.0
// Bootstrap data that do not fit into user data, from the manager to the instance: what is stored, fetched, deleted.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import { packedIgnition } from '../../backends/aws/user-data/document.ts';
import { PART_HANDLER } from '../../backends/aws/user-data/part-handler.ts';
import {
  createUserDataStore,
  tagsOfFence,
  type UserDataStore,
} from '../../backends/aws/user-data/user-data.ts';
import { type AWSSession, AWSRefusal } from '../../backends/aws/session/session.ts';
import { createAWSSessions } from '../../backends/aws/session/sessions.ts';
import type { BootstrapData, CreateIntent, MachineFacts } from '../../backends/backend.ts';
import { debianConsumers } from '../../hack/stack/debian-packages.ts';
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import { createLogger } from '../../runtime/logger.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { type Proxy, startProxy } from '../aws/proxy/server.ts';
import { type InstanceServices, startInstanceServices } from '../aws/instance-services.ts';

const run = promisify(execFile);

const directory = temporaryDirectory('aws-user-data');
const ctx: Ctx = {
  signal: AbortSignal.timeout(300_000),
  log: createLogger({ level: 'error' }),
  clock: systemClock,
};
let moto: Moto;
let proxy: Proxy;
let services: InstanceServices;
let session: AWSSession;
let before: string;

beforeAll(async () => {
  moto = await startMoto({ dir: directory.path });
  proxy = await startProxy({ upstream: moto.url });
  services = await startInstanceServices(moto.url);
  const identity = {
    key: 'test',
    source: { kind: 'static', accessKeyID: 'test', secretAccessKey: 'test' },
    roles: [],
  } as const;
  const sessions = createAWSSessions({
    identities: { aws: async () => identity },
    clock: systemClock,
    metrics: createMetrics(),
    endpoint: proxy.url,
  });
  session = await sessions.open(ctx, { namespace: 'default', identity: 'test', region: 'us-east-1' });
});

afterAll(async () => {
  await services?.stop();
  await proxy?.stop();
  await moto?.stop();
  directory.remove();
});

beforeEach(async () => {
  proxy.faults.clear();
  proxy.clearCalls();
  before = await proxy.snapshot();
});

/** No compression makes it small. */
function incompressible(bytes: number): BootstrapData {
  const text = `#cloud-config\n# ${randomBytes(bytes).toString('base64')}\nruncmd: []\n`;
  return { format: 'cloud-config', value: Buffer.from(text) };
}

/** Of two parts. */
const LARGE = incompressible(90_000);

let count = 0;

function machineWith(aws: Partial<AWSMachineSpec>): MachineFacts & { intent: CreateIntent } {
  const id = String(++count);
  const spec = { instanceType: 't3.medium', image: { id: 'ami-1' }, iamInstanceProfile: 'nodes', ...aws };
  return {
    ...{ namespace: 'default', name: `machine-${id}`, uid: `uid-${id}`, clusterName: 'one' },
    ...{ controlPlane: false, version: 'v1.36.0', failureDomain: undefined, providerID: undefined },
    intent: { attempt: 1, clientToken: `token-${id}`, requestHash: 'hash' },
    spec: { aws: spec },
    cluster: undefined,
    infrastructureID: 'one-abcde',
    hasNode: false,
  };
}

/** What an instance sees of it, and who makes such documents. */
const newStore = (): UserDataStore =>
  createUserDataStore({ reachedAt: { endpoint: services.url, metadata: [services.url] } });

/** As cloud-init runs a part handler, without what it does with the data afterwards. */
const DRIVER = String.raw`
import email, importlib.util, sys
document, handler, folder = sys.argv[1:]
class Cloud:
    def get_ipath_cur(self):
        return folder
message = email.message_from_binary_file(open(document, "rb"))
parts = {part.get_content_type(): part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart()}
open(handler, "w").write(parts["text/part-handler"])
spec = importlib.util.spec_from_file_location("handler", handler)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.time.sleep = lambda seconds: None
module.TRIES = 4
[content_type] = module.list_types()
module.handle_part(Cloud(), "__begin__", None, None, "once-per-instance")
module.handle_part(Cloud(), content_type, "part-002", parts[content_type], "once-per-instance")
`;

let boots = 0;

/** The file that the instance has at the end. */
async function boot(base64: string): Promise<{ readonly file: string; readonly log: string }> {
  const folder = join(directory.path, `boot-${++boots}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'document'), Buffer.from(base64, 'base64'));
  writeFileSync(join(folder, 'driver.py'), DRIVER);
  const { stderr } = await run('python3', [
    join(folder, 'driver.py'),
    join(folder, 'document'),
    join(folder, 'handler.py'),
    folder,
  ]);
  return { file: join(folder, 'ts-provider-user-data'), log: stderr };
}

const CASES = [
  { storage: 'SecretsManager', data: LARGE },
  // Of five.
  { storage: 'ParameterStore', data: incompressible(28_000) },
] as const;

describe.each(CASES)('bootstrap data in $storage', ({ storage, data }) => {
  const put = storage === 'SecretsManager' ? 'CreateSecret' : 'PutParameter';
  const remove = storage === 'SecretsManager' ? 'DeleteSecret' : 'DeleteParameters';
  const look = storage === 'SecretsManager' ? 'ListSecrets' : 'DescribeParameters';
  // By UID and by token: parameters do not tell their tags.
  const looks = storage === 'SecretsManager' ? 1 : 2;

  it('are fetched by the instance, which then deletes them', async () => {
    const machine = machineWith({ userData: { storage } });
    const { base64 } = await newStore().prepare(ctx, session, machine, machine.intent, data);
    expect(Buffer.from(base64, 'base64').length).toBeLessThan(16_384);
    expect(await proxy.snapshot()).not.toBe(before);

    const { file } = await boot(base64);
    expect(unpacked(file)).toBe(data.value.toString());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(services.calls.filter((call) => call.endsWith(' 403'))).toEqual([]);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('are deleted once by the manager, in no call where the instance says that nothing was stored', async () => {
    const store = newStore();
    const machine = machineWith({ userData: { storage } });
    const { tags } = await store.prepare(ctx, session, machine, machine.intent, data);
    proxy.clearCalls();
    await store.remove(ctx, session, machine, tags);
    expect(proxy.countOf(look)).toBe(looks);
    expect(await proxy.snapshot()).toBe(before);

    proxy.clearCalls();
    await store.remove(ctx, session, machine, tags);
    await newStore().remove(ctx, session, machineWith({ userData: { storage } }), {});
    expect(proxy.calls()).toEqual([]);
  });

  it('are deleted by a manager that was started anew, with or without an instance', async () => {
    for (const tagged of [true, false]) {
      const machine = machineWith({ userData: { storage } });
      const { tags } = await newStore().prepare(ctx, session, machine, machine.intent, data);
      await newStore().remove(ctx, session, machine, tagged ? tags : undefined);
      expect(await proxy.snapshot()).toBe(before);
    }
  });

  it('are stored once by replays, also where an answer was lost', async () => {
    const store = newStore();
    const machine = machineWith({ userData: { storage } });
    const prepare = () => store.prepare(ctx, session, machine, machine.intent, data);
    proxy.faults.add({ action: put, kind: 'lostResponse', times: 1 });
    await expect(prepare()).rejects.toThrow(TransientError);
    const first = await prepare();
    const calls = proxy.countOf(put);
    expect(await prepare()).toEqual(first);
    expect(proxy.countOf(put)).toBe(calls);
    expect(await newStore().prepare(ctx, session, machine, machine.intent, data)).toEqual(first);
    await store.remove(ctx, session, machine);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('stay whole for an instance while a replay brings newer ones, and nothing is left of either', async () => {
    const machine = machineWith({ userData: { storage } });
    const newer = { ...data, value: Buffer.from(`${data.value.toString()}# newer\n`) };
    const { base64 } = await newStore().prepare(ctx, session, machine, machine.intent, data);
    const second = await newStore().prepare(ctx, session, machine, machine.intent, newer);
    expect(unpacked((await boot(base64)).file)).toBe(data.value.toString());
    await newStore().remove(ctx, session, machine, second.tags);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('of an attempt that was refused go when the next one is prepared', async () => {
    const store = newStore();
    const machine = machineWith({ userData: { storage } });
    await store.prepare(ctx, session, machine, machine.intent, data);
    const next = { ...machine.intent, attempt: 2, clientToken: `${machine.intent.clientToken}-next` };
    const { tags } = await store.prepare(ctx, session, machine, next, data);
    expect(proxy.countOf(remove)).toBeGreaterThan(0);
    await newStore().remove(ctx, session, { ...machine, intent: next }, tags);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('of any attempt go with the machine, also where the manager was started anew after each', async () => {
    const machine = machineWith({ userData: { storage } });
    await newStore().prepare(ctx, session, machine, machine.intent, data);
    const intent = { ...machine.intent, attempt: 2, clientToken: `${machine.intent.clientToken}-next` };
    const next = { ...machine, intent };
    const { tags } = await newStore().prepare(ctx, session, next, intent, data);
    await newStore().remove(ctx, session, next, tags);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('go where the instance was only made to use the token up', async () => {
    const machine = machineWith({ userData: { storage } });
    await newStore().prepare(ctx, session, machine, machine.intent, data);
    await newStore().remove(ctx, session, machine, tagsOfFence(machine));
    expect(await proxy.snapshot()).toBe(before);
  });

  it('are refused to a manager that may not store them', async () => {
    const machine = machineWith({ userData: { storage } });
    proxy.faults.add({
      action: put,
      kind: 'error',
      times: 1,
      ...{ status: 400, code: 'AccessDeniedException', message: 'not authorized' },
    });
    await expect(newStore().prepare(ctx, session, machine, machine.intent, data)).rejects.toThrow(AWSRefusal);
    expect(await proxy.snapshot()).toBe(before);
  });
});

describe('the part handler', () => {
  it('tries again, and says what is wrong without the data', async () => {
    const machine = machineWith({ userData: { storage: 'SecretsManager' } });
    const { base64 } = await newStore().prepare(ctx, session, machine, machine.intent, LARGE);
    services.fail(2, 503);
    const { log } = await boot(base64);
    expect(log).toContain('try 2 of 4: HTTP Error 503');
    expect(log).not.toContain('secret-of-the-role');
    expect(await proxy.snapshot()).toBe(before);
  });

  it('gives up after its tries, and keeps nothing', async () => {
    const machine = machineWith({ userData: { storage: 'SecretsManager' } });
    const store = newStore();
    const { base64 } = await store.prepare(ctx, session, machine, machine.intent, LARGE);
    services.fail(100, 403);
    await expect(boot(base64)).rejects.toThrow('the user data could not be fetched');
    services.fail(0, 200);
    expect(existsSync(join(directory.path, `boot-${boots}`, 'ts-provider-user-data'))).toBe(false);
    await store.remove(ctx, session, machine);
  });

  it('goes on with the data when they cannot be deleted', async () => {
    const machine = machineWith({ userData: { storage: 'ParameterStore' } });
    const store = newStore();
    const { base64, tags } = await store.prepare(ctx, session, machine, machine.intent, CASES[1].data);
    services.fail(100, 403, 'DeleteParameter');
    const { file, log } = await boot(base64);
    services.fail(0, 200);
    expect(log).toContain('its manager will');
    expect(unpacked(file)).toBe(CASES[1].data.value.toString());
    await store.remove(ctx, session, machine, tags);
    expect(await proxy.snapshot()).toBe(before);
  });

  it('is valid for the oldest Python that it names', async () => {
    const script = 'import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 6))';
    const child = run('python3', ['-c', script]);
    child.child.stdin?.end(PART_HANDLER);
    await child;
    expect(Buffer.byteLength(PART_HANDLER)).toBeLessThan(10_000);
  });
});

const readers = await debianConsumers();
const reason = 'reason' in readers ? readers.reason : undefined;
if (reason !== undefined) process.stderr.write(`skipped: Ignition in Ignition: ${reason}\n`);

it.skipIf(reason !== undefined)('Ignition takes the config that unpacks another one', async () => {
  const configs = ['3.1.0', '3.3.0'].map((version) => {
    const config = {
      ignition: { version },
      storage: { files: [{ path: '/a', contents: { source: 'data:,x' } }] },
    };
    return packedIgnition(Buffer.from(JSON.stringify(config)))!.toString();
  });
  const verdicts = 'reason' in readers ? [] : await readers.ignitionValidate(configs);
  expect(verdicts.map(({ problems }) => problems)).toEqual([[], []]);
});

/** Stored as packed as cloud-init takes them. */
function unpacked(file: string): string {
  return gunzipSync(readFileSync(file)).toString();
}
