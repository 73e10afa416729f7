// SPDX-License-Identifier: Apache-2.0
// The inventory as whoever chooses hosts sees it.
import { TSHostKind } from '../../api/kinds.ts';
import { TSHOST_FINALIZER } from '../../api/labels.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { HostInventory, InventoryHost } from '../../backends/host-inventory.ts';
import { isDeleting } from '../../contract/served.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isConflict, isNotFound } from '../../runtime/errors.ts';
import { addFinalizer } from '../../runtime/finalizers.ts';
import type { Cache } from '../../runtime/informer.ts';
import { mergePatch } from '../../runtime/merge-patch.ts';
import { nameOf } from '../../runtime/object.ts';

/** An inventory over the TSHosts of the management cluster; `cache` has to watch them. */
export function createHostInventory(deps: { readonly client: Client; readonly cache: Cache }): HostInventory {
  const { client, cache } = deps;
  return {
    list: (namespace) => cache.list(TSHostKind, namespace).map(inventoryHost),
    async listNow(ctx, namespace) {
      const hosts = await client.list(TSHostKind, { namespace }, ctx.signal);
      // An API server lists one namespace only; this holds for whoever stands in for it, too.
      return hosts.filter((host) => host.metadata.namespace === namespace).map(inventoryHost);
    },
    async setClaim(ctx, host, claim) {
      const before = await asSeen(ctx, host);
      if (before === undefined) return undefined;
      try {
        const body = claimPatch(before, claim);
        const after = await client.patch(TSHostKind, nameOf(before), body, { signal: ctx.signal });
        cache.absorb(TSHostKind, after);
        return inventoryHost(after);
      } catch (error) {
        if (isConflict(error) || isNotFound(error)) return undefined;
        throw error;
      }
    },
  };

  /** The whole object at the version that the caller chose from. */
  async function asSeen(ctx: Ctx, host: InventoryHost): Promise<TSHost | undefined> {
    const isSeen = (one: TSHost | undefined) => one?.metadata.resourceVersion === host.resourceVersion;
    const cached = cache.get(TSHostKind, host);
    if (isSeen(cached)) return cached;
    const now = await client.get(TSHostKind, host, ctx.signal);
    return isSeen(now) ? now : undefined;
  }
}

/** Claim and hold in one write: a TSHost that somebody has does not go before its machine. */
function claimPatch(before: TSHost, claim: HostClaim): unknown {
  const after = structuredClone(before);
  after.spec.claim = claim;
  if (claim.for !== undefined) addFinalizer(after, TSHOST_FINALIZER);
  const { resourceVersion } = before.metadata;
  const changed = mergePatch(changeable(before), changeable(after)) ?? {};
  return { ...changed, metadata: { ...(changed['metadata'] as object | undefined), resourceVersion } };
}

function changeable({ metadata, spec }: TSHost) {
  return { metadata: { finalizers: metadata.finalizers ?? [] }, spec: { claim: spec.claim ?? {} } };
}

function inventoryHost(host: TSHost): InventoryHost {
  const { metadata, spec, status } = host;
  return {
    ...nameOf(host),
    labels: metadata.labels ?? {},
    address: spec.ssh.address,
    failureDomain: spec.failureDomain,
    maintenance: spec.maintenance === true,
    adopt: spec.adopt === true,
    deleting: isDeleting(host),
    claim: spec.claim,
    status: status ?? {},
    resourceVersion: metadata.resourceVersion ?? '',
  };
}
