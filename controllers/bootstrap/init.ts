// SPDX-License-Identifier: Apache-2.0
// From nothing to the data of the machine that runs `kubeadm init` (6.3). One per cluster: the lock sees to that.
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import { ClusterKind, SecretKind } from '../../api/kinds.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import { type CertificatePurpose, initCertificates, type KeyPair } from '../../kubeadm/certificates.ts';
import { controlPlaneEndpointText } from '../../kubeadm/discovery.ts';
import type { Ctx } from '../../runtime/context.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { controllerReference } from './data-secret.ts';
import { missingExternal } from './missing-certificate.ts';
import {
  type BootstrapPhase,
  checkInput,
  type PhaseDeps,
  readInputs,
  recordSpec,
  render,
  reportData,
  storeData,
} from './publish.ts';
import {
  type BootstrapScope,
  clusterText,
  dataSecretName,
  endpointOf,
  isControlPlaneInitialized,
} from './scope.ts';
import { SECRET_POLL_MS } from './secret-reader.ts';

/** The events of Machines and of the lock wake who waits; this is for the ones that a watch missed. */
const LOCK_POLL_MS = 30_000;
/** The watch on Clusters is behind by less, and wakes us by itself. */
const STALE_POLL_MS = 1_000;

/** The data of an init, once it is this machine's turn. */
export function initPhases(deps: PhaseDeps): readonly BootstrapPhase[] {
  return [
    { name: 'waitForTurn', role: 'acts', run: (_ctx, scope) => waitForTurn(scope) },
    { name: 'readInputs', role: 'acts', run: (_ctx, scope) => readInputs(scope, deps) },
    { name: 'chooseSpec', role: 'acts', run: (_ctx, scope) => chooseSpec(scope) },
    { name: 'readCertificates', role: 'acts', run: (_ctx, scope) => readCertificates(scope, deps) },
    { name: 'checkInput', role: 'acts', run: (_ctx, scope) => checkInput(scope) },
    // From here on others wait for us: what can be missing has been looked for before.
    { name: 'takeInitLock', role: 'acts', run: (ctx, scope) => takeInitLock(ctx, scope, deps) },
    { name: 'makeCertificates', role: 'acts', run: (ctx, scope) => makeCertificates(ctx, scope, deps) },
    { name: 'render', role: 'acts', run: (_ctx, scope) => render(scope) },
    { name: 'recordSpec', role: 'acts', run: (_ctx, scope) => recordSpec(scope, deps) },
    { name: 'storeData', role: 'acts', run: (ctx, scope) => storeData(ctx, scope, deps) },
    { name: 'reportData', role: 'acts', run: (_ctx, scope) => reportData(scope) },
    // Also after a failure, which is when it matters.
    { name: 'giveUpInitLock', role: 'reports', run: (ctx, scope) => giveUpInitLock(ctx, scope, deps) },
  ];
}

/** Only a control plane Machine can be the first (6.3.1). The watch on Clusters wakes the others. */
function waitForTurn({ owner, cluster }: BootstrapScope): Step {
  if (owner.isControlPlane) return next();
  const controlPlane = cluster.spec?.controlPlaneRef;
  const see =
    controlPlane === undefined
      ? ''
      : ` (see ${controlPlane.kind} ${keyOf({ ...nameOf(cluster), name: controlPlane.name })})`;
  return hold(BootstrapReason.NotAvailable, `${waitingForControlPlane(cluster)}${see}`);
}

async function takeInitLock(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { cluster, owner } = scope;
  const lock = await deps.lock.acquire(ctx, cluster, owner.name);
  if (!lock.held) {
    const message = `${waitingForControlPlane(cluster)}: ${lock.why}`;
    return hold(BootstrapReason.NotAvailable, message, LOCK_POLL_MS);
  }
  scope.facts.lockHeld = true;
  return checkStillFirst(ctx, scope, deps);
}

/**
 * Whoever removed the last lock had seen a control plane. Our watch on Clusters may be behind its watch on locks, so ask once more:
 * a second init would be a second cluster.
 */
