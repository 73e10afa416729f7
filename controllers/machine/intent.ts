// SPDX-License-Identifier: Apache-2.0
import { createHash, randomUUID } from 'node:crypto';
import type { BootstrapData, CreateIntent, MachineFacts, Planned } from '../../backends/backend.ts';

/**
 * The intent for the next create call. The recorded one is kept while it says the same request; another request gets a new
 * attempt with a new token. Only call it once the backend has answered that the last attempt made nothing (invariant 2): by
 * `observe`, or for a {@link import('../../backends/backend.ts').Planning} backend, whose look-ups come late, by `planned.refused`.
 */
export function nextIntent(
  machine: MachineFacts,
  data: BootstrapData,
  planned?: Extract<Planned, { state: 'planned' }>,
): CreateIntent {
  const { intent } = machine;
  if (intent !== undefined && planned?.refused === false) return intent;
  const hash = requestHash(machine, data, planned?.choice);
  if (intent?.requestHash === hash) return intent;
  return {
    attempt: (intent?.attempt ?? 0) + 1,
    clientToken: randomUUID(),
    requestHash: hash,
    ...(planned !== undefined && { choice: planned.choice }),
  };
}

/** SHA-256 of everything that decides what is made: the machine's settings, its place, its version, its bootstrap data, the choice. */
function requestHash(machine: MachineFacts, data: BootstrapData, choice: CreateIntent['choice']): string {
  const settings = { ...machine.spec, providerID: undefined, createIntent: undefined };
  const request = [
    settings,
    machine.failureDomain ?? null,
    machine.version ?? null,
    machine.controlPlane,
    data.format,
    ...(choice === undefined ? [] : [choice]),
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
