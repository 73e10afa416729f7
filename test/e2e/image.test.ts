// SPDX-License-Identifier: Apache-2.0
// The container image as it is shipped: our Dockerfile, the Deployment's own arguments and restrictions, a real API server.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import { ClusterKind, TSClusterKind } from '../../api/kinds.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { PROVIDER_ACCOUNT } from '../../hack/stack/provider.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { type Environment, startEnvironment } from '../envtest/harness.ts';
import { baseImageTar } from './base-image.ts';
import { type ContainerEngine, startEngine, whyNoEngine } from './container-engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const IMAGE = 'ts-provider:test';
const BASE_IMAGE = 'ts-provider-base:test';
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const soon = { timeout: 30_000, interval: 100 };

const reason = whyNoEngine();
if (reason !== undefined) skipped(reason);

describe.skipIf(reason !== undefined)('container image', () => {
  let environment: Environment;
  let engine: ContainerEngine | undefined;
  let container: StartedTestContainer | undefined;
  let token = '';
  let healthPort = 0;
  const logs: string[] = [];

  beforeAll(async () => {
    environment = await startEnvironment({ managers: [], controllerManager: false });
    engine = await startEngine(environment.dir).catch((error: Error) => skipped(error.message));
    if (engine === undefined) return;
    Object.assign(process.env, {
      DOCKER_HOST: engine.dockerHost,
      TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1',
      // It would be a container from a registry; our engine ends with all that is in it.
      TESTCONTAINERS_RYUK_DISABLED: 'true',
    });
    const [context] = await Promise.all([buildContext(environment.dir), importBase(environment.dir)]);
    await buildImage(context);
    token = await serviceAccountToken(environment);
    healthPort = await freePort();
    container = await startManager(environment, { token, healthPort, logs });
  });

  afterAll(async () => {
    await container?.stop().catch(() => undefined);
    await engine?.stop();
    await environment?.stop();
  });

  // What forbids it (a file system, a device cgroup) shows only when the engine tries.
  beforeEach((context) => context.skip(engine === undefined, 'no container engine can run here'));

  it('is ready with synced caches', async () => {
    const readyz = async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).text();
    await expect.poll(readyz, soon).toBe('ok\n');
  });

  it('runs as the user that the Deployment names, without any capability', async () => {
    const status = await evaluate(container, "require('fs').readFileSync('/proc/1/status', 'utf8')");
    expect(fieldsOf(status)).toMatchObject({
      Uid: '65532 65532 65532 65532',
      Gid: '65532 65532 65532 65532',
      CapEff: '0000000000000000',
      CapBnd: '0000000000000000',
      NoNewPrivs: '1',
    });
  });

  it('lives on a root file system that cannot be written', async () => {
    const write = (path: string) =>
      evaluate(
        container,
        `(() => { try { require('fs').writeFileSync('${path}', ''); return 'written' } catch (e) { return e.code } })()`,
      );
    expect([await write('/app/x'), await write('/tmp.x'), await write('/data/x')]).toEqual([
      'EROFS',
      'EROFS',
      'written',
    ]);
  });

  it('carries the version of this checkout', async () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { stdout } = await exec(container, ['node', '/app/manager.mjs', '--version']);
    expect(stdout.trim()).toBe(manifest.version);
  });

  it('provisions a TSCluster under the role that is shipped', async () => {
    const { client } = environment;
    const name = { namespace: await environment.namespace('image'), name: 'one' };
    await makeCluster(environment, name);
    const provisioned = async () =>
      (await client.get(TSClusterKind, name))?.status?.initialization?.provisioned;
    await expect.poll(provisioned, soon).toBe(true);
  });

  it('ends in order when it is told to, gives the lease back and has logged no token', async () => {
    expect(await holder(environment)).not.toBe('');
    const { dockerode } = (await getContainerRuntimeClient()).container;
    const running = dockerode.getContainer(container?.getId() ?? '');
    await running.stop({ t: 25 });
    const { State: state } = await running.inspect();
    expect({ exitCode: state.ExitCode, holder: await holder(environment) }).toEqual({
      exitCode: 0,
      holder: '',
    });
    expect(logs.join('')).toContain('"msg":"Stopped"');
    expect(logs.join('')).not.toContain(token);
  });
});

function skipped(why: string): undefined {
  process.stderr.write(`image test skipped: ${why.trim().split('\n').at(-1)}\n`);
}

/** testcontainers has no method for this one. */
class ReadOnlyContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
  }
}

async function importBase(dir: string): Promise<void> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const [repo, tag] = BASE_IMAGE.split(':');
  const progress = await dockerode.importImage(await baseImageTar(dir), {
    repo,
    tag,
  });
  for await (const line of progress) if (String(line).includes('"error"')) throw new Error(String(line));
}

