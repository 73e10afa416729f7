// SPDX-License-Identifier: Apache-2.0
// The machine that a host was claimed for: whether it means this host, and what a bootstrap needs of it.
import type { Cluster, Machine } from '../../api/cluster-api.ts';
import { SecretKind, TSClusterKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { BootstrapData } from '../../backends/backend.ts';
import { bootstrapDataOf } from '../../contract/bootstrap-data.ts';
import { clusterOfMachine, isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { pausedMessage } from '../../contract/paused.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, nameOf, type ObjectName } from '../../runtime/object.ts';
import { providerIDOf } from './claim.ts';
import type { Transition } from './scope.ts';

/**
 * Whether the TSMachine of a claim means the claim. `agreed`: both name each other. `notYet`: it names no host, so nothing was ever
 * begun. `lost`: it names another host, and never will name this one. `missing`: there is none. `namesake`: there is another one of
 * that name; where the one of the claim went is not known.
 */
export type Agreement = 'agreed' | 'notYet' | 'lost' | 'missing' | 'namesake';

/** A TSMachine and who it belongs to. All but `agreement` may be unknown. */
export interface ClaimingMachine {
  readonly agreement: Agreement;
  readonly object: TSMachine | undefined;
  readonly machine: Machine | undefined;
  readonly cluster: Cluster | undefined;
  readonly tsCluster: TSCluster | undefined;
  readonly isControlPlane: boolean;
  /** Why it must be left alone; '' when it need not. */
  readonly paused: string;
}

/** Judges both sides. The client token is what survives a move; UIDs do not. */
export function agreementOf(host: TSHost, claim: HostClaim, machine: TSMachine | undefined): Agreement {
  if (machine === undefined) return 'missing';
  const { providerID, createIntent } = machine.spec;
  const isSameToken = createIntent !== undefined && createIntent.clientToken === claim.clientToken;
  if (providerID === providerIDOf(host, claim)) return isSameToken ? 'agreed' : 'namesake';
  if (isSameToken) return providerID === undefined ? 'notYet' : 'lost';
  // The very same object asks with a later token: the attempt of this claim was given up before it had made anything.
  const isSameObject = machine.metadata.uid === claim.machine?.uid && createIntent !== undefined;
  return isSameObject ? 'lost' : 'namesake';
}

/** Reads the TSMachine of a claim past the cache: for what is decided or done because of it. */
export async function machineOfClaim(
  ctx: Ctx,
  at: { readonly host: TSHost; readonly claim: HostClaim },
  deps: { readonly client: Client; readonly cache: Cache },
): Promise<ClaimingMachine> {
  const name = at.claim.machine;
  const object = name && (await deps.client.get(TSMachineKind, nameIn(name), ctx.signal));
  return { ...ownersOf(deps.cache, object), agreement: agreementOf(at.host, at.claim, object) };
}

/** The same from the cache: for what only waits. */
export function machineAsCached(
  cache: Cache,
  { host, claim }: { readonly host: TSHost; readonly claim: HostClaim },
): ClaimingMachine {
  const object = claim.machine && cache.peek(TSMachineKind, nameIn(claim.machine));
  return { ...ownersOf(cache, object), agreement: agreementOf(host, claim, object) };
}

/** Why the claimant of a host must be left alone, as far as the cache knows; '' when it need not. A cluster that is being moved is nobody's to change. */
export function pausedClaimant(cache: Cache, host: TSHost, claim: HostClaim | undefined): string {
  if (claim?.machine !== undefined) return machineAsCached(cache, { host, claim }).paused;
  const tsCluster = claim?.cluster && cache.peek(TSClusterKind, nameIn(claim.cluster));
  return tsCluster === undefined
    ? ''
    : pausedMessage(clusterOfMachine(cache, tsCluster, undefined), tsCluster);
}

function nameIn({ namespace, name }: ObjectName): ObjectName {
  return { namespace, name };
}

function ownersOf(cache: Cache, object: TSMachine | undefined): Omit<ClaimingMachine, 'agreement'> {
  const machine = object && ownerMachine(cache, object);
  const cluster = object && clusterOfMachine(cache, object, machine);
  return {
    object,
    machine,
    cluster,
    tsCluster: infraClusterOf(cache, cluster),
    isControlPlane: object !== undefined && isControlPlane(object, machine),
    paused: object === undefined ? '' : pausedMessage(cluster, object),
  };
}

function infraClusterOf(cache: Cache, cluster: Cluster | undefined): TSCluster | undefined {
  const reference = cluster?.spec?.infrastructureRef;
  if (cluster === undefined || reference?.kind !== TSClusterKind.kind) return undefined;
  return cache.peek(TSClusterKind, { ...nameOf(cluster), name: reference.name });
}

/** What the machine is made of, read now: the newest token is in the newest data. An error says which Secret, and nothing of it. */
export async function bootstrapDataFor(
  ctx: Ctx,
  { machine, object }: ClaimingMachine,
  client: Client,
): Promise<{ readonly data: BootstrapData } | { readonly error: NonNullable<Transition['error']> }> {
  const name = machine?.spec.bootstrap?.dataSecretName ?? '';
  if (name === '' || object === undefined) {
    const message =
      'The Machine names no bootstrap data Secret any more; delete the Machine to have it replaced';
    return { error: { reason: 'BootstrapDataMissing', message } };
  }
  const secretName = { ...nameOf(object), name };
  const secret = await client.get(SecretKind, secretName, ctx.signal);
  if (secret === undefined) {
    const message =
      `Secret ${keyOf(secretName)}, which spec.bootstrap.dataSecretName of the Machine names, does not exist; ` +
      'restore it or delete the Machine to have it replaced';
    return { error: { reason: 'BootstrapDataMissing', message } };
  }
  const data = bootstrapDataOf(secret.data ?? {});
  if (typeof data !== 'string') return { data };
  const message = `Bootstrap data Secret ${keyOf(secretName)} ${data}; mend it or delete the Machine to have it replaced`;
  return { error: { reason: 'BootstrapDataInvalid', message } };
}
