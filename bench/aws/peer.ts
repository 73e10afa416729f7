// SPDX-License-Identifier: Apache-2.0
// cluster-api-provider-aws as a candidate: as shipped, under its own role, with its webhooks on loopback.
import { join } from 'node:path';
import { ClusterKind, SecretKind } from '../../api/kinds.ts';
import { ready, servingCertificates } from '../../hack/stack/managers.ts';
import {
  installPeerAWS,
  PEER_AWS_ACCOUNT,
  PEER_AWS_LABEL,
  type PeerAWS,
  peerAWS,
} from '../../hack/stack/peer-aws.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { type Server, startServer } from '../../hack/stack/process.ts';
import { serviceAccountKubeconfig } from '../../hack/stack/service-account.ts';
import { AWS_VERSIONS } from '../../hack/stack/versions.ts';
import { redirectWebhooks } from '../../hack/stack/webhooks.ts';
import { usageOf } from '../process-usage.ts';
import type { Candidate } from './candidate.ts';
import type { Cloud } from './cloud.ts';
import { untilClusterReady } from './cluster-ready.ts';
import { Fleet } from './fleet.ts';
import { bootstrapSecret, clusterOf } from './objects.ts';
import {
  type AWSMachine,
  AWSClusterKind,
  AWSMachineKind,
  awsClusterOf,
  awsMachineOf,
} from './peer-objects.ts';
import type { World } from './world.ts';

export interface PeerOptions {
  /**
   * Bootstrap data go through Secrets Manager, which is its default; otherwise they are plain user data, which spares it two calls for
   * each machine.
   */
  readonly secretsManager: boolean;
  say(line: string): void;
}

/** Its settings are those of its own manifests. */
export function peerCandidate(options: PeerOptions): Candidate {
  let server: Server | undefined;
  let fleet: Fleet<AWSMachine> | undefined;
  const started = () => {
    if (server === undefined || fleet === undefined) throw new Error('the peer has not been started');
    return { server, fleet };
  };
  const { namespace, name } = PEER_AWS_ACCOUNT;
  return {
    name: `cluster-api-provider-aws ${AWS_VERSIONS.clusterAPIProviderAWS}${options.secretsManager ? ', Secrets Manager' : ''}`,
    user: `system:serviceaccount:${namespace}:${name}`,
    async start(world) {
      const peer = await peerAWS(world.stack, options.say);
      await installPeerAWS({ stack: world.stack, apiServer: world.management }, peer);
      server = await startManager(world, peer);
      await createCluster(world, server);
      fleet = new Fleet(world, {
        kind: AWSMachineKind,
        isProvisioned: ({ spec, status }) => spec.providerID !== undefined && status?.ready === true,
        infrastructureOf: (machine) => awsMachineOf(machine, world, options.secretsManager),
      });
    },
    createMachines: (count) => started().fleet.create(count),
    untilProvisioned: () => started().fleet.untilProvisioned(),
    deleteMachines: () => started().fleet.delete(),
    untilGone: () => started().fleet.untilGone(),
    usage: () => usageOf(started().server.pid),
    tail: () => server?.tail() ?? '',
    async stop() {
      fleet?.stop();
      await server?.stop();
    },
  };
}

/** Ready when the promise settles: webhooks answer. */
async function startManager({ stack, management, client, cloud }: World, peer: PeerAWS): Promise<Server> {
  const [webhook, health, diagnostics] = [await freePort(), await freePort(), await freePort()];
  const target = { label: PEER_AWS_LABEL, port: webhook, caPem: management.caPem };
  await redirectWebhooks(client, target);
  const account = { stack, apiServer: management, ...PEER_AWS_ACCOUNT };
  const server = startServer({
    name: 'cluster-api-provider-aws',
    binary: peer.binary,
    logFile: join(management.dir, 'cluster-api-provider-aws.log'),
    env: cloud.env,
    args: [
      `--kubeconfig=${await serviceAccountKubeconfig(account)}`,
      `--webhook-port=${webhook}`,
      `--webhook-cert-dir=${servingCertificates(management)}`,
      `--health-addr=127.0.0.1:${health}`,
      `--diagnostics-address=127.0.0.1:${diagnostics}`,
      '--insecure-diagnostics',
      `--feature-gates=${FEATURES.join(',')}`,
      `--service-endpoints=${serviceEndpoints(cloud)}`,
    ],
  });
  try {
    await ready(server, health);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** As its Deployment says where nobody sets a variable of clusterctl. */
const FEATURES = [
  'EKS=true',
  'MachinePool=false',
  'AutoControllerIdentityCreator=true',
  'ExternalResourceGC=true',
];

const SERVICES = ['ec2', 'elasticloadbalancing', 'secretsmanager', 'ssm', 'sts', 's3', 'tagging'];

function serviceEndpoints({ region, url }: Cloud): string {
  return `${region}:${SERVICES.map((service) => `${service}=${url}`).join(',')}`;
}

async function createCluster(world: World, server: Server): Promise<void> {
  const { client, namespace } = world;
  await client.create(SecretKind, bootstrapSecret(namespace));
  await client.create(AWSClusterKind, awsClusterOf(world));
  await client.create(ClusterKind, clusterOf(namespace, AWSClusterKind.kind));
  await untilClusterReady(world, server);
}
