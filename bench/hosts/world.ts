// SPDX-License-Identifier: Apache-2.0
// A management API server, simulated hosts in a process of their own, our manager in another one.
import { join } from 'node:path';
import { POOL_LABEL } from '../../api/labels.ts';
import { type HostsProcess, startHostsProcess } from '../../hack/ssh-hosts/process.ts';
import { pause, runProgram } from '../../hack/stack/process.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { startEnvironment } from '../../test/envtest/harness.ts';
import { type HostSite, hostSite, statesOf } from '../../test/envtest/host-site.ts';
import { type ManagerProcess, startManager } from '../manager-process.ts';
import type { HostBenchOptions } from './options.ts';

export interface HostWorld {
  readonly client: ApiClient;
  readonly site: HostSite;
  readonly hosts: HostsProcess;
  readonly manager: ManagerProcess;
  /** Settles when all hosts are Available. */
  allAvailable(): Promise<void>;
}

/** Cleaned at once by default; a pool has no more hosts, since the bench does not measure whose turn it is. */
const POOL_SIZE = 5;

/** Starts everything, runs `work`, and takes everything down again whatever happens. */
export async function withHostWorld<T>(
  options: HostBenchOptions,
  work: (world: HostWorld) => Promise<T>,
): Promise<T> {
  const environment = await startEnvironment({ managers: [], controllerManager: false });
  const servers: { stop(): Promise<void> }[] = [];
  try {
    const { client, stack, apiServer, dir } = environment;
    const kubernetes = stack.versions.kubernetes;
    const ms = options.jobSeconds * 1_000;
    const plan = { all: { prepareMs: [ms, ms], bootstrapMs: [ms, ms], cleanMs: [ms / 5, ms / 5] } } as const;
    const hosts = await startHostsProcess({ dir, count: options.hosts, kubernetes, plan });
    servers.push(hosts.server);
    const namespace = await environment.namespace('bench');
    const site = await hostSite({ client, namespace, kubernetes, privateKey: hosts.privateKey });
    const program = options.manager ?? (await bundle(dir));
    const database = join(dir, 'instances.sqlite');
    const manager = await startManager({
      stack,
      apiServer,
      database,
      program,
      profileDir: options.profileDir,
    });
    servers.push(manager.server);
    await until('the manager to be ready', () => manager.isReady());
    return await work({ client, site, hosts, manager, allAvailable: () => allAvailable(site) });
  } finally {
    for (const server of servers.reverse()) await server.stop();
    await environment.stop();
  }
}

/** Makes all TSHosts at once. */
export async function addHosts({ site, hosts }: HostWorld): Promise<void> {
  await Promise.all(
    hosts.hosts.map((host, index) =>
      site.addHost(host, { labels: { [POOL_LABEL]: `p${Math.floor(index / POOL_SIZE)}` } }),
    ),
  );
}

function allAvailable(site: HostSite): Promise<void> {
  const isDone = async () => Object.values(await statesOf(site)).every((state) => state === 'Available');
  return until('all hosts to be Available', isDone);
}

async function bundle(dir: string): Promise<string> {
  const out = join(dir, 'manager.mjs');
  await runProgram(process.execPath, [join(import.meta.dirname, '../../hack/bundle.ts'), '--out', out]);
  return out;
}

/** Settles when the answer is true; throws after five minutes. */
export async function until(what: string, isDone: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 300_000;
  while (!(await isDone())) {
    if (Date.now() > deadline) throw new Error(`waited 300 s in vain for ${what}`);
    await pause(200);
  }
}
