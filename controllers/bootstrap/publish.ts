// SPDX-License-Identifier: Apache-2.0
// What an init and a join have in common: read what the spec names, render, record, store, report. Rendering comes before the first
// side effect, so that bad input leaves nothing behind.
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import { hold, next, type Phase, type Step } from '../../contract/phases.ts';
import { certificateFiles } from '../../kubeadm/certificates.ts';
import { checkBootstrapData } from '../../kubeadm/checks/bootstrap-data.ts';
import type { Problem } from '../../kubeadm/checks/problem.ts';
import { usesTemplates } from '../../kubeadm/files.ts';
import { ignitionVersionOf } from '../../kubeadm/ignition-version.ts';
import { machineContents, renderContents, type RenderInput } from '../../kubeadm/render.ts';
import { dataLimit, publishedData, requireFit } from '../../kubeadm/size.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { ApiError, TerminalError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import type { CertificateStore } from './certificate-store.ts';
import type { ControlPlaneVersion } from './control-plane-version.ts';
import { storeDataSecret } from './data-secret.ts';
import type { InitLock } from './init-lock.ts';
import {
  type BootstrapScope,
  type Certificates,
  clusterFacts,
  dataSecretName,
  ownerText,
  purposeOf,
} from './scope.ts';
import { SECRET_POLL_MS, type SecretReader } from './secret-reader.ts';
import { readSecretValues } from './secret-values.ts';

/** What phases need of the management cluster, and of workload clusters. */
export interface PhaseDeps {
  readonly client: Client;
  readonly cache: Cache;
  readonly events: EventRecorder;
  readonly secrets: SecretReader;
  readonly certificates: CertificateStore;
  readonly lock: InitLock;
  readonly controlPlaneVersion: ControlPlaneVersion;
  /** `undefined` while the cluster's kubeconfig does not exist. */
  readonly connect: (ctx: Ctx, scope: BootstrapScope) => Promise<Client | undefined>;
  readonly tokenTTLMs: number;
  readonly randomBytes: (n: number) => Uint8Array;
  /** Writes metadata and spec of the scope's object now and reads the answer back into it. */
  readonly persist: () => Promise<void>;
}

/** A phase of this controller. */
export type BootstrapPhase = Phase<BootstrapScope>;

/** Reads what files and users take from Secrets, and what templates know (KB-20, KB-20b). */
export async function readInputs(scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const spec = scope.object.spec ?? {};
  const { namespace } = scope.owner;
  const read = await readSecretValues(deps.secrets, namespace, spec);
  if (read.kind === 'missing') return hold(BootstrapReason.NotAvailable, read.message, SECRET_POLL_MS);
  scope.facts.secrets = read.values;
  const version = usesTemplates(spec) ? await deps.controlPlaneVersion(scope.cluster) : undefined;
  scope.facts.variables = version === undefined ? {} : { controlPlane: { version } };
  return next();
}

/** Says what is wrong as far as it can be told without certificates. Throws for what {@link render} throws for, but for the size. */
export function checkInput(scope: BootstrapScope): Step {
  const input = renderInput(scope);
  refuse(checkBootstrapData(input, machineContents(input)));
  return next();
}

/** Makes the data, in memory. Throws for whatever cannot be rendered, could not work, or does not fit. */
export function render(scope: BootstrapScope): Step {
  const { annotations } = scope.object.metadata;
  const input = renderInput(scope);
  const contents = machineContents(input);
  refuse(checkBootstrapData(input, contents));
  const data = renderContents(contents, input);
  const limit = dataLimit({ annotations, infrastructureKind: scope.owner.infrastructureKind }, data.format);
  const published = publishedData(data, limit);
  requireFit(published, limit, { plainBytes: Buffer.byteLength(data.value), files: contents.files });
  scope.facts.rendered = published;
  return next();
}

function renderInput(scope: BootstrapScope): RenderInput {
  const { object, facts, cluster } = scope;
  const purpose = purposeOf(scope);
  const { secrets = () => undefined, variables = {}, certificates = NO_CERTIFICATES } = facts;
  return {
    purpose,
    spec: facts.spec ?? {},
    cluster: clusterFacts(cluster),
    kubernetesVersion: versionOf(scope),
    // A worker gets the hash of the CA only (6.5).
    certificateFiles:
      purpose === 'worker-join' ? [] : certificateFiles(certificates.pairs, [...certificates.slots]),
    clusterCA: certificates.pairs.get('ca')?.certificate,
    secrets,
    variables,
    ignitionVersion: ignitionVersionOf(object.metadata.annotations),
  };
}

/** How many problems a condition has room for. */
const TOLD_PROBLEMS = 5;

/** A machine that is started with these would wait for ever, and not say why. */
function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const told = problems.slice(0, TOLD_PROBLEMS).map(({ field, message }) => `${field} ${message}`);
  const more = problems.length > TOLD_PROBLEMS ? [`and ${problems.length - TOLD_PROBLEMS} more`] : [];
  throw new TerminalError(
    BootstrapReason.NotAvailable,
    `no machine could come up with this: ${[...told, ...more].join('; ')}`,
  );
}

const NO_CERTIFICATES: Certificates = { slots: [], pairs: new Map() };

function versionOf({ owner }: BootstrapScope): string {
  if (owner.version !== undefined && owner.version !== '') return owner.version;
  const field = owner.kind === 'Machine' ? 'spec.version' : 'spec.template.spec.version';
  throw new TerminalError(
    BootstrapReason.NotAvailable,
    `${ownerText(owner)} has no ${field}, and kubeadm's configuration depends on it: set it`,
  );
}

/** The spec as it was rendered is on the API server before anything is made from it. */
export async function recordSpec(scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { object, facts } = scope;
  if (facts.spec === undefined || Object.keys(facts.spec).length === 0) return next();
  const before = object.spec ?? {};
  object.spec = facts.spec;
  const wanted = tokenOf(scope);
  await deps.persist().catch((error: unknown) => {
    // The patch at the end must not try it again.
    object.spec = before;
    throw withoutQuotes(error);
  });
  if (tokenOf(scope) === wanted) return next();
  throw new Error(
    'The API server did not keep spec.joinConfiguration.discovery; check that the installed CRD is current',
  );
}

/** What the API server says of an invalid object quotes it, and it may hold secrets. */
function withoutQuotes(error: unknown): unknown {
  if (!(error instanceof ApiError) || error.reason !== 'Invalid') return error;
  return new TerminalError(
    BootstrapReason.NotAvailable,
    'The API server refuses the spec with what the cluster adds to it (discovery, endpoint): ' +
      'see what `kubectl apply --dry-run=server` says of the KubeadmConfig',
  );
}

/** The token that is recorded in the spec. */
export function tokenOf({ object }: BootstrapScope): string | undefined {
  return object.spec?.joinConfiguration?.discovery?.bootstrapToken?.token || undefined;
}

/** Publishes the data (KB-10). */
export async function storeData(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { object, cluster, facts } = scope;
  if (facts.rendered === undefined) return next();
  await storeDataSecret(ctx, deps.client, {
    config: object,
    secretName: dataSecretName(object),
    clusterName: cluster.metadata.name,
    data: facts.rendered,
    token: purposeOf(scope) === 'init' ? undefined : tokenOf(scope),
  });
  facts.stored = true;
  return next();
}

/** Tells core where the data are; the name is there before the latch is read, since both go in one write. */
export function reportData({ object }: BootstrapScope): Step {
  object.status = {
    ...object.status,
    dataSecretName: dataSecretName(object),
    initialization: { ...object.status?.initialization, dataSecretCreated: true },
  };
  return next();
}
