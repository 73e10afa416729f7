// SPDX-License-Identifier: Apache-2.0

/** A providerID taken apart: which backend made the instance, and what the backend calls it. */
export interface ProviderID {
  readonly backend: 'inMemory';
  /** Unique to the instance, never reused. */
  readonly instanceID: string;
}

const IN_MEMORY_SCHEME = 'tsinmemory://';

/** Lower case, so that no part of the way can change it (PIT-1). */
const INSTANCE_ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The providerID of an in-memory instance, `tsinmemory://<instance id>`. Both the TSMachine and the Node get it from here
 * (IM-2). Throws a RangeError for an id that is not a lower case DNS label.
 */
export function inMemoryProviderID(instanceID: string): string {
  if (!INSTANCE_ID.test(instanceID))
    throw new RangeError(`"${instanceID}" is not an instance id: use a lower case DNS label`);
  return IN_MEMORY_SCHEME + instanceID;
}

/** The inverse; `undefined` for a providerID that no backend of ours makes. */
export function parseProviderID(providerID: string): ProviderID | undefined {
  if (!providerID.startsWith(IN_MEMORY_SCHEME)) return undefined;
  const instanceID = providerID.slice(IN_MEMORY_SCHEME.length);
  return INSTANCE_ID.test(instanceID) ? { backend: 'inMemory', instanceID } : undefined;
}
