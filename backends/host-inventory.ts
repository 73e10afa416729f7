// SPDX-License-Identifier: Apache-2.0
// The port through which the machine backend sees the inventory of hosts: plain data, and one compare-and-swap.
import { createHash } from 'node:crypto';
import type { HostClaim, TSHostStatus } from '../api/tshost.ts';
import type { Ctx } from '../runtime/context.ts';

/** A TSHost as a backend may see it. */
export interface InventoryHost {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly failureDomain: string | undefined;
  readonly maintenance: boolean;
  readonly adopt: boolean;
  /** Somebody deletes the TSHost: nobody claims it any more. */
  readonly deleting: boolean;
  readonly claim: HostClaim | undefined;
  readonly status: TSHostStatus;
  /** Guards {@link HostInventory.setClaim}. */
  readonly resourceVersion: string;
}

/** The hosts that there are. */
export interface HostInventory {
  /** From the cache: may be a little old. Without a namespace, all that the manager sees: a copy of a machine may lie in another one. */
  list(namespace?: string): readonly InventoryHost[];
  /** From the API server: for what must not be concluded from an old copy. */
  listNow(ctx: Ctx, namespace: string): Promise<readonly InventoryHost[]>;
  /** Writes the claim if the host is still as it was seen (compare-and-swap by resourceVersion). `undefined`: somebody was faster. */
  setClaim(ctx: Ctx, host: InventoryHost, claim: HostClaim): Promise<InventoryHost | undefined>;
}

/** The part of a providerID that is the machine's own: the first eight hex digits of the client token's SHA-256. */
export function instanceIDOf(clientToken: string): string {
  return createHash('sha256').update(clientToken).digest('hex').slice(0, 8);
}

/** Why nobody can claim a host now, as a word of a count ("3 in maintenance"); `undefined` when somebody can. */
export function unavailability(host: InventoryHost): string | undefined {
  return host.deleting ? 'being deleted' : (taken(host) ?? unusable(host));
}

function taken({ claim, status }: InventoryHost): string | undefined {
  const isCleaned = status.state === 'Releasing' || status.state === 'Cleaning';
  if (claim?.releasing === true || isCleaned) return 'being cleaned';
  return claim?.for === undefined ? undefined : 'claimed';
}

function unusable({ maintenance, status }: InventoryHost): string | undefined {
  if (status.state === 'Quarantined') return 'quarantined';
  if (maintenance || status.operationalStatus === 'Maintenance') return 'in maintenance';
  if (status.operationalStatus === 'Unreachable') return 'unreachable';
  // The way to it is broken, such as by a wrong key: nothing would come of claiming it.
  if (status.error !== undefined) return 'with an error';
  const isReady = status.state === 'Available' && status.operationalStatus === 'OK';
  return isReady ? undefined : 'not registered yet';
}

/** Each host under its one reason, the most frequent first: "12 hosts: 5 claimed, 4 with other labels, 3 in maintenance". */
export function countedReasons(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts]
    .sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1))
    .map(([reason, count]) => `${count} ${reason}`);
  return `${reasons.length} ${reasons.length === 1 ? 'host' : 'hosts'}: ${parts.join(', ')}`;
}
