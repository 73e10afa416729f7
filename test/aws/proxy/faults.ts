// SPDX-License-Identifier: Apache-2.0
// Faults on demand: what fails, how, and for how long.
import { APIError, type APIRequest, type Dialect } from './protocol.ts';

/** Which calls a fault hits. Nothing said: all of them, until it is removed. */
export interface FaultTarget {
  /** `elasticloadbalancing`. */
  readonly service?: string;
  readonly action?: string;
  readonly actions?: readonly string[];
  /** All of these parameters have these values: `{ SubnetId: 'subnet-1' }`. */
  readonly params?: Readonly<Record<string, string>>;
  /** Lets the first ones pass. */
  readonly skip?: number;
  /** Ends after so many hits. */
  readonly times?: number;
  /** Ends so long after it was added. */
  readonly forMs?: number;
  /** The share of calls that it hits, 0 to 1, spread evenly and the same in every run. */
  readonly rate?: number;
}

export type FaultKind =
  /** RequestLimitExceeded of EC2, Throttling of the others. */
  | { readonly kind: 'throttle' }
  | { readonly kind: 'serverError'; readonly status?: 500 | 503 }
  /** Done, but the connection ends before the answer. */
  | { readonly kind: 'lostResponse' }
  /** The connection ends, and nothing was done. */
  | { readonly kind: 'lostRequest' }
  /** Waits before it is done, or after. */
  | { readonly kind: 'slow'; readonly delayMs: number; readonly before?: 'request' | 'answer' }
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string }
  /** A session that has ended. */
  | { readonly kind: 'expiredCredentials' }
  /** A key that does not exist or was deleted. */
  | { readonly kind: 'invalidCredentials' }
  /** The whole service answers 503. Say which `service`. */
  | { readonly kind: 'serviceDown' };

export type Fault = FaultTarget & FaultKind;

export interface FaultHandle {
  /** How many calls it has hit. */
  hits(): number;
  remove(): void;
}

export interface Faults {
  add(fault: Fault): FaultHandle;
  /** Removes all. */
  clear(): void;
  /** Those that hit this call: any number of slow ones, and at most one other. Counts the hits. */
  take(request: APIRequest): FaultKind[];
}

interface Active {
  readonly fault: Fault;
  readonly until: number;
  seen: number;
  hits: number;
}

/** No faults. `now` gives milliseconds. */
export function faultList(now: () => number): Faults {
  const active = new Set<Active>();
  return {
    add(fault) {
      const entry = { fault, until: now() + (fault.forMs ?? Infinity), seen: 0, hits: 0 };
      active.add(entry);
      return { hits: () => entry.hits, remove: () => void active.delete(entry) };
    },
    clear: () => active.clear(),
    take(request) {
      const taken: FaultKind[] = [];
      for (const entry of active) {
        if (now() >= entry.until) active.delete(entry);
        else if (isFirstOther(taken, entry.fault) && hits(entry, request)) taken.push(entry.fault);
        if (entry.hits >= (entry.fault.times ?? Infinity)) active.delete(entry);
      }
      return taken;
    },
  };
}

function isFirstOther(taken: readonly FaultKind[], fault: Fault): boolean {
  return fault.kind === 'slow' || !taken.some(({ kind }) => kind !== 'slow');
}

function hits(entry: Active, request: APIRequest): boolean {
  const { fault } = entry;
  if (!isTarget(fault, request)) return false;
  entry.seen++;
  const after = entry.seen - (fault.skip ?? 0);
  if (after <= 0) return false;
  const rate = fault.rate ?? 1;
  // Whole numbers are passed `rate` times as often as calls come.
  if (Math.floor(after * rate) === Math.floor((after - 1) * rate)) return false;
  entry.hits++;
  return true;
}

function isTarget(fault: FaultTarget, { service, action, params }: APIRequest): boolean {
  const actions = [...(fault.actions ?? []), ...(fault.action === undefined ? [] : [fault.action])];
  if (fault.service !== undefined && fault.service !== service) return false;
  if (actions.length > 0 && !actions.includes(action)) return false;
  return Object.entries(fault.params ?? {}).every(([name, value]) => params.get(name) === value);
}

/** What the service answers for a fault that is an answer; `undefined` for the others. */
export function faultError(fault: FaultKind, dialect: Dialect): APIError | undefined {
  if (fault.kind === 'error') return new APIError(fault.status, fault.code, fault.message);
  if (fault.kind === 'serverError') return failed(dialect, fault.status ?? 500);
  return ERRORS[fault.kind]?.(dialect);
}

const ERRORS: Readonly<Partial<Record<FaultKind['kind'], (dialect: Dialect) => APIError>>> = {
  throttle: throttled,
  serviceDown: unavailable,
  expiredCredentials: expired,
  invalidCredentials: invalid,
};

function failed(dialect: Dialect, status: 500 | 503): APIError {
  if (status === 503) return unavailable(dialect);
  const code = dialect === 'ec2' ? 'InternalError' : 'InternalFailure';
  return new APIError(500, code, 'An internal error has occurred');
}

function throttled(dialect: Dialect): APIError {
  if (dialect === 'ec2') return new APIError(503, 'RequestLimitExceeded', 'Request limit exceeded.');
  return new APIError(400, dialect === 'json' ? 'ThrottlingException' : 'Throttling', 'Rate exceeded');
}

function unavailable(dialect: Dialect): APIError {
  const message = 'The service is unavailable. Please try again shortly.';
  return new APIError(503, dialect === 'ec2' ? 'Unavailable' : 'ServiceUnavailable', message);
}

function expired(dialect: Dialect): APIError {
  if (dialect === 'ec2') return new APIError(400, 'RequestExpired', 'Request has expired.');
  const message = 'The security token included in the request is expired';
  if (dialect === 'json') return new APIError(400, 'ExpiredTokenException', message);
  return new APIError(403, 'ExpiredToken', message);
}

function invalid(dialect: Dialect): APIError {
  if (dialect === 'ec2')
    return new APIError(401, 'AuthFailure', 'AWS was not able to validate the provided access credentials');
  const message = 'The security token included in the request is invalid.';
  if (dialect === 'json') return new APIError(400, 'UnrecognizedClientException', message);
  return new APIError(403, 'InvalidClientTokenId', message);
}

/** AWS refuses what was signed more than five minutes from its own time. */
export const MAX_SKEW_MS = 5 * 60_000;

/** What the service answers to a request whose signature is of another time; `undefined` when it is in time. */
export function skewError({ dialect, signedAt }: APIRequest, now: number): APIError | undefined {
  if (signedAt === undefined || Math.abs(now - signedAt) <= MAX_SKEW_MS) return undefined;
  if (dialect === 'ec2') return new APIError(400, 'RequestExpired', 'Request has expired.');
  const message = 'Signature expired: it is not within 5 minutes of the time of the service';
  if (dialect === 'json') return new APIError(400, 'InvalidSignatureException', message);
  return new APIError(403, 'SignatureDoesNotMatch', message);
}