/** A folder with the files that the Dockerfile copies, so that the test leaves nothing in the checkout. */
async function buildContext(dir: string): Promise<string> {
  const context = join(dir, 'context');
  mkdirSync(context, { recursive: true });
  for (const file of ['Dockerfile', '.dockerignore', 'LICENSE'])
    copyFileSync(join(ROOT, file), join(context, file));
  const bundle = [join(ROOT, 'hack/bundle.ts'), '--out', join(context, 'dist/manager.mjs')];
  await runProgram(process.execPath, bundle, { cwd: ROOT });
  return context;
}

async function buildImage(context: string): Promise<void> {
  const build = GenericContainer.fromDockerfile(context).withBuildArgs({ BASE_IMAGE });
  await build.build(IMAGE, { deleteOnExit: false });
}

function serviceAccountToken({ stack, apiServer }: Environment): Promise<string> {
  const { namespace, name } = PROVIDER_ACCOUNT;
  const flags = [`--kubeconfig=${apiServer.kubeconfig}`, `--namespace=${namespace}`];
  return runProgram(stack.binaries.kubectl, [...flags, 'create', 'token', name]).then((text) => text.trim());
}

/** As the kubelet would start the Pod of config/manager: its arguments, its service account volume, its restrictions. */
function startManager(
  { apiServer, dir }: Environment,
  options: { token: string; healthPort: number; logs: string[] },
): Promise<StartedTestContainer> {
  const account = join(dir, 'service-account');
  mkdirSync(account);
  writeFileSync(join(account, 'token'), options.token, { mode: 0o644 });
  writeFileSync(join(account, 'ca.crt'), apiServer.caPem);
  writeFileSync(join(account, 'namespace'), PROVIDER_ACCOUNT.namespace);
  // The network is the machine's, so the ports must be free ones.
  const ports = [`--health-addr=127.0.0.1:${options.healthPort}`, '--metrics-addr=0'];
  return new ReadOnlyContainer(IMAGE)
    .withCommand([...deploymentArguments(), ...ports])
    .withEnvironment({
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(apiServer.port),
      POD_NAMESPACE: PROVIDER_ACCOUNT.namespace,
      POD_NAME: 'manager-0',
    })
    .withBindMounts([{ source: account, target: SERVICE_ACCOUNT, mode: 'ro' }])
    .withTmpFs({ '/data': 'rw,uid=65532,gid=65532,mode=0700' })
    .withNetworkMode('host')
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withLogConsumer((stream) => void stream.on('data', (line) => options.logs.push(String(line))))
    .withWaitStrategy(Wait.forLogMessage('Starting controller'))
    .withStartupTimeout(30_000)
    .start()
    .catch((error: unknown) => {
      throw new Error(`The container did not start:\n${options.logs.join('')}`, { cause: error });
    });
}

/** The last of two flags of one name wins, and the Deployment's come first. */
function deploymentArguments(): string[] {
  const text = readFileSync(join(ROOT, 'config/manager/manager.yaml'), 'utf8');
  const deployment = parse(text) as { spec: { template: { spec: { containers: { args: string[] }[] } } } };
  return deployment.spec.template.spec.containers[0]?.args ?? [];
}

async function makeCluster(
  { client }: Environment,
  name: { namespace: string; name: string },
): Promise<void> {
  const { apiVersion, kind } = ClusterKind;
  const infrastructureRef = {
    apiGroup: 'infrastructure.cluster.x-k8s.io',
    kind: TSClusterKind.kind,
    name: name.name,
  };
  const cluster = await client.create(ClusterKind, {
    ...{ apiVersion, kind, metadata: { ...name } },
    ...{ spec: { infrastructureRef } },
  });
  await client.create(TSClusterKind, {
    apiVersion: TSClusterKind.apiVersion,
    kind: TSClusterKind.kind,
    metadata: {
      ...name,
      labels: { [CLUSTER_NAME_LABEL]: name.name },
      ownerReferences: [{ apiVersion, kind, name: name.name, uid: cluster.metadata.uid ?? '' }],
    },
    ...{ spec: { controlPlaneEndpoint: { host: '192.0.2.10', port: 6443 }, inMemory: {} } },
  });
}

const LEASE: Kind<KubeObject & { spec: { holderIdentity?: string } }> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

async function holder({ client }: Environment): Promise<string | undefined> {
  const name = { namespace: PROVIDER_ACCOUNT.namespace, name: 'ts-provider-leader' };
  return (await client.get(LEASE, name))?.spec.holderIdentity ?? '';
}

function exec(container: StartedTestContainer | undefined, command: string[]) {
  if (container === undefined) throw new Error('the container does not run');
  return container.exec(command);
}

/** What Node.js in the container makes of an expression. */
async function evaluate(container: StartedTestContainer | undefined, expression: string): Promise<string> {
  const { stdout, stderr, exitCode } = await exec(container, ['node', '--print', expression]);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** `/proc/<pid>/status`. */
function fieldsOf(status: string): Record<string, string> {
  const lines = status.split('\n').map((line) => /^(\w+):\s*(.*)$/.exec(line));
  return Object.fromEntries(
    lines
      .filter((match) => match !== null)
      .map(([, name = '', value = '']) => [name, value.replaceAll('\t', ' ')]),
  );
}
