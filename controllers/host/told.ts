// SPDX-License-Identifier: Apache-2.0
// The Events of a TSHost: what a person has to act on, and its end. Normal life has conditions only: writes are scarce. Pure.
import { ConditionType, Reason } from '../../api/conditions.ts';
import type { TSHost, TSHostStatus } from '../../api/tshost.ts';
import { getCondition } from '../../runtime/conditions.ts';
import type { EventContent } from '../../runtime/events.ts';
import { fingerprintOf } from './host-keys.ts';

/** The part of a host that Events are about. */
export interface Told {
  readonly status: TSHostStatus | undefined;
  readonly hostKeys: readonly string[];
}

/** What Events compare, as it is now. */
export function toldOf({ spec: { ssh }, status }: TSHost): Told {
  const hostKeys = [...(ssh.hostKeys ?? []), ...(ssh.bastion?.hostKeys ?? [])];
  return structuredClone({ status, hostKeys });
}

/** The Events that a write deserves; `before` is what was told last. */
export function newEvents(before: Told, object: TSHost): EventContent[] {
  const after = toldOf(object);
  const keys = after.hostKeys.filter((key) => !before.hostKeys.includes(key));
  return [
    ...keys.map((key) => {
      const note = `The host key ${fingerprintOf(key)} was trusted on first use and is pinned now`;
      return warning(Reason.TrustedOnFirstUse, note);
    }),
    ...newError(before.status, after.status),
    ...newReachability(before.status, after.status),
  ];
}

function newError(before: Told['status'], after: Told['status']): EventContent[] {
  const error = after?.error;
  if (error === undefined || error.reason === before?.error?.reason) return [];
  return [warning(error.reason, error.message)];
}

function newReachability(before: Told['status'], after: Told['status']): EventContent[] {
  const [was, is] = [before?.operationalStatus, after?.operationalStatus];
  if (is === 'Unreachable' && was !== is) {
    const reachable = getCondition(after?.conditions, ConditionType.Reachable);
    return [warning(Reason.HostUnreachable, reachable?.message ?? '')];
  }
  if (is !== 'OK' || was !== 'Unreachable') return [];
  const note = 'The host answers again';
  return [{ type: 'Normal', reason: Reason.HostReachable, action: 'Reconcile', note }];
}

function warning(reason: string, note: string): EventContent {
  return { type: 'Warning', reason, action: 'Reconcile', note };
}