async function checkStillFirst(ctx: Ctx, { cluster }: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const now = await deps.client.get(ClusterKind, nameOf(cluster), ctx.signal);
  if (now !== undefined && !isControlPlaneInitialized(now)) return next();
  const message = `${clusterText(cluster)} has been initialized meanwhile: this machine will join it`;
  return hold(BootstrapReason.NotAvailable, message, STALE_POLL_MS);
}

function waitingForControlPlane(cluster: BootstrapScope['cluster']): string {
  return `waiting for the control plane of ${clusterText(cluster)} to be initialized`;
}

/** The endpoint goes into certificates and kubeconfigs, so it is recorded as it was used (6.3.3). */
function chooseSpec({ object, cluster, facts }: BootstrapScope): Step {
  const endpoint = endpointOf(cluster);
  facts.spec = structuredClone(object.spec ?? {});
  const configuration = facts.spec.clusterConfiguration;
  if (endpoint === undefined || (configuration?.controlPlaneEndpoint ?? '') !== '') return next();
  const controlPlaneEndpoint = controlPlaneEndpointText(endpoint);
  facts.spec.clusterConfiguration = { ...configuration, controlPlaneEndpoint };
  return next();
}

/** What is there, of whatever origin. */
async function readCertificates(scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { cluster, owner, facts } = scope;
  const slots = initCertificates(cluster.metadata.name, facts.spec?.clusterConfiguration);
  const found = await Promise.all(slots.map((slot) => deps.certificates.read(owner.namespace, slot)));
  const pairs = new Map<CertificatePurpose, KeyPair>();
  for (const [index, slot] of slots.entries()) {
    const pair = found[index];
    if (pair !== undefined) pairs.set(slot.purpose, pair);
    else if (slot.external) {
      return hold(BootstrapReason.InternalError, missingExternal(owner.namespace, slot), SECRET_POLL_MS);
    }
  }
  facts.found = { slots, pairs };
  return next();
}

/**
 * Without a control plane provider the first machine makes the certificates that are missing. With one they are that provider's
 * to make: two CAs for one cluster would be worse than none (6.3.5, PIT-30).
 */
async function makeCertificates(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { object, cluster, owner, facts } = scope;
  const { slots, pairs } = facts.found ?? { slots: [], pairs: new Map<CertificatePurpose, KeyPair>() };
  const missing = slots.filter(({ purpose }) => !pairs.has(purpose));
  if (cluster.spec?.controlPlaneRef !== undefined) {
    for (const { secretName } of missing) {
      ctx.log.warn({ Secret: secretName }, 'Not there: kubeadm will make its own certificates instead');
    }
    facts.certificates = { slots, pairs };
    return next();
  }
  const configuration = facts.spec?.clusterConfiguration;
  const how = {
    clusterName: cluster.metadata.name,
    owner: controllerReference(object),
    algorithm: configuration?.encryptionAlgorithm,
    validityDays: configuration?.caCertificateValidityPeriodDays,
    now: ctx.clock.now(),
  };
  const made = await Promise.all(
    missing.map(
      async (slot) => [slot.purpose, await deps.certificates.make(owner.namespace, slot, how)] as const,
    ),
  );
  facts.certificates = { slots, pairs: new Map([...pairs, ...made]) };
  return next();
}

/**
 * Another machine may be able to do what this one cannot. Never once the data are stored, or may be: the machine that reads
 * them runs kubeadm init (PIT-14).
 */
async function giveUpInitLock(
  ctx: Ctx,
  { object, cluster, owner, facts }: BootstrapScope,
  deps: PhaseDeps,
): Promise<Step> {
  if (facts.lockHeld !== true || facts.stored === true) return next();
  const name = { ...nameOf(object), name: dataSecretName(object) };
  const stored = await deps.client.get(SecretKind, name, ctx.signal);
  if (stored === undefined) await deps.lock.release(ctx, cluster, owner.name);
  return next();
}
