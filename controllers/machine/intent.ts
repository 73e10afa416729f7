// SPDX-License-Identifier: Apache-2.0
import { createHash, randomUUID } from 'node:crypto';
import type { BootstrapData, CreateIntent, MachineFacts } from '../../backends/backend.ts';

/**
 * The intent for the next create call. The recorded one is kept while it says the same request; another request gets a new
 * attempt with a new token. Only call it once the backend has answered that the last attempt made nothing (invariant 2).
 */
export function nextIntent(machine: MachineFacts, data: BootstrapData): CreateIntent {
  const hash = requestHash(machine, data);
  if (machine.intent?.requestHash === hash) return machine.intent;
  return { attempt: (machine.intent?.attempt ?? 0) + 1, clientToken: randomUUID(), requestHash: hash };
}

/** SHA-256 of everything that decides what is made: the machine's settings, its place, its version and its bootstrap data. */
function requestHash(machine: MachineFacts, data: BootstrapData): string {
  const settings = { ...machine.spec, providerID: undefined, createIntent: undefined };
  const request = [
    settings,
    machine.failureDomain ?? null,
    machine.version ?? null,
    machine.controlPlane,
    data.format,
  ];
  return createHash('sha256').update(stableJSON(request)).update('\0').update(data.value).digest('hex');
}

/** JSON with sorted keys: the same settings give the same hash, in whatever order the API server returns them. */
function stableJSON(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
