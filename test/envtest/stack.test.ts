// SPDX-License-Identifier: Apache-2.0
// The test stack itself: what every other file here builds on.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterKind, MachineKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import { isAlive } from '../../hack/stack/lock.ts';
import { NamespaceKind } from '../../hack/stack/kinds.ts';
import { type Environment, startEnvironment } from './harness.ts';

let environment: Environment;

beforeAll(async () => {
  environment = await startEnvironment();
});

afterAll(() => environment?.stop());

const soon = { timeout: 90_000, interval: 250 };

describe('test stack', () => {
  it('gives every test a namespace of its own that the API server really deletes', async () => {
    const { client } = environment;
    const name = await environment.namespace('gone');
    expect(name).toMatch(/^gone-[0-9a-f]{6}$/);
    await client.delete(NamespaceKind, { namespace: '', name });
    await expect.poll(() => client.get(NamespaceKind, { namespace: '', name }), soon).toBeUndefined();
  });

  it('carries a cluster to Running machines and away again, under the real managers and our own roles', async () => {
    const { client } = environment;
    const provider = await environment.startProvider();
    const namespace = await environment.namespace('smoke');
    await environment.cluster({ namespace, name: 'smoke' });

    const phases = async () => (await client.list(MachineKind, { namespace })).map(phaseOf).sort();
    await expect.poll(phases, soon).toEqual(['Running', 'Running']);
    expect(await client.list(TSMachineKind, { namespace })).toHaveLength(2);

    await client.delete(ClusterKind, { namespace, name: 'smoke' });
    await expect.poll(() => client.get(ClusterKind, { namespace, name: 'smoke' }), soon).toBeUndefined();
    expect(await client.list(TSMachineKind, { namespace })).toEqual([]);
    expect(await client.list(TSClusterKind, { namespace })).toEqual([]);
    await provider.server.stop();
  });

  it('keeps its objects over a crash of the API server', async () => {
    const name = await environment.namespace('kept');
    await environment.apiServer.restart({ how: 'kill' });
    expect(await environment.client.get(NamespaceKind, { namespace: '', name })).toBeDefined();
  });
});

function phaseOf(machine: object): string {
  return (machine as { status?: { phase?: string } }).status?.phase ?? '';
}

it(
  'leaves neither a server nor a folder behind when its process is killed',
  { timeout: 60_000 },
  async () => {
    const script = `
    import { startServer } from '${new URL('../../hack/stack/process.ts', import.meta.url).pathname}';
    import { temporaryDirectory } from '${new URL('../../hack/stack/temporary-directory.ts', import.meta.url).pathname}';
    const { path } = temporaryDirectory('killed');
    const server = startServer({ name: 'sleep', binary: '/bin/sleep', args: ['1000'], logFile: path + '/log' });
    console.log(JSON.stringify({ path, pid: server.pid }));
    setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = await new Promise<string>((resolve) =>
      parent.stdout.once('data', (data) => resolve(String(data))),
    );
    const { path, pid } = JSON.parse(said) as { path: string; pid: number };
    expect([existsSync(path), isAlive(pid)]).toEqual([true, true]);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), soon).toBe(false);
    await expect.poll(() => existsSync(path), soon).toBe(false);
  },
);
