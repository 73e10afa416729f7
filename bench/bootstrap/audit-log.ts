// SPDX-License-Identifier: Apache-2.0
// What an API server's audit log (level Metadata) says: who asked for what, when, and with which answer.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** One request that was answered. */
export interface Request {
  /** When it came in, milliseconds since the epoch. */
  readonly atMs: number;
  readonly user: string;
  /** `patch`, `list`, `watch`, ... */
  readonly verb: string;
  /** Plural with the subresource, `kubeadmconfigs/status`; the path for what is no resource, `/version`. */
  readonly resource: string;
  readonly namespace: string;
  /** Also of an object that is created. */
  readonly name: string;
  /** HTTP status of the answer. */
  readonly code: number;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

/** One entry per request: a watch has two events in the log, and counts from its first. A last line that is half written is left out. */
export function parseAuditLog(text: string): Request[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(isAnswer)
    .map(requestOf);
}

/** All requests of a log that grows; each call reads only what is new. */
export function followAuditLog(file: string): () => readonly Request[] {
  const requests: Request[] = [];
  let offset = 0;
  return () => {
    const text = readFrom(file, offset);
    const whole = text.subarray(0, text.lastIndexOf('\n') + 1);
    for (const request of parseAuditLog(whole.toString())) requests.push(request);
    offset += whole.length;
    return requests;
  };
}

function readFrom(file: string, offset: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - offset));
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(descriptor);
  }
}

function isAnswer({ stage, verb }: AuditEvent): boolean {
  return stage === (verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete');
}

function requestOf(event: AuditEvent): Request {
  const { resource, subresource, namespace = '', name = '' } = event.objectRef ?? {};
  const plural = resource ?? event.requestURI.split('?')[0] ?? '';
  return {
    atMs: Date.parse(event.requestReceivedTimestamp),
    user: event.user.username,
    verb: event.verb,
    resource: subresource === undefined ? plural : `${plural}/${subresource}`,
    namespace,
    name,
    code: event.responseStatus?.code ?? 0,
  };
}

/** A stretch of time, milliseconds since the epoch; `toMs` is not in it. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The requests of a stretch of time. */
export function within(requests: readonly Request[], { fromMs, toMs }: Window): Request[] {
  return requests.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
}

/** Requests that are neither a watch nor about a Lease: those come with the clock, whatever the work. */
export function ofWork(requests: readonly Request[]): Request[] {
  return requests.filter(({ verb, resource }) => verb !== 'watch' && resource !== 'leases');
}

/** How many by verb and resource: `patch kubeadmconfigs/status` -> 5. */
export function byVerb(requests: readonly Request[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { verb, resource } of requests) {
    const key = `${verb} ${resource}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Requests that were answered with an error. */
export function failed(requests: readonly Request[]): Request[] {
  return requests.filter(({ code }) => code >= 400);
}

const WRITES = new Set(['create', 'update', 'patch']);

/** Bootstrap tokens that were made in a workload cluster (KB-21). */
export function tokensMade(requests: readonly Request[]): number {
  return requests.filter(
    ({ verb, resource, namespace, name, code }) =>
      verb === 'create' &&
      resource === 'secrets' &&
      namespace === 'kube-system' &&
      name.startsWith('bootstrap-token-') &&
      code < 300,
  ).length;
}

/** Writes of the Secrets of these names that succeeded, the first of each included. */
export function secretWrites(requests: readonly Request[], names: ReadonlySet<string>): number {
  return requests.filter(
    ({ verb, resource, name, code }) =>
      WRITES.has(verb) && resource === 'secrets' && names.has(name) && code < 300,
  ).length;
}
