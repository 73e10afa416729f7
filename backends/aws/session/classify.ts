// SPDX-License-Identifier: Apache-2.0
// What an answer of AWS means, said once for all calls.
import { Reason } from '../../../api/conditions.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { AWSRefusal } from './session.ts';

/** A call that has failed. */
export interface FailedCall {
  /** Such as RunInstances. */
  readonly action: string;
  /** Name of the TSClusterIdentity. */
  readonly identity: string;
}

/**
 * What follows for the session. `throttled` is for the budget, `credentials` and `expired` for the credentials: an expired request may
 * be an expired session or a wrong clock, AWS says the same of both.
 */
export interface Failure {
  readonly kind: 'throttled' | 'credentials' | 'expired' | 'transient' | 'refused';
  /** AWS' code without prefix, `HTTP<status>` for an answer that is not of AWS, or `Network`. */
  readonly code: string;
  /** What the caller of the session gets. */
  readonly error: TransientError | AWSRefusal;
}

/** {@link Failure.code} of a call that had no answer. */
export const NO_ANSWER = 'Network';

const THROTTLED: ReadonlySet<string> = new Set([
  ...['RequestLimitExceeded', 'Throttling', 'ThrottlingException', 'ThrottledException'],
  ...['RequestThrottled', 'RequestThrottledException', 'EC2ThrottledException', 'TooManyRequestsException'],
  ...['SlowDown', 'BandwidthLimitExceeded', 'PriorRequestNotComplete', 'DependencyThrottle'],
  'ProvisionedThroughputExceededException',
]);

/** 4xx that heal alone. */
const TRANSIENT: ReadonlySet<string> = new Set([
  ...['InternalError', 'InternalFailure', 'Unavailable', 'ServiceUnavailable', 'RequestTimeout'],
  ...['RequestTimeoutException', 'ConcurrentTagAccess', 'ResourceContention', 'ScalingActivityInProgress'],
  ...['TransactionInProgressException', 'OperationInProgress'],
]);

const EXPIRED: ReadonlySet<string> = new Set([
  ...['RequestExpired', 'RequestTimeTooSkewed', 'RequestInTheFuture'],
]);

const CREDENTIALS: ReadonlySet<string> = new Set([
  ...['ExpiredToken', 'ExpiredTokenException', 'InvalidClientTokenId', 'InvalidToken', 'InvalidAccessKeyId'],
  ...['UnrecognizedClientException', 'SignatureDoesNotMatch', 'InvalidSignatureException'],
  ...['MissingAuthenticationToken', 'MissingAuthenticationTokenException', 'IncompleteSignature'],
]);

const DENIED: ReadonlySet<string> = new Set([
  ...['UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException', 'NotAuthorized', 'AuthFailure'],
  ...['UnauthorizedAccess', 'OperationNotPermittedException'],
]);

/** Some are HTTP 500, and definite all the same. */
const CAPACITY: ReadonlySet<string> = new Set([
  ...['InsufficientInstanceCapacity', 'InsufficientHostCapacity', 'InsufficientCapacity'],
  ...['InsufficientReservedInstanceCapacity', 'InsufficientCapacityOnHost', 'InsufficientCapacityOnOutpost'],
  ...['InsufficientVolumeCapacity', 'InsufficientAddressCapacity', 'InsufficientFreeAddressesInSubnet'],
  ...['ReservationCapacityExceeded', 'UnfulfillableCapacity', 'SpotMaxPriceTooLow'],
]);

const QUOTA =
  /(LimitExceeded|LimitExceededException|LimitExceededFault)$|^TooMany\w+$|^MaxSpotInstanceCountExceeded$/;

/** Classifies what an SDK client has thrown. */
export function classify(error: unknown, call: FailedCall): Failure {
  const answer = answerOf(error);
  if (answer === undefined) return withoutAnswer(error, call);
  const { code, status } = answer;
  const sentence = `${call.action}: ${answer.sentence}`;
  const transient = (kind: Failure['kind'], retryAfterMs?: number): Failure => ({
    kind,
    code,
    error: new TransientError(sentence, { ...(retryAfterMs !== undefined && { retryAfterMs }) }),
  });
  const kind = kindOf(answer);
  if (kind !== undefined)
    return transient(kind, kind === 'credentials' || kind === 'expired' ? 1_000 : undefined);
  const reason = definiteReason(answer);
  if (reason === undefined && (status >= 500 || !answer.ofAWS)) return transient('transient');
  return { kind: 'refused', code, error: refusal(answer, reason, call) };
}

