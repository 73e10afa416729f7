// SPDX-License-Identifier: Apache-2.0
// The life of hosts: a real API server, our manager, and simulated hosts with real SSH servers.
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { type SshHosts, startSshHosts } from '../../hack/ssh-hosts/hosts.ts';
import { violations } from '../../hack/ssh-hosts/record.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { type HostSite, hostSite, statesOf } from './host-site.ts';
import { bundleManager } from './manager-bundle.ts';

const soon = { timeout: 20_000, interval: 100 };

let environment: Environment;
let hosts: SshHosts;
let site: HostSite;
let provider: Provider;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  const { client, stack, dir } = environment;
  const kubernetes = stack.versions.kubernetes;
  hosts = await startSshHosts({ count: 12, kubernetes });
  const namespace = await environment.namespace('hosts');
  site = await hostSite({ client, namespace, kubernetes, privateKey: hosts.privateKey });
  provider = await environment.startProvider({ main: await bundleManager(dir) });
});

afterAll(async () => {
  await hosts?.close();
  await environment?.stop();
});

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(40))));

it('clean hosts become Available', async () => {
  for (const host of hosts.hosts) await site.addHost(host);
  await expect
    .poll(async () => new Set(Object.values(await statesOf(site))), soon)
    .toEqual(new Set(['Available']));
  expect(violations(hosts.records())).toEqual([]);
  console.log(provider.server.tail(5));
});
