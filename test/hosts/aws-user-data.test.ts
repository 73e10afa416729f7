// SPDX-License-Identifier: Apache-2.0
// The real cloud-init takes bootstrap data from where they wait, in the same boot, and acts on them as if they had been its user data.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUserDataStore } from '../../backends/aws/user-data/user-data.ts';
import type { AWSSession } from '../../backends/aws/session/session.ts';
import type { MachineFacts } from '../../backends/backend.ts';
import { runIsolated } from '../../hack/hosts/isolation.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { createLogger } from '../../runtime/logger.ts';
import { type InstanceServices, startInstanceServices } from '../aws/instance-services.ts';
import { cloudInitRoot, whyNot } from './cloud-init/root.ts';

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`skipped: user data with cloud-init: ${reason}\n`);

const ctx: Ctx = {
  signal: AbortSignal.timeout(900_000),
  log: createLogger({ level: 'error' }),
  clock: systemClock,
};

let root: string;
let services: InstanceServices;
/** What secrets there are, by name. */
let secrets: SecretStore;

beforeAll(async () => {
  if (reason !== undefined) return;
  root = await cloudInitRoot((line) => process.stderr.write(`${line}\n`));
  secrets = await startSecretStore();
  services = await startInstanceServices(secrets.url);
});

afterAll(async () => {
  await services?.stop();
  await secrets?.stop();
  for (const work of works) work.remove();
});

const works: TemporaryDirectory[] = [];

/** $1 is the root, $2 the folder of this run. Everything in /run is gone between two boots. */
const BOOT = `mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
mount -t proc proc "$2/merged/proc"
mount -t tmpfs tmpfs "$2/merged/dev"
mount -t tmpfs tmpfs "$2/merged/run"
for one in null zero full random urandom tty; do : >"$2/merged/dev/$one"; mount --bind "/dev/$one" "$2/merged/dev/$one"; done
mkdir "$2/merged/dev/shm"
for stage in "init --local" init "modules --mode=config" "modules --mode=final"; do
  timeout 120 chroot "$2/merged" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin cloud-init $stage </dev/null >>"$2/log" 2>&1 || true
done`;

