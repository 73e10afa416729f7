// SPDX-License-Identifier: Apache-2.0
// What the API server's audit log says about who did what, in which order.
import { readFileSync } from 'node:fs';
import { PROVIDER_ACCOUNT } from '../../hack/stack/provider.ts';

/** One request that was answered. */
export interface Request {
  /** `patch`, `list`, `watch`, ... */
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `tsmachines/status`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  /** HTTP status of the answer. */
  readonly code: number;
}

interface AuditEvent {
  stage: string;
  verb: string;
  user: { username: string };
  objectRef?: {
    apiGroup?: string;
    resource?: string;
    subresource?: string;
    namespace?: string;
    name?: string;
  };
  responseStatus?: { code?: number };
}

/** The user name of our manager. */
export const OUR_USER = userOf(PROVIDER_ACCOUNT);

/** The user name of a service account. */
export function userOf({ namespace, name }: { namespace: string; name: string }): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

/** All requests so far, in the order of their answers. A long-running one (watch) counts from its first answer. */
export function readAuditLog(file: string): Request[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  // The last line may be half written.
  return lines.slice(0, -1).flatMap((line) => {
    const event = JSON.parse(line) as AuditEvent;
    return event.stage === 'ResponseStarted' || event.stage === 'ResponseComplete' ? [requestOf(event)] : [];
  });
}

function requestOf({ verb, user, objectRef = {}, responseStatus }: AuditEvent): Request {
  const { apiGroup = '', resource = '', subresource, namespace = '', name = '' } = objectRef;
  return {
    verb,
    group: apiGroup,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    user: user.username,
    code: responseStatus?.code ?? 0,
  };
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** What our manager wrote to the management cluster, as `patch tsmachines/status ns/name`; the lease and events left out. */
export function ourWrites(requests: readonly Request[]): string[] {
  return requests
    .filter(({ user, verb, resource }) => user === OUR_USER && WRITES.has(verb) && resource !== 'leases')
    .filter(({ resource }) => resource !== 'events')
    .map(({ verb, resource, namespace, name }) => `${verb} ${resource} ${namespace}/${name}`);
}

/** What our manager asked for and may not do. */
export function ourRefusals(requests: readonly Request[]): string[] {
  return requests
    .filter(({ user, code }) => user === OUR_USER && (code === 401 || code === 403))
    .map(({ verb, group, resource, code }) => `${code} ${verb} ${resource}.${group}`);
}
