// SPDX-License-Identifier: Apache-2.0
// One of the programs that are compared, installed and running under its own role.
import { installComponents } from '../../hack/stack/install.ts';
import { MANAGERS, startManagers } from '../../hack/stack/managers.ts';
import { BOOTSTRAP_ACCOUNT, startProvider } from '../../hack/stack/provider.ts';
import type { ServiceAccountName } from '../../hack/stack/service-account.ts';
import { type Usage, usageOf } from '../process-usage.ts';
import { parseScrape } from '../scrape.ts';
import type { BootstrapOptions, CandidateName } from './options.ts';
import type { World } from './world.ts';

export interface Candidate {
  readonly name: CandidateName;
  /** Its user name at the management API server. */
  readonly user: string;
  usage(): Usage;
  /**
   * How late the event loop was since this was asked before, in milliseconds: 99 of 100 times at most so. `undefined` for a program
   * without one.
   */
  eventLoopP99Ms(): Promise<number | undefined>;
  /** The last lines of its log. */
  tail(): string;
  stop(): Promise<void>;
}

/** Installs its manifests, starts it and waits until it is ready. */
export function startCandidate(
  world: World,
  name: CandidateName,
  options: BootstrapOptions,
): Promise<Candidate> {
  return name === 'ours' ? startOurs(world, options) : startStock(world, name);
}

/** The Dockerfile says why. */
const AS_IN_IMAGE = '--max-semi-space-size=4';

/** Far above anything that two cores can do. */
const LIFTED = ['kube-api-qps', 'kube-api-burst', 'clustercache-client-qps', 'clustercache-client-burst'].map(
  (flag) => `--${flag}=5000`,
);

async function startStock({ stack, management: apiServer }: World, name: CandidateName): Promise<Candidate> {
  await installComponents({ stack, apiServer, managers: ['bootstrap'] });
  const flags = name === 'stock-lifted' ? LIFTED : [];
  const managers = await startManagers({ stack, apiServer, which: ['bootstrap'], flags });
  const { namespace, serviceAccount } = MANAGERS.bootstrap;
  const server = managers.servers.bootstrap!;
  return {
    name,
    user: userOf({ namespace, name: serviceAccount }),
    usage: () => usageOf(server.pid),
    eventLoopP99Ms: async () => undefined,
    tail: () => server.tail(),
    stop: () => managers.stop(),
  };
}

async function startOurs(
  { stack, management: apiServer }: World,
  options: BootstrapOptions,
): Promise<Candidate> {
  const { manager: main, profileDir } = options;
  await installComponents({ stack, apiServer, managers: [], ourBootstrap: true });
  const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const { server, metricsURL } = await startProvider({
    stack,
    apiServer,
    provider: 'bootstrap',
    ...(main !== undefined && { main }),
    env: { NODE_OPTIONS: [AS_IN_IMAGE, ...profile].join(' ') },
  });
  return {
    name: 'ours',
    user: userOf(BOOTSTRAP_ACCOUNT),
    usage: () => usageOf(server.pid),
    async eventLoopP99Ms() {
      const scrape = parseScrape(await (await fetch(`${metricsURL}/metrics`)).text());
      return 1000 * scrape.sum('nodejs_eventloop_lag_p99_seconds');
    },
    tail: () => server.tail(),
    stop: () => server.stop(),
  };
}

function userOf({ namespace, name }: ServiceAccountName): string {
  return `system:serviceaccount:${namespace}:${name}`;
}