/** Boots a system once or several times with these user data. Gives the content of a file of the system, and what cloud-init has said. */
async function boots(userData: Buffer, times = 1) {
  const work = temporaryDirectory('aws-user-data');
  works.push(work);
  const upper = join(work.path, 'upper');
  for (const folder of ['upper', 'work', 'merged']) mkdirSync(join(work.path, folder));
  const seed = join(upper, 'var/lib/cloud/seed/nocloud');
  mkdirSync(seed, { recursive: true });
  writeFileSync(join(seed, 'user-data'), userData);
  writeFileSync(join(seed, 'meta-data'), 'instance-id: i-0123\nlocal-hostname: machine-1\n');
  // The name of this computer is not to be changed: the namespace of names is shared with it.
  mkdirSync(join(upper, 'etc/cloud/cloud.cfg.d'), { recursive: true });
  writeFileSync(join(upper, 'etc/cloud/cloud.cfg.d/99-name.cfg'), 'preserve_hostname: true\n');
  for (let boot = 0; boot < times; boot++) await runIsolated(BOOT, [root, work.path]);
  const read = (path: string) => {
    const file = join(upper, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  };
  const log = readFileSync(join(work.path, 'log'), 'utf8');
  // Without the time.
  const warnings = [...(read('var/log/cloud-init.log') ?? '').matchAll(/ - (.*\[WARNING\].*)/g)].map(
    ([, line]) => line,
  );
  return { read, log, warnings };
}

interface SecretStore {
  readonly url: string;
  readonly values: Map<string, Uint8Array>;
  stop(): Promise<void>;
}

/** Secrets Manager, as far as an instance needs it. */
async function startSecretStore(): Promise<SecretStore> {
  const values = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    void (async () => {
      const { SecretId } = (await json(request)) as { SecretId: string };
      const value = values.get(SecretId);
      if (value === undefined) return response.writeHead(400).end('{"__type":"ResourceNotFoundException"}');
      if (String(request.headers['x-amz-target']).endsWith('DeleteSecret')) values.delete(SecretId);
      return response.end(JSON.stringify({ SecretBinary: Buffer.from(value).toString('base64') }));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    values,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** What EC2 would hand to the instance. */
async function userDataFor(value: Buffer): Promise<Buffer> {
  const session = {
    region: 'us-east-1',
    secrets: async (_ctx: Ctx, { input }: CreateSecretCommand) =>
      secrets.values.set(input.Name!, input.SecretBinary!),
  } as unknown as AWSSession;
  const machine = {
    uid: 'uid',
    infrastructureID: 'one-abcde',
    spec: { aws: { iamInstanceProfile: 'nodes', userData: { storage: 'SecretsManager' } } },
  } as unknown as MachineFacts;
  const store = createUserDataStore({ reachedAt: { endpoint: services.url, metadata: [services.url] } });
  const intent = { attempt: 1, clientToken: 'token', requestHash: 'hash' };
  const { base64 } = await store.prepare(ctx, session, machine, intent, { format: 'cloud-config', value });
  return Buffer.from(base64, 'base64');
}

const CLOUD_CONFIG = `## template: jinja
#cloud-config
# ${randomBytes(30_000).toString('base64')}
bootcmd:
  - echo boot >> /etc/booted
write_files:
  - path: /etc/rendered
    content: "{{ v1.instance_id }}"
runcmd:
  - echo run >> /etc/ran
`;

describe.skipIf(reason !== undefined)('user data that wait in Secrets Manager', () => {
  it('are acted on in the boot that fetches them, with Jinja, before its first module', async () => {
    const direct = await boots(gzipSync(CLOUD_CONFIG));
    const { read, warnings } = await boots(await userDataFor(Buffer.from(CLOUD_CONFIG)));
    expect(warnings).toEqual(direct.warnings);
    expect(read('etc/booted')).toBe('boot\n');
    expect(read('etc/rendered')).toBe('i-0123');
    expect(read('etc/ran')).toBe('run\n');
    expect([...secrets.values.keys()]).toEqual([]);
  });

  it('are the same on the next boots, which fetch nothing', async () => {
    const direct = await boots(gzipSync(CLOUD_CONFIG), 3);
    const before = services.calls.length;
    const { read, warnings } = await boots(await userDataFor(Buffer.from(CLOUD_CONFIG)), 3);
    expect(warnings).toEqual(direct.warnings);
    for (const file of ['etc/booted', 'etc/rendered', 'etc/ran']) expect(read(file)).toBe(direct.read(file));
    expect(read('etc/booted')).toBe('boot\nboot\nboot\n');
    expect(services.calls.slice(before)).toEqual(['GetSecretValue 200', 'DeleteSecret 200']);
  });

  it('may have parts of their own, part handlers and boot hooks among them', async () => {
    const value = multipart({
      'text/part-handler':
        '#part-handler\ndef list_types():\n    return ["text/x-other"]\ndef handle_part(data, ctype, filename, payload):\n    if ctype == "text/x-other":\n        open("/etc/handled", "w").write(payload)\n',
      'text/x-other': 'other',
      'text/cloud-boothook': '#!/bin/sh\necho hook >> /etc/hooked\n',
      'text/x-shellscript': '#!/bin/sh\necho script >> /etc/scripted\n',
      'text/cloud-config': '#cloud-config\nruncmd: [echo run >> /etc/ran]\n',
    });
    const direct = await boots(value, 2);
    const { read, warnings } = await boots(await userDataFor(value), 2);
    expect(warnings).toEqual(direct.warnings);
    for (const file of ['etc/handled', 'etc/hooked', 'etc/scripted', 'etc/ran']) {
      expect(direct.read(file)).toBeDefined();
      expect(read(file)).toBe(direct.read(file));
    }
  });

  it('that cannot be had leave a machine without them, and say why', async () => {
    const userData = await userDataFor(Buffer.from(CLOUD_CONFIG));
    secrets.values.clear();
    const impatient = Buffer.from(userData.toString().replace('TRIES = 30', 'TRIES = 2'));
    const { read, log, warnings } = await boots(impatient);
    expect(read('etc/ran')).toBeUndefined();
    expect(log).toContain('ts-provider: try 2 of 2: HTTP Error 400');
    expect(warnings.join('\n')).toContain('Failed calling handler');
  });
});

function multipart(parts: Readonly<Record<string, string>>): Buffer {
  const bodies = Object.entries(parts).map(([type, text]) => `--b\nContent-Type: ${type}\n\n${text}\n`);
  return Buffer.from(
    `Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n${bodies.join('')}--b--\n`,
  );
}
