// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import { LOG_LEVELS, type LogLevel } from '../runtime/logger.ts';

/** The two providers that this program is; each is installed by a components file of its own. */
export const PROVIDERS = ['infrastructure', 'bootstrap'] as const;

/** Which provider a process is. */
export type ProviderName = (typeof PROVIDERS)[number];

/** Where each provider is installed (design section 1). */
const NAMESPACES: Readonly<Record<ProviderName, string>> = {
  infrastructure: 'ts-provider-system',
  bootstrap: 'ts-provider-bootstrap-system',
};

export const HELP = `ts-provider: the managers of the infrastructure provider and of the bootstrap provider

  --provider NAME               ${PROVIDERS.join(' or ')}; default infrastructure
  --kubeconfig FILE             management cluster; default: KUBECONFIG, the Pod's service account, ~/.kube/config
  --namespace NAME              serve one namespace only; default: all
  --watch-filter VALUE          serve only objects whose label cluster.x-k8s.io/watch-filter is VALUE
  --leader-elect[=true|false]   wait for the Lease before acting; default false
  --leader-elect-namespace NAME where the Lease is; default: POD_NAMESPACE, else where the provider is installed
  --health-addr HOST:PORT       /healthz and /readyz; default :9440, 0 for none
  --metrics-addr HOST:PORT      /metrics; default 127.0.0.1:8080, 0 for none
  --log-level LEVEL             ${LOG_LEVELS.join(', ')}; default info
  --version                     print the version and exit

Infrastructure provider
  --tscluster-concurrency N     TSClusters reconciled at once; default 10
  --tsmachine-concurrency N     TSMachines reconciled at once; default 50
  --tshost-concurrency N        TSHosts reconciled at once; default 200
  --host-cleanings-per-pool N   hosts of one pool that are cleaned at once; default 5
  --in-memory-database FILE     instances of the in-memory backend; default: gone with the process
  --aws-consistency-window TIME how far answers of EC2 may be behind, such as 90s; default 1m
  --aws-orphans WHAT            report or remove instances that no TSMachine has known for 15 minutes; default report

Bootstrap provider
  --kubeadmconfig-concurrency N KubeadmConfigs reconciled at once; default 50
  --bootstrap-token-ttl TIME    life of a bootstrap token that is not renewed, such as 90m or 1h30m; default 1h
`;

/** What was given on the command line, checked. */
export type Flags = ReturnType<typeof parseFlags>;

/** Throws an Error that names the flag and what it may be. */
export function parseFlags(args: readonly string[]) {
  const { values } = parseArgs({
    // As in Kubernetes' own programs, a switch may stand alone or carry its value.
    args: args.map((arg) => (arg === '--leader-elect' ? '--leader-elect=true' : arg)),
    options: {
      provider: { type: 'string', default: 'infrastructure' },
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', default: '' },
      'watch-filter': { type: 'string', default: '' },
      'leader-elect': { type: 'string', default: 'false' },
      'leader-elect-namespace': { type: 'string' },
      'tscluster-concurrency': { type: 'string', default: '10' },
      'tsmachine-concurrency': { type: 'string', default: '50' },
      'tshost-concurrency': { type: 'string', default: '200' },
      'host-cleanings-per-pool': { type: 'string', default: '5' },
      'kubeadmconfig-concurrency': { type: 'string', default: '50' },
      'bootstrap-token-ttl': { type: 'string', default: '1h' },
      'in-memory-database': { type: 'string', default: ':memory:' },
      'aws-consistency-window': { type: 'string', default: '1m' },
      'aws-orphans': { type: 'string', default: 'report' },
      'health-addr': { type: 'string', default: ':9440' },
      'metrics-addr': { type: 'string', default: '127.0.0.1:8080' },
      'log-level': { type: 'string', default: 'info' },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const provider = oneOf<ProviderName>('provider', values.provider, PROVIDERS);
  return {
    ...values,
    provider,
    leaseNamespace: values['leader-elect-namespace'] ?? process.env['POD_NAMESPACE'] ?? NAMESPACES[provider],
    leaderElect: oneOf('leader-elect', values['leader-elect'], ['true', 'false']) === 'true',
    logLevel: oneOf<LogLevel>('log-level', values['log-level'], LOG_LEVELS),
    clusterConcurrency: positive('tscluster-concurrency', values['tscluster-concurrency']),
    machineConcurrency: positive('tsmachine-concurrency', values['tsmachine-concurrency']),
    hostConcurrency: positive('tshost-concurrency', values['tshost-concurrency']),
    cleaningPerPool: positive('host-cleanings-per-pool', values['host-cleanings-per-pool']),
    kubeadmConfigConcurrency: positive('kubeadmconfig-concurrency', values['kubeadmconfig-concurrency']),
    awsConsistencyWindowMs: duration('aws-consistency-window', values['aws-consistency-window'], 1_000),
    awsRemoveOrphans: oneOf('aws-orphans', values['aws-orphans'], ['report', 'remove']) === 'remove',
    tokenTTLMs: duration('bootstrap-token-ttl', values['bootstrap-token-ttl'], LEAST_TOKEN_TTL_MS),
  };
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new Error(`--${flag} is "${value}"; use one of ${allowed.join(', ')}`);
  return found;
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${flag} is "${value}"; use a whole number from 1`);
  return number;
}

const UNIT_MS = { h: 3_600_000, m: 60_000, s: 1_000 };

/** A token is looked at three times in its life: shorter than this, one slow answer of an API server could let it die. */
const LEAST_TOKEN_TTL_MS = 60_000;

/** Written as in the flags of Kubernetes' own programs. */
function duration(flag: string, value: string, leastMs: number): number {
  const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(value);
  const [, hours = '0', minutes = '0', seconds = '0'] = parts ?? [];
  const ms = Number(hours) * UNIT_MS.h + Number(minutes) * UNIT_MS.m + Number(seconds) * UNIT_MS.s;
  const least = leastMs < UNIT_MS.m ? `${leastMs / UNIT_MS.s}s` : `${leastMs / UNIT_MS.m}m`;
  if (parts === null || ms < leastMs)
    throw new Error(`--${flag} is "${value}"; use a time from ${least}, such as 90m or 1h30m`);
  return ms;
}
