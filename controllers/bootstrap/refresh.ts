// SPDX-License-Identifier: Apache-2.0
// What is published stays true until the machine has joined: the status, the Secret, the token (BC-5, BC-6, KB-22, KB-24).
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import { SecretKind } from '../../api/kinds.ts';
import { TOKEN_ID_ANNOTATION } from '../../api/labels.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TransientError } from '../../runtime/errors.ts';
import { keyOf, type KubeObject } from '../../runtime/object.ts';
import { tokenID } from './data-secret.ts';
import { joinPhases } from './join.ts';
import { type BootstrapPhase, type PhaseDeps, tokenOf } from './publish.ts';
import { type BootstrapScope, dataSecretName, isControlPlaneInitialized, ownerText } from './scope.ts';
import { SECRET_POLL_MS } from './secret-reader.ts';
import { ensureToken, isRotationDue, refreshToken, type TokenOptions } from './token-store.ts';
import { callWorkload } from './workload-call.ts';

/** For a config whose data are published. Only a join may be made again, and only for a machine that has not used it. */
export function publishedPhases(deps: PhaseDeps): readonly BootstrapPhase[] {
  return [
    { name: 'restoreStatus', role: 'acts', run: (_ctx, scope) => restoreStatus(scope) },
    // First, since a machine whose Secret is gone may have read it, and joins with it.
    { name: 'keepToken', role: 'acts', run: (ctx, scope) => keepToken(ctx, scope, deps) },
    { name: 'checkDataSecret', role: 'acts', run: (ctx, scope) => checkDataSecret(ctx, scope, deps) },
    ...joinPhases(deps).map((phase): BootstrapPhase => ({
      ...phase,
      run: (ctx, scope) => (scope.facts.renew === undefined ? next() : phase.run(ctx, scope)),
    })),
  ];
}

/** A move drops status; what the owner has from us tells what it was (6.2.5). */
function restoreStatus({ object, owner }: BootstrapScope): Step {
  object.status = {
    ...object.status,
    dataSecretName: object.status?.dataSecretName || owner.dataSecretName || object.metadata.name,
    initialization: { ...object.status?.initialization, dataSecretCreated: true },
  };
  return next();
}

/** All machines that were to read the data have done so. */
function isSettled({ owner }: BootstrapScope): boolean {
  return owner.kind === 'Machine' && owner.hasJoined;
}

async function checkDataSecret(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { object, owner, facts } = scope;
  // Some delete it on purpose by then.
  if (isSettled(scope) || facts.renew !== undefined) return next();
  const name = { namespace: owner.namespace, name: dataSecretName(object) };
  const secret: KubeObject | undefined =
    // The watch may be behind, and does not see a Secret without the label.
    deps.cache.peek(SecretKind, name) ?? (await deps.client.get(SecretKind, name, ctx.signal));
  if (secret !== undefined) {
    if (isBehind(secret, tokenOf(scope)) && isJoin(scope)) facts.renew = 'data';
    return next();
  }
  if (owner.isUsed || !isJoin(scope)) {
    const why = owner.isUsed ? 'its machine may run already' : 'data of a kubeadm init are never made twice';
    const message =
      `Secret ${keyOf(name)} with the bootstrap data was deleted, and ${why}: ` +
      `restore it, or delete ${ownerText(owner)} to have it replaced`;
    facts.lost = message;
    return hold(BootstrapReason.NotAvailable, message, SECRET_POLL_MS);
  }
  facts.renew = 'data';
  tell(ctx, scope, deps, {
    reason: 'DataSecretLost',
    note: `Secret ${keyOf(name)} was deleted and is made again: ${ownerText(owner)} has not used it yet`,
  });
  return next();
}

/** The token of the data is not the one of the spec: a renewal was interrupted. Data that we did not make do not say. */
function isBehind(secret: KubeObject, token: string | undefined): boolean {
  const inData = secret.metadata.annotations?.[TOKEN_ID_ANNOTATION];
  return inData !== undefined && token !== undefined && inData !== tokenID(token);
}

/** Whether the data can only be those of a join: workers never init, and only our joins record a complete discovery. */
function isJoin({ object, owner, cluster }: BootstrapScope): boolean {
  if (!isControlPlaneInitialized(cluster)) return false;
  if (!owner.isControlPlane) return true;
  const { file, bootstrapToken = {} } = object.spec?.joinConfiguration?.discovery ?? {};
  const { token, apiServerEndpoint, caCertHashes } = bootstrapToken;
  return file !== undefined || [token, apiServerEndpoint, caCertHashes].every((field) => field !== undefined);
}

async function keepToken(ctx: Ctx, scope: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const { facts, cluster } = scope;
  const token = tokenOf(scope);
  // Before there is a control plane, no token can exist.
  if (token === undefined || isSettled(scope) || !isControlPlaneInitialized(cluster)) return next();
  const workload = await deps.connect(ctx, scope);
  if (workload === undefined) throw noKubeconfig(scope);
  facts.recheckMs = deps.tokenTTLMs / 3;
  const options: TokenOptions = { workload, token, ttlMs: deps.tokenTTLMs };
  const isLost = await callWorkload(scope, () => isTokenLost(ctx, scope, options));
  if (isLost) await replaceToken(ctx, scope, { ...deps, options });
  return next();
}

/** Keeps it fresh until all Nodes have joined; then a pool gets another one before it ends (KB-24). */
async function isTokenLost(ctx: Ctx, { owner }: BootstrapScope, options: TokenOptions): Promise<boolean> {
  if (owner.hasJoined) return isRotationDue(ctx, options);
  return (await refreshToken(ctx, options)) === 'lost';
}

/**
 * A machine that has its data cannot be given others: it gets the same token back. One that has not, and a pool, which makes
 * machines at any time, get a new token and new data.
 */
async function replaceToken(
  ctx: Ctx,
  scope: BootstrapScope,
  deps: PhaseDeps & { readonly options: TokenOptions },
): Promise<void> {
  const { owner, facts } = scope;
  if (owner.kind === 'MachinePool' && owner.hasJoined) {
    facts.renew = 'token';
    return;
  }
  if (!owner.isUsed && isJoin(scope)) {
    facts.renew = 'token';
    const note = `The bootstrap token was gone from the cluster: ${ownerText(owner)} gets a new one with new bootstrap data`;
    return tell(ctx, scope, deps, { reason: 'BootstrapTokenLost', note });
  }
  await callWorkload(scope, () => ensureToken(ctx, deps.options));
  const note = `The bootstrap token was gone from the cluster and is there again: ${ownerText(owner)} may be joining with it`;
  tell(ctx, scope, deps, { reason: 'BootstrapTokenLost', note });
}

function tell(
  ctx: Ctx,
  { object }: BootstrapScope,
  { events }: PhaseDeps,
  { reason, note }: { readonly reason: string; readonly note: string },
): void {
  ctx.log.warn({ reason }, note);
  events.event(object, { type: 'Warning', reason, action: 'Renew', note });
}

function noKubeconfig({ owner }: BootstrapScope): TransientError {
  const secret = keyOf({ namespace: owner.namespace, name: `${owner.clusterName}-kubeconfig` });
  return new TransientError(`the bootstrap token cannot be renewed: Secret ${secret} does not exist`);
}
