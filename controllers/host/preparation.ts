// SPDX-License-Identifier: Apache-2.0
// What the machine of a host asks for as its preparation, and whether the host says that it has it.
import { Reason } from '../../api/conditions.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { HostFacts, HostPreparationReport, JobProgress } from '../../backends/host-driver.ts';
import type { ClusterNetwork, PreparationInput } from '../../preparation/input.ts';
import type { Ctx } from '../../runtime/context.ts';
import { errorMessage, TerminalError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/object.ts';
import type { ClaimingMachine } from './machine.ts';
import { nodeAddress } from './node-address.ts';
import { type Missing, preparationSecrets } from './preparation-secrets.ts';
import type { HostDeps, Transition } from './scope.ts';

/** A preparation, and the hash by which a host knows it. */
export interface WantedPreparation {
  readonly input: PreparationInput;
  readonly hash: string;
}

/** Ports of the kubelet and of kube-proxy, and of what a control plane runs besides. */
const NODE_PORTS = [10250, 10256];
const CONTROL_PLANE_PORTS = [6443, 2379, 2380, 10257, 10259];

const DEFAULT_SERVICE_DOMAIN = 'cluster.local';

/**
 * What the machine asks for; `undefined` when it wants its host as it is. An error names what is missing, or what nobody can do.
 */
export async function wantedPreparation(
  ctx: Ctx,
  host: TSHost,
  owner: ClaimingMachine,
  { driver, secrets: reader }: Pick<HostDeps, 'driver' | 'secrets'>,
): Promise<WantedPreparation | Missing | undefined> {
  const spec = owner.object?.spec.host?.preparation;
  if (spec === undefined) return undefined;
  const kubernetesVersion = owner.machine?.spec.version ?? '';
  if (kubernetesVersion === '') return NO_VERSION;
  const secrets = await preparationSecrets(ctx, { spec, namespace: nameOf(host).namespace }, reader);
  if ('error' in secrets) return secrets;
  const input = {
    ...{ kubernetesVersion, spec, secrets },
    packages: packagesFor(owner),
    network: networkOf(host, owner),
    mustServe: owner.isControlPlane ? [...NODE_PORTS, ...CONTROL_PLANE_PORTS] : NODE_PORTS,
  };
  return hashed(input, driver);
}

function hashed(input: PreparationInput, driver: HostDeps['driver']): WantedPreparation | Missing {
  try {
    return { input, hash: driver.preparationHash(input) };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    return { error: { reason: error.reason, message: errorMessage(error) } };
  }
}

const NO_VERSION: Missing = {
  error: {
    reason: Reason.PreparationInvalid,
    message:
      'The Machine has no spec.version, and its host is to be prepared for it: set the version on its owner, or take spec.host.preparation off',
  },
};

/** The host says that all steps of exactly this preparation were taken. */
export function isPrepared(report: HostPreparationReport | undefined, { hash }: WantedPreparation): boolean {
  return report?.complete === true && report.hash === hash;
}

/** More than that, and certificates that were just issued are not valid yet, or no more. */
const CLOCK_SECONDS = 60;

/** The one check of the preflight that the host cannot make: it knows no other clock. */
export function wrongClock(
  { clockSkewSeconds }: Pick<HostFacts, 'clockSkewSeconds'>,
  { input }: WantedPreparation,
): Transition['error'] {
  const isIgnored = input.spec.ignorePreflight?.includes('Clock') === true;
  if (isIgnored || Math.abs(clockSkewSeconds) <= CLOCK_SECONDS) return undefined;
  const where = clockSkewSeconds > 0 ? 'ahead of' : 'behind';
  const message = `Clock: the host is ${Math.abs(clockSkewSeconds)} s ${where} the manager; set its clock, or name Clock in spec.host.preparation.ignorePreflight`;
  return { reason: Reason.PreflightFailed, message };
}

/** keepalived carries the address that control plane hosts share. */
function packagesFor({ isControlPlane, tsCluster }: ClaimingMachine): readonly string[] {
  const isShared = tsCluster?.spec.controlPlaneLoadBalancer?.type === 'VirtualIP';
  return isControlPlane && isShared ? ['keepalived'] : [];
}

function networkOf(host: TSHost, { cluster, tsCluster }: ClaimingMachine): ClusterNetwork {
  const { pods, services, serviceDomain = DEFAULT_SERVICE_DOMAIN } = cluster?.spec?.clusterNetwork ?? {};
  const endpoints = [cluster?.spec?.controlPlaneEndpoint, tsCluster?.spec.controlPlaneEndpoint];
  const endpointHost = endpoints.map((one) => one?.host ?? '').find((one) => one !== '');
  const address = nodeAddress(host);
  return {
    podCIDRs: blocksOf(pods),
    serviceCIDRs: blocksOf(services),
    serviceDomain,
    ...(endpointHost !== undefined && { endpointHost }),
    ...(address !== undefined && { nodeAddress: address }),
  };
}

function blocksOf(network: { readonly cidrBlocks?: readonly string[] } | undefined): readonly string[] {
  return network?.cidrBlocks ?? [];
}

/** Exit codes of the steps. */
const REASONS: Readonly<Record<number, string>> = {
  71: Reason.PreflightFailed,
  72: Reason.ArtifactsUnreachable,
  73: Reason.ChecksumMismatch,
  74: Reason.DiskFull,
  75: Reason.ProxyFailed,
  76: Reason.RepositoryUntrusted,
  77: Reason.PackageUnavailable,
  78: Reason.ImageUnavailable,
};

/** Why a preparation, or the repair of one, failed: as the step that failed says by its exit code. */
export function preparationReason(progress: Extract<JobProgress, { state: 'failed' }>): string {
  const { exitCode, message } = progress;
  if (message.startsWith('TimedOut')) return Reason.PreparationTimedOut;
  return REASONS[exitCode ?? 0] ?? Reason.PreparationFailed;
}

/** Whether a preparation that failed was told so. */
export function isPreparationReason(reason: string): boolean {
  const others: readonly string[] = [Reason.PreparationFailed, Reason.PreparationTimedOut];
  return others.includes(reason) || Object.values(REASONS).includes(reason);
}
