// SPDX-License-Identifier: Apache-2.0
// Hosts, and a management cluster beside them in the same network: where the stories of real clusters begin.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TSHostKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import { type HostWorld, type HostWorldOptions, startHosts } from '../../hack/hosts/world.ts';
import { type Stack, stack as findStack } from '../../hack/stack/build.ts';
import { applyText } from '../../hack/stack/install.ts';
import { type ManagementCluster, startManagementCluster } from '../../hack/stack/management-cluster.ts';
import { runProgram, waitUntil } from '../../hack/stack/process.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type ApiClient, createClient, loadKubeConfig } from '../../runtime/client.ts';

export const NAMESPACE = 'default';
const CLI = join(import.meta.dirname, '../../cli/ts-provider.js');

/** One management cluster. */
export interface Management {
  readonly cluster: ManagementCluster;
  readonly client: ApiClient;
  kubectl(...args: string[]): Promise<string>;
  apply(manifest: string): Promise<void>;
}

export interface Site {
  readonly stack: Stack;
  readonly dir: string;
  readonly world: HostWorld;
  readonly management: Management;
  /** Another one, as for a move. */
  addManagement(name: string): Promise<Management>;
  stop(): Promise<void>;
}

/** Call in `beforeAll`, and `stop()` in `afterAll`. */
export async function startSite(options: HostWorldOptions = {}): Promise<Site> {
  const stack = await findStack();
  const directory = temporaryDirectory('hosts');
  const owned: (() => Promise<void> | void)[] = [() => directory.remove()];
  const stop = async () => {
    for (const end of owned.splice(0).reverse()) await end();
  };
  const addManagement = async (name: string) => {
    const cluster = await startManagementCluster({ stack, dir: directory.path, name });
    owned.push(() => cluster.stop());
    return management(stack, cluster);
  };
  try {
    const world = await startHosts(options);
    owned.push(() => world.close());
    const site = { stack, dir: directory.path, world, addManagement, stop };
    return { ...site, management: await addManagement('management') };
  } catch (error) {
    await stop();
    throw error;
  }
}

function management(stack: Stack, cluster: ManagementCluster): Management {
  const { apiServer } = cluster;
  return {
    cluster,
    client: createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) }),
    kubectl: (...args) =>
      runProgram(stack.binaries.kubectl, [`--kubeconfig=${apiServer.kubeconfig}`, ...args]),
    apply: (manifest) => applyText({ stack, apiServer }, manifest),
  };
}

/** What labels each host gets; a host that is not named stays out. */
export type Roles = Readonly<Record<string, string>>;

/** What {@link importHosts} needs of a site. */
export interface Importing extends Pick<Site, 'dir' | 'world'> {
  readonly management: Pick<Management, 'apply'>;
}

/** The inventory as a person makes it: a list, `hosts import`, `kubectl apply`. Hosts behind the bastion are reached as a user who needs sudo. */
export async function importHosts({ dir, world, management }: Importing, roles: Roles): Promise<void> {
  const folder = join(dir, 'inventory');
  mkdirSync(folder, { recursive: true });
  const secret = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const key = secret('root', world.privateKey);
  const operatorKey = secret('operator', world.operator.privateKey);
  const sudo = secret('sudo', `${world.operator.sudoPassword}\n`);
  const bastionKey = secret('bastion', world.bastion.privateKey);
  const rows = world.hosts
    .filter(({ name }) => roles[name] !== undefined)
    .map(({ name, address, behindBastion }) => {
      const login = behindBastion ? [world.operator.user, operatorKey, sudo] : ['root', key, ''];
      const { bastion } = world;
      const way = behindBastion ? [bastion.address, bastion.user, bastionKey] : ['', '', ''];
      return [name, address, ...login, `role=${roles[name]}`, `rack-${name.at(-1)}`, ...way].join(',');
    });
  const columns =
    'name,address,user,key,sudo_password_file,labels,failure_domain,bastion_address,bastion_user,bastion_key';
  const file = secret('hosts.csv', [columns, ...rows, ''].join('\n'));
  const manifest = await runProgram(process.execPath, [CLI, 'hosts', 'import', '-f', file, '--yes']);
  await management.apply(manifest);
}

/** The TSHost as the API server holds it now. */
export async function tsHost({ client }: Management, name: string): Promise<TSHost> {
  const host = await client.get(TSHostKind, { namespace: NAMESPACE, name });
  if (host === undefined) throw new Error(`TSHost ${name} does not exist`);
  return host;
}

/** Until `ask` is true for every TSHost; says of the others what state they are in. */
export async function untilHosts(
  at: Management,
  ask: (host: TSHost) => boolean,
  options: { readonly what: string; readonly timeoutMs?: number },
): Promise<void> {
  await waitUntil(
    async () => {
      const items = await at.client.list(TSHostKind, { namespace: NAMESPACE });
      const others = items.filter((host) => !ask(host)).map(stateLine);
      if (others.length > 0) throw new Error(`not yet: ${others.join(', ')}`);
      return items.length > 0;
    },
    { what: options.what, timeoutMs: options.timeoutMs ?? 120_000, pollMs: 500 },
  );
}

function stateLine({ metadata, status }: TSHost): string {
  const error = status?.error === undefined ? '' : ` (${status.error.reason}: ${status.error.message})`;
  return `${metadata.name} ${status?.state ?? 'without a state'} ${status?.operationalStatus ?? ''}${error}`;
}
