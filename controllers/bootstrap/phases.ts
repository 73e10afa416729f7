// SPDX-License-Identifier: Apache-2.0
// Which phases a KubeadmConfig goes through, in the order of 6.2: gates first, then init, join, or care for what is published.
import { BootstrapReason } from '../../api/bootstrap-conditions.ts';
import { SecretKind } from '../../api/kinds.ts';
import { hold, next, type Step } from '../../contract/phases.ts';
import { secretsOf } from '../../kubeadm/files.ts';
import { InputError } from '../../kubeadm/input-error.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { adoptDataSecret, refuseForeign } from './data-secret.ts';
import { initPhases } from './init.ts';
import { joinPhases } from './join.ts';
import type { BootstrapPhase, PhaseDeps } from './publish.ts';
import { publishedPhases } from './refresh.ts';
import {
  type BootstrapScope,
  clusterText,
  dataSecretName,
  isControlPlaneInitialized,
  isCreated,
} from './scope.ts';
import { lookAgain } from './secret-reader.ts';
import { troubleWith } from './secret-values.ts';
import { CLUSTER_SECRETS } from './watches.ts';

/** The phases for what the scope is in. */
export function phasesFor(scope: BootstrapScope, deps: PhaseDeps): readonly BootstrapPhase[] {
  const gates: readonly BootstrapPhase[] = [
    { name: 'adoptSecret', role: 'acts', run: (ctx, one) => adoptSecret(ctx, one, deps) },
    { name: 'waitForClusterInfrastructure', role: 'acts', run: (_ctx, one) => waitForInfrastructure(one) },
    { name: 'removeInitLock', role: 'acts', run: (ctx, one) => removeInitLock(ctx, one, deps) },
  ];
  return [...gates, ...work(scope, deps)].map((phase) => explained(phase, deps));
}

function work(scope: BootstrapScope, deps: PhaseDeps): readonly BootstrapPhase[] {
  if (isCreated(scope.object) || scope.owner.dataSecretName !== undefined) return publishedPhases(deps);
  return isControlPlaneInitialized(scope.cluster) ? joinPhases(deps) : initPhases(deps);
}

/** Bad input is nothing to try again soon: a person has to change it, and the change wakes us, unless nobody tells us of it. */
function explained(phase: BootstrapPhase, deps: PhaseDeps): BootstrapPhase {
  return {
    ...phase,
    run: async (ctx, scope) => {
      try {
        return await phase.run(ctx, scope);
      } catch (error) {
        const told = error instanceof InputError ? inWords(error) : error;
        throw told instanceof TerminalError && usesUnwatched(scope, deps) ? lookAgain(told) : told;
      }
    },
  };
}

function inWords({ field, message }: InputError): TerminalError {
  return new TerminalError(BootstrapReason.NotAvailable, troubleWith(field) + message);
}

/** A user's own Secrets need not have the cluster's label. */
function usesUnwatched({ object, owner, cluster }: BootstrapScope, { secrets }: PhaseDeps): boolean {
  const named = secretsOf(object.spec ?? {}).map(({ name }) => name);
  const ofCluster = CLUSTER_SECRETS.map((suffix) => `${cluster.metadata.name}-${suffix}`);
  return [...named, ...ofCluster].some((name) => secrets.isUnwatched({ namespace: owner.namespace, name }));
}

/** Garbage collection and moves go by the owner (6.2.3). The watch knows the Secrets of the cluster, so that this asks nobody. */
async function adoptSecret(ctx: Ctx, { object, owner }: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  const secret = deps.cache.peek(SecretKind, { ...nameOf(object), name: dataSecretName(object) });
  if (secret === undefined) return next();
  // Before there are data of ours, nothing is ours to adopt: what is in the way is found before a token is made, or by storeData.
  if (!isCreated(object) && owner.dataSecretName === undefined) refuseForeign(secret);
  else await adoptDataSecret(ctx, deps, { config: object, secret });
  return next();
}

function waitForInfrastructure({ cluster }: BootstrapScope): Step {
  if (cluster.status?.initialization?.infrastructureProvisioned === true) return next();
  const reference = cluster.spec?.infrastructureRef;
  const see =
    reference === undefined
      ? ''
      : ` (see ${reference.kind} ${keyOf({ ...nameOf(cluster), name: reference.name })})`;
  const message = `waiting for ${clusterText(cluster)}: its infrastructure is not provisioned yet${see}`;
  return hold(BootstrapReason.NotAvailable, message);
}

/** The lock has done its work once there is a control plane (6.2.8). */
async function removeInitLock(ctx: Ctx, { cluster }: BootstrapScope, deps: PhaseDeps): Promise<Step> {
  if (isControlPlaneInitialized(cluster)) await deps.lock.remove(ctx, cluster);
  return next();
}
