// SPDX-License-Identifier: Apache-2.0
// The end of the ladder: the owner of the Machine replaces it. And what is taken back when the remediation itself goes.
import { MachineKind } from '../../api/kinds.ts';
import type { Machine } from '../../api/cluster-api.ts';
import { ConditionType, Reason } from '../../api/conditions.ts';
import { isDeleting } from '../../contract/served.ts';
import { getCondition, setCondition } from '../../runtime/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import { nameOf } from '../../runtime/object.ts';
import { withdraw, withdrawReboot } from './asks.ts';
import { returnToService } from './evacuation.ts';
import type { Move, PhaseDeps, RemediationScope } from './scope.ts';

/** Condition of a Machine that its owner waits for before it replaces the Machine (MHC-4, KCP-14). */
const OWNER_REMEDIATED = 'OwnerRemediated';

/** Somebody may take the condition off again. */
const POLL_MS = 300_000;

/** Takes back what was asked of the host, then says on the Machine that its owner may replace it. */
export async function handOver(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<Move> {
  const { object, host, live } = scope;
  if (host !== undefined) await withdraw(ctx, deps, host);
  const before = getCondition(object.status?.conditions, ConditionType.Remediated);
  const message = before?.reason === Reason.HandedOver ? before.message : 'The machine could not be repaired';
  if (live !== undefined && !isDeleting(live)) await markMachine(ctx, deps, live, message);
  return { phase: 'HandedOver', reason: Reason.HandedOver, message, waitMs: POLL_MS };
}

async function markMachine(ctx: Ctx, { client }: PhaseDeps, live: Machine, why: string): Promise<void> {
  const present = live.status?.conditions;
  if (getCondition(present, OWNER_REMEDIATED)?.status === 'False') return;
  const verdict = { type: OWNER_REMEDIATED, status: 'False', reason: 'WaitingForRemediation' } as const;
  const message = `TSRemediation has handed the Machine over: ${why}`;
  const conditions = setCondition(present, { ...verdict, message }, ctx.clock.now());
  ctx.log.info({}, 'Handing the Machine over to its owner');
  const { resourceVersion } = live.metadata;
  const body = { metadata: { resourceVersion }, status: { conditions } };
  await client.patch(MachineKind, nameOf(live), body, { subresource: 'status', signal: ctx.signal });
}

/**
 * '' when nothing is left of what was done, else what it waits for. A host is not rebooted for nobody, whatever else there is to wait for;
 * the kubelet starts after the Node is in service. With a machine that goes away the Node goes, and its host is cleaned: its kubelet is
 * then better not started any more.
 */
export async function takeBack(ctx: Ctx, scope: RemediationScope, deps: PhaseDeps): Promise<string> {
  const { host, live, cluster } = scope;
  if (host === undefined) return '';
  const now = await withdrawReboot(ctx, deps, host);
  if ([live, cluster].some((one) => one === undefined || isDeleting(one))) return '';
  const worked = await returnToService(ctx, scope, deps);
  if ('trouble' in worked) return worked.trouble;
  await withdraw(ctx, deps, now);
  return '';
}
