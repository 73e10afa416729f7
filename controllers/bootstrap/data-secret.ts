// SPDX-License-Identifier: Apache-2.0
// The Secret that holds the bootstrap data (BC-2, BC-3, KB-10).
import type { Secret } from '../../api/cluster-api.ts';
import { KubeadmConfigKind, SecretKind } from '../../api/kinds.ts';
import type { KubeadmConfig } from '../../api/kubeadmconfig.ts';
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import { CLUSTER_NAME_LABEL, TOKEN_ID_ANNOTATION } from '../../api/labels.ts';
import { isSameData, type PublishedData } from '../../kubeadm/size.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists, TerminalError, type TransientError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { type KubeObject, nameOf, type ObjectName, type OwnerReference } from '../../runtime/object.ts';
import { lookAgain } from './secret-reader.ts';

/** Type of every Secret that providers make for a cluster. */
export const CLUSTER_SECRET_TYPE = 'cluster.x-k8s.io/secret';

/** What is to be stored, and for whom. */
export interface StoreInput {
  readonly config: KubeadmConfig;
  /** Other than the config's after a move from a provider that named it differently. */
  readonly secretName: string;
  readonly clusterName: string;
  readonly data: PublishedData;
  /** The token in the data, where there is one. */
  readonly token: string | undefined;
}

/** The reference that makes a config the controller of what it made; without blockOwnerDeletion (KB-10). */
export function controllerReference(config: KubeadmConfig): OwnerReference {
  const { apiVersion, kind } = KubeadmConfigKind;
  const { name, uid = '' } = config.metadata;
  return { apiVersion, kind, name, uid, controller: true };
}

/** The owner that is the controller, if there is one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** Creates the Secret; one that is there from an interrupted pass is brought up to date. Called twice, it writes once. */
export async function storeDataSecret(ctx: Ctx, client: Client, input: StoreInput): Promise<void> {
  const secret = newSecret(input);
  try {
    await client.create(SecretKind, secret, ctx.signal);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const present = await client.get(SecretKind, nameOf(secret), ctx.signal);
    if (present === undefined) throw error;
    await bringUpToDate(ctx, client, { present, wanted: secret });
  }
}

/** Makes the config the controller of a Secret of which only metadata is known. Throws when it belongs to another kind (6.2.3). */
export async function adoptDataSecret(
  ctx: Ctx,
  { client, cache }: { client: Client; cache: Cache },
  { config, secret }: { config: KubeadmConfig; secret: KubeObject },
): Promise<void> {
  if (isOurs(secret, config)) return;
  refuseForeign(secret);
  refuseOthers(cache, secret);
  ctx.log.info({ Secret: secret.metadata.name }, 'Adopting the bootstrap data Secret');
  const { resourceVersion, ownerReferences = [] } = secret.metadata;
  const others = ownerReferences.filter(({ controller }) => controller !== true);
  const owners = [...others, controllerReference(config)];
  const body = { metadata: { resourceVersion, ownerReferences: owners } };
  await client.patch(SecretKind, nameOf(secret), body, { signal: ctx.signal });
}

function isOurs(secret: KubeObject, config: KubeadmConfig): boolean {
  return controllerOf(secret)?.uid === config.metadata.uid;
}

/** Throws when another kind controls the Secret; a KubeadmConfig of an earlier life (a restored backup) gives way (6.2.3). */
export function refuseForeign(secret: KubeObject): void {
  const controller = controllerOf(secret);
  if (controller === undefined || controller.kind === KubeadmConfigKind.kind) return;
  throw inTheWay(
    secret,
    `is controlled by ${controller.kind} ${controller.name}: delete the Secret, or name the KubeadmConfig differently`,
  );
}

/** Two configs whose Machines name one Secret would take it from each other without end. */
function refuseOthers(cache: Cache, secret: KubeObject): void {
  const controller = controllerOf(secret);
  const other = controller && cache.peek(KubeadmConfigKind, { ...nameOf(secret), name: controller.name });
  if (other === undefined || other.metadata.uid !== controller?.uid) return;
  throw new TerminalError(
    BootstrapReason.NotAvailable,
    `Secret ${pathOf(nameOf(secret))} is controlled by KubeadmConfig ${controller?.name}: ` +
      'let the Machine of this KubeadmConfig name a Secret of its own in spec.bootstrap.dataSecretName',
  );
}

/** Somebody keeps something else under this name: to overwrite it would lose that. */
function refuseOtherType(secret: Secret): void {
  if (secret.type === CLUSTER_SECRET_TYPE) return;
  throw inTheWay(
    secret,
    `has the type ${secret.type ?? 'Opaque'}, so it holds no bootstrap data: ` +
      'delete the Secret, or name the KubeadmConfig differently',
  );
}

/** The watch tells when a Secret with the cluster's label goes; the others have to be looked at. */
function inTheWay(secret: KubeObject, why: string): TerminalError | TransientError {
  const message = `Secret ${pathOf(nameOf(secret))} ${why}`;
  const error = new TerminalError(BootstrapReason.NotAvailable, message);
  return secret.metadata.labels?.[CLUSTER_NAME_LABEL] === undefined ? lookAgain(error) : error;
}

async function bringUpToDate(
  ctx: Ctx,
  client: Client,
  { present, wanted }: { present: Secret; wanted: Secret },
): Promise<void> {
  refuseForeign(present);
  refuseOtherType(present);
  const ours = controllerOf(present)?.uid === controllerOf(wanted)?.uid;
  if (ours && hasSame(present.data, wanted.data) && hasAll(metadataOf(present), metadataOf(wanted))) return;
  const { labels, annotations, ownerReferences } = wanted.metadata;
  const { resourceVersion } = present.metadata;
  const dropped = Object.keys(present.data ?? {}).map((key) => [key, null]);
  const data = { ...(Object.fromEntries(dropped) as Record<string, null>), ...wanted.data };
  const body = { metadata: { resourceVersion, labels, annotations, ownerReferences }, data };
  await client.patch(SecretKind, nameOf(present), body, { signal: ctx.signal });
}

function metadataOf({ metadata }: Secret): Record<string, string> {
  return { ...metadata.labels, ...metadata.annotations };
}

/** The same data may be packed into other bytes by another release: that is no reason to write them again. */
function hasSame(present: Record<string, string> = {}, wanted: Record<string, string> = {}): boolean {
  const { value, ...others } = wanted;
  return hasAll(present, others) && isSameData(present['value'], value);
}

function hasAll(present: Record<string, string> = {}, wanted: Record<string, string> = {}): boolean {
  return Object.entries(wanted).every(([key, value]) => present[key] === value);
}

function newSecret({ config, secretName, clusterName, data, token }: StoreInput): Secret {
  return {
    apiVersion: SecretKind.apiVersion,
    kind: SecretKind.kind,
    metadata: {
      namespace: config.metadata.namespace ?? '',
      name: secretName,
      labels: { [CLUSTER_NAME_LABEL]: clusterName },
      ...(token !== undefined && { annotations: { [TOKEN_ID_ANNOTATION]: tokenID(token) } }),
      ownerReferences: [controllerReference(config)],
    },
    type: CLUSTER_SECRET_TYPE,
    data: {
      value: Buffer.from(data.bytes).toString('base64'),
      format: Buffer.from(data.format).toString('base64'),
    },
  };
}

/** The public half of a token. */
export function tokenID(token: string): string {
  return token.split('.')[0] ?? '';
}

function pathOf({ namespace, name }: ObjectName): string {
  return `${namespace}/${name}`;
}
