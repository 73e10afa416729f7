// SPDX-License-Identifier: Apache-2.0
// Our own manager, as the image runs it.
import {
  ClusterKind,
  SecretKind,
  TSClusterIdentityKind,
  TSClusterKind,
  TSMachineKind,
} from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { PROVIDER_ACCOUNT, type Provider, startProvider } from '../../hack/stack/provider.ts';
import { usageOf } from '../process-usage.ts';
import type { Candidate } from './candidate.ts';
import { untilClusterReady } from './cluster-ready.ts';
import { Fleet } from './fleet.ts';
import { bootstrapSecret, clusterOf } from './objects.ts';
import { identityOf, tsClusterOf, tsMachineOf } from './our-objects.ts';
import type { World } from './world.ts';

export interface OurOptions {
  /** The bundle, or main.ts. */
  readonly manager: string;
  /** CPU profiles are written here. */
  readonly profileDir: string | undefined;
}

/** The Dockerfile says why. */
const AS_IN_IMAGE = '--max-semi-space-size=4';

/** Its settings are its defaults, and those of the image. */
export function ourCandidate(options: OurOptions): Candidate {
  let provider: Provider | undefined;
  let fleet: Fleet<TSMachine> | undefined;
  const started = () => {
    if (provider === undefined || fleet === undefined) throw new Error('ours has not been started');
    return { server: provider.server, fleet };
  };
  const { namespace, name } = PROVIDER_ACCOUNT;
  return {
    name: 'ts-provider',
    user: `system:serviceaccount:${namespace}:${name}`,
    async start(world) {
      provider = await startManager(world, options);
      await createCluster(world, provider);
      fleet = new Fleet(world, {
        kind: TSMachineKind,
        isProvisioned: ({ spec, status }) =>
          spec.providerID !== undefined && status?.initialization?.provisioned === true,
        infrastructureOf: (machine) => tsMachineOf(machine, world),
      });
    },
    createMachines: (count) => started().fleet.create(count),
    untilProvisioned: () => started().fleet.untilProvisioned(),
    deleteMachines: () => started().fleet.delete(),
    untilGone: () => started().fleet.untilGone(),
    usage: () => usageOf(started().server.pid),
    tail: () => provider?.server.tail() ?? '',
    async stop() {
      fleet?.stop();
      await provider?.server.stop();
    },
  };
}

/** Ready when the promise settles. Manifests are installed with the world. */
function startManager({ stack, management, cloud }: World, options: OurOptions): Promise<Provider> {
  const { manager, profileDir } = options;
  const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  return startProvider({
    stack,
    apiServer: management,
    main: manager,
    env: { ...cloud.env, NODE_OPTIONS: [AS_IN_IMAGE, ...profile].join(' ') },
  });
}

async function createCluster(world: World, { server }: Provider): Promise<void> {
  const { client, namespace } = world;
  await client.create(SecretKind, bootstrapSecret(namespace));
  await client.create(TSClusterIdentityKind, identityOf(world));
  await client.create(TSClusterKind, tsClusterOf(world));
  await client.create(ClusterKind, clusterOf(namespace, TSClusterKind.kind));
  await untilClusterReady(world, server);
}
