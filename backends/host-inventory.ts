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

/** The hosts of a namespace. */
export interface HostInventory {
  /** From the cache: may be a little old. */
  list(namespace: string): readonly InventoryHost[];
  /** From the API server: for what must not be concluded from an old copy. */
  listNow(ctx: Ctx, namespace: string): Promise<readonly InventoryHost[]>;
  /** Writes the claim if the host is still as it was seen (compare-and-swap by resourceVersion). `undefined`: somebody was faster. */
  setClaim(ctx: Ctx, host: InventoryHost, claim: HostClaim): Promise<InventoryHost | undefined>;
}

/** The part of a providerID that is the machine's own: the first eight hex digits of the client token's SHA-256. */
export function instanceIDOf(clientToken: string): string {
  return createHash('sha256').update(clientToken).digest('hex').slice(0, 8);
}
