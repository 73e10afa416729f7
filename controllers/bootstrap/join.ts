// SPDX-License-Identifier: Apache-2.0
// The data of a machine that joins (6.4, 6.5). Safe to be killed at any line: the token is in the spec before it is in the workload
// cluster, and there before anything is published that holds it. So one config never has two tokens.
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import type { Discovery, JoinConfiguration } from '../../api/bootstrap/join-configuration.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import {
  type CertificatePurpose,
  type CertificateSlot,
  joinControlPlaneCertificates,
  type KeyPair,
  workerCertificates,
} from '../../kubeadm/certificates.ts';
import { completeDiscovery } from '../../kubeadm/complete-discovery.ts';
import { controlPlaneEndpointText } from '../../kubeadm/discovery.ts';
import { newToken } from '../../kubeadm/token.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { keyOf } from '../../runtime/object.ts';
import {
  type BootstrapPhase,
  type PhaseDeps,
  readInputs,
  recordSpec,
  render,
  reportData,
  storeData,
  tokenOf,
} from './publish.ts';
import { missingExternal, waitingForCertificate } from './missing-certificate.ts';
import { type BootstrapScope, clusterText, endpointOf, ownerText } from './scope.ts';
import { SECRET_POLL_MS } from './secret-reader.ts';
import { ensureToken } from './token-store.ts';
import { callWorkload } from './workload-call.ts';

/** The kubeconfig's Secret is watched, and known to be absent for a second. */
const KUBECONFIG_POLL_MS = 5_000;
/** The watch on Clusters tells; this is as often as the stock provider looks. */
const ENDPOINT_POLL_MS = 10_000;

/** The data of a join, to be made anew each time. */
export function joinPhases(deps: PhaseDeps): readonly BootstrapPhase[] {
  return [
    { name: 'checkRole', role: 'acts', run: (_ctx, scope) => checkRole(scope) },
    { name: 'readInputs', role: 'acts', run: (_ctx, scope) => readInputs(scope, deps) },
    { name: 'readCertificates', role: 'acts', run: (_ctx, scope) => readCertificates(scope, deps) },
    { name: 'chooseSpec', role: 'acts', run: (_ctx, scope) => chooseSpec(scope, deps) },
    { name: 'render', role: 'acts', run: (_ctx, scope) => render(scope) },
    { name: 'connect', role: 'acts', run: (ctx, scope) => connect(ctx, scope, deps) },
    { name: 'recordSpec', role: 'acts', run: (_ctx, scope) => recordSpec(scope, deps) },
    { name: 'createToken', role: 'acts', run: (ctx, scope) => createToken(ctx, scope, deps) },
    { name: 'storeData', role: 'acts', run: (ctx, scope) => storeData(ctx, scope, deps) },
    { name: 'reportData', role: 'acts', run: (_ctx, scope) => reportData(scope) },
  ];
}

function checkRole({ object, owner }: BootstrapScope): Step {
  if (owner.isControlPlane || object.spec?.joinConfiguration?.controlPlane === undefined) return next();
  throw new TerminalError(
    BootstrapReason.NotAvailable,
    `spec.joinConfiguration.controlPlane is set, and ${ownerText(owner)} is a worker: remove it`,
  );
}

/** All that kubeadm is to find, or to verify, must be there: it would make its own otherwise (6.4). */
async function readCertificates(
  { object, owner, cluster, facts }: BootstrapScope,
  deps: PhaseDeps,
): Promise<Step> {
  const { name } = cluster.metadata;
  const slots = owner.isControlPlane
    ? joinControlPlaneCertificates(name, object.spec?.clusterConfiguration)
    : workerCertificates(name, object.spec?.joinConfiguration);
  const found = await Promise.all(slots.map((slot) => deps.certificates.read(owner.namespace, slot)));
  const pairs = new Map<CertificatePurpose, KeyPair>();
  for (const [index, slot] of slots.entries()) {
    const pair = found[index];
    if (pair === undefined) {
      const message = missingCertificate(owner.namespace, slot, cluster.spec?.controlPlaneRef?.kind);
      return hold(BootstrapReason.InternalError, message, SECRET_POLL_MS);
    }
    pairs.set(slot.purpose, pair);
  }
  facts.certificates = { slots, pairs };
  return next();
}

function missingCertificate(
  namespace: string,
  slot: CertificateSlot,
  controlPlane: string | undefined,
): string {
  if (slot.external) return missingExternal(namespace, slot);
  const writer =
    controlPlane === undefined
      ? 'the first control plane machine'
      : `the control plane provider (${controlPlane})`;
  return `${waitingForCertificate(namespace, slot)}: ${writer} writes it; if it was deleted, restore it from a backup`;
}

/** The spec with all that discovery needs, in memory; a renewal starts from the spec without its lost token. */
function chooseSpec(scope: BootstrapScope, deps: PhaseDeps): Step {
  const { object, cluster, facts } = scope;
  const spec: KubeadmConfigSpec = structuredClone(object.spec ?? {});
  const { discovery } = spec.joinConfiguration ?? {};
  if (facts.renew === 'token') delete discovery?.bootstrapToken?.token;
  if (endpointOf(cluster) === undefined && needsEndpoint(discovery)) {
    const message = `waiting for ${clusterText(cluster)}: it has no spec.controlPlaneEndpoint yet`;
    return hold(BootstrapReason.NotAvailable, message, ENDPOINT_POLL_MS);
  }
  spec.joinConfiguration = completed(spec.joinConfiguration, scope, deps);
  facts.spec = spec;
  return next();
}

function completed(
  join: JoinConfiguration | undefined,
  { owner, cluster, facts }: BootstrapScope,
  { randomBytes }: PhaseDeps,
): JoinConfiguration {
  const endpoint = endpointOf(cluster);
  return completeDiscovery(join, {
    purpose: owner.isControlPlane ? 'control-plane-join' : 'worker-join',
    endpoint: endpoint === undefined ? '' : controlPlaneEndpointText(endpoint),
    clusterCA: facts.certificates?.pairs.get('ca')?.certificate,
    newToken: () => newToken(randomBytes),
  });
}

function needsEndpoint({ file, bootstrapToken }: Discovery = {}): boolean {
  if (file === undefined) return bootstrapToken?.apiServerEndpoint === undefined;
  return file.kubeConfig !== undefined && file.kubeConfig.cluster?.server === undefined;
}

async function connect(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { owner, facts } = scope;
  if (facts.spec?.joinConfiguration?.discovery?.file !== undefined) return next();
  const workload = await deps.connect(ctx, scope);
  if (workload === undefined) {
    const secret = keyOf({ namespace: owner.namespace, name: `${owner.clusterName}-kubeconfig` });
    const message = `waiting for Secret ${secret}: the control plane provider writes it`;
    return hold(BootstrapReason.NotAvailable, message, KUBECONFIG_POLL_MS);
  }
  facts.workload = workload;
  return next();
}

async function createToken(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { workload } = scope.facts;
  const token = tokenOf(scope);
  if (workload === undefined || token === undefined) return next();
  const ttlMs = deps.tokenTTLMs;
  await callWorkload(scope, () => ensureToken(ctx, { workload, token, ttlMs }));
  scope.facts.recheckMs = ttlMs / 3;
  return next();
}