interface Answer {
  readonly code: string;
  readonly status: number;
  /** One line for people, without what was sent. */
  readonly sentence: string;
  /** AWS has said a code; a proxy on the way, or a page of HTML, has not. */
  readonly ofAWS: boolean;
}

interface SDKError extends Error {
  readonly $fault?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number };
}

function answerOf(error: unknown): Answer | undefined {
  if (!(error instanceof Error)) return undefined;
  const { $fault, $metadata, $response, name, message } = error as SDKError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  if (status === undefined) return undefined;
  const code = name.replace(/^(Server|Client)\./, '');
  if ($fault === undefined || status < 400 || /^(Unknown|UnknownError|Error|SyntaxError)$/.test(code)) {
    const sentence = `an answer that is not of AWS (HTTP ${status})`;
    return { code: `HTTP${status}`, status, sentence, ofAWS: false };
  }
  return { code, status, sentence: oneLine(message) || code, ofAWS: true };
}

function kindOf({
  code,
  sentence,
}: Answer): 'throttled' | 'credentials' | 'expired' | 'transient' | undefined {
  if (THROTTLED.has(code)) return 'throttled';
  if (TRANSIENT.has(code)) return 'transient';
  // "Signature expired: ... is now earlier than ..." and "Signature not yet current" are said of a clock, not of a key.
  if (EXPIRED.has(code) || /^Signature (expired|not yet current)/.test(sentence)) return 'expired';
  if (CREDENTIALS.has(code)) return 'credentials';
  // EC2 says AuthFailure of credentials that it does not know, and of images that are somebody else's.
  if (code === 'AuthFailure' && /access credentials/.test(sentence)) return 'credentials';
  return undefined;
}

function definiteReason({ code, sentence }: Answer): string | undefined {
  if (CAPACITY.has(code)) return Reason.CapacityUnavailable;
  // The instance type is not offered in that zone: another offer may be.
  if (code === 'Unsupported' && /Availability Zone/i.test(sentence)) return Reason.CapacityUnavailable;
  if (QUOTA.test(code)) return Reason.QuotaExceeded;
  return DENIED.has(code) ? Reason.CloudAccessDenied : undefined;
}

function refusal(answer: Answer, reason: string | undefined, { action, identity }: FailedCall): AWSRefusal {
  const { code, sentence } = answer;
  const message =
    reason === Reason.CloudAccessDenied
      ? `${action}: TSClusterIdentity "${identity}" may not do this: ${sentence} (${code}); ` +
        'give it the policy that "ts-provider aws iam-policy" prints'
      : `${action}: ${sentence} (${code})`;
  return new AWSRefusal({ reason: reason ?? Reason.CloudRequestRefused, action, code, message });
}

function withoutAnswer(error: unknown, { action }: FailedCall): Failure {
  const { name, code } = (error ?? {}) as { name?: string; code?: string };
  const what = name === 'AbortError' || name === 'TimeoutError' ? 'no answer in time' : 'no answer';
  // Node's message of a connection that fails names the address; what else an SDK throws may quote what was sent.
  const how = code === undefined ? (name ?? 'unknown error') : code;
  const message = `${action}: ${what} from AWS (${how})`;
  return {
    kind: 'transient',
    code: NO_ANSWER,
    error: new TransientError(message, { cause: causeOf(error) }),
  };
}

/** Only what a caller may have to tell apart: the error of Node. */
function causeOf(error: unknown): unknown {
  const { code, hostname } = (error ?? {}) as { code?: string; hostname?: string };
  if (typeof code !== 'string') return undefined;
  return Object.assign(new Error(hostname === undefined ? code : `${hostname}: ${code}`), { code });
}

const MAX_SENTENCE = 500;

/** AWS adds the request, encoded, to what it does not allow. It is of no use to a reader, and long. */
function oneLine(message: string): string {
  const line = message
    .replace(/\s*Encoded authorization failure message:\s*\S+/i, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return line.length > MAX_SENTENCE ? `${line.slice(0, MAX_SENTENCE)}…` : line;
}
