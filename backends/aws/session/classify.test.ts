// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { classify } from './classify.ts';
import { AWSRefusal, isRefused } from './session.ts';

const call = { action: 'RunInstances', identity: 'default' };

/** As the SDK throws what a service has answered. */
function answered(code: string, status: number, message = 'A sentence of AWS.'): Error {
  const $fault = status < 500 ? 'client' : 'server';
  return Object.assign(new Error(message), { name: code, $fault, $metadata: { httpStatusCode: status } });
}

describe('what a code means', () => {
  it.each<[string, number, string]>([
    ['RequestLimitExceeded', 503, 'throttled'],
    ['Throttling', 400, 'throttled'],
    ['ThrottlingException', 400, 'throttled'],
    ['TooManyRequestsException', 429, 'throttled'],
    ['InternalError', 500, 'transient'],
    ['Unavailable', 503, 'transient'],
    ['SomethingNew', 500, 'transient'],
    ['ConcurrentTagAccess', 400, 'transient'],
    ['ScalingActivityInProgress', 400, 'transient'],
    ['RequestExpired', 400, 'expired'],
    ['RequestTimeTooSkewed', 403, 'expired'],
    ['ExpiredToken', 403, 'credentials'],
    ['ExpiredTokenException', 400, 'credentials'],
    ['InvalidClientTokenId', 403, 'credentials'],
    ['UnrecognizedClientException', 400, 'credentials'],
    ['SignatureDoesNotMatch', 403, 'credentials'],
  ])('%s (%i): %s, and nothing is known of what was done', (code, status, kind) => {
    const failure = classify(answered(code, status), call);
    expect(failure).toMatchObject({ kind, code });
    expect(failure.error).toBeInstanceOf(TransientError);
    expect(failure.error.message).toBe('RunInstances: A sentence of AWS');
  });

  it.each<[string, number, string]>([
    ['InsufficientInstanceCapacity', 500, 'CapacityUnavailable'],
    ['Server.InsufficientInstanceCapacity', 500, 'CapacityUnavailable'],
    ['InsufficientHostCapacity', 500, 'CapacityUnavailable'],
    ['InsufficientFreeAddressesInSubnet', 400, 'CapacityUnavailable'],
    ['SpotMaxPriceTooLow', 400, 'CapacityUnavailable'],
    ['VcpuLimitExceeded', 400, 'QuotaExceeded'],
    ['InstanceLimitExceeded', 400, 'QuotaExceeded'],
    ['MaxSpotInstanceCountExceeded', 400, 'QuotaExceeded'],
    ['AddressLimitExceeded', 400, 'QuotaExceeded'],
    ['TooManyTargetGroups', 400, 'QuotaExceeded'],
    ['LimitExceededException', 400, 'QuotaExceeded'],
    ['UnauthorizedOperation', 403, 'CloudAccessDenied'],
    ['Client.UnauthorizedOperation', 403, 'CloudAccessDenied'],
    ['AccessDenied', 403, 'CloudAccessDenied'],
    ['AccessDeniedException', 400, 'CloudAccessDenied'],
    ['InvalidParameterValue', 400, 'CloudRequestRefused'],
    ['InvalidSubnetID.NotFound', 400, 'CloudRequestRefused'],
    ['IdempotentParameterMismatch', 400, 'CloudRequestRefused'],
    ['Unsupported', 400, 'CloudRequestRefused'],
  ])('%s (%i): %s, and nothing was done', (code, status, reason) => {
    const { kind, error } = classify(answered(code, status), call);
    expect(kind).toBe('refused');
    expect(error).toBeInstanceOf(AWSRefusal);
    expect(error).toMatchObject({
      reason,
      action: 'RunInstances',
      code: code.replace(/^(Server|Client)\./, ''),
    });
    expect(error.message).toContain('A sentence of AWS');
    expect(error.message).toContain('RunInstances');
  });

  it.each<[string, string, string]>([
    ['AuthFailure', 'AWS was not able to validate the provided access credentials', 'credentials'],
    ['AuthFailure', 'Not authorized for images: [ami-1]', 'refused'],
    ['SignatureDoesNotMatch', 'Signature expired: 20260101T000000Z is now earlier than ...', 'expired'],
    ['SignatureDoesNotMatch', 'The request signature we calculated does not match', 'credentials'],
  ])('%s "%s": %s', (code, message, kind) => {
    expect(classify(answered(code, 403, message), call).kind).toBe(kind);
  });

  it('an instance type that a zone does not have is a lack of capacity: another offer may do', () => {
    const message =
      'Your requested instance type (m9.x) is not supported in your requested Availability Zone (a).';
    expect(classify(answered('Unsupported', 400, message), call).error).toMatchObject({
      reason: 'CapacityUnavailable',
    });
  });
});

describe('no answer', () => {
  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'CERT_HAS_EXPIRED'])('%s', (code) => {
    const error = Object.assign(new Error(`connect ${code} 10.0.0.1:443`), { code });
    expect(classify(error, call)).toMatchObject({
      ...{ kind: 'transient', code: 'Network' },
      error: {
        name: 'TransientError',
        message: `RunInstances: no answer from AWS (${code})`,
        cause: { code },
      },
    });
  });

  it('an end of the caller or of the time', () => {
    for (const name of ['AbortError', 'TimeoutError']) {
      const failure = classify(Object.assign(new Error('x'), { name }), call);
      expect(failure.code).toBe('Network');
      expect(failure.error).toBeInstanceOf(TransientError);
      expect(failure.error.message).toBe(`RunInstances: no answer in time from AWS (${name})`);
    }
  });

  it('an error of which nothing is known: what it quotes stays out', () => {
    const { error, kind } = classify(new TypeError('cannot read UserData=c2VjcmV0'), call);
    expect(kind).toBe('transient');
    expect(error.message).toBe('RunInstances: no answer from AWS (TypeError)');
    expect(error.cause).toBeUndefined();
    expect(classify('text', call).error).toBeInstanceOf(TransientError);
  });

  it('an answer that is not of AWS, such as a page of a proxy, decides nothing', () => {
    const page = Object.assign(new SyntaxError('char "<" is not expected'), {
      $response: { statusCode: 403 },
    });
    expect(classify(page, call)).toMatchObject({ kind: 'transient', code: 'HTTP403' });
    expect(classify(answered('UnknownError', 407), call)).toMatchObject({
      kind: 'transient',
      code: 'HTTP407',
    });
  });
});

describe('a message', () => {
  it('of a denial names the action, the identity and the way out, and not the encoded request', () => {
    const long = 'Encoded authorization failure message: 5WZyN2kf_ABC-def';
    const { error } = classify(
      answered('UnauthorizedOperation', 403, `You are not authorized.\n ${long}`),
      call,
    );
    expect(error.message).toBe(
      'RunInstances: TSClusterIdentity "default" may not do this: You are not authorized (UnauthorizedOperation); ' +
        'give it the policy that "ts-provider aws iam-policy" prints',
    );
  });

  it('is one line of a bounded length', () => {
    const { error } = classify(answered('InvalidParameterValue', 400, `a\nb\t${'c'.repeat(5_000)}`), call);
    expect(error.message).toMatch(/^RunInstances: a b c+… \(InvalidParameterValue\)$/);
    expect(error.message.length).toBeLessThan(600);
  });
});

it('a code that ends in a dot stands for all that begin with it', () => {
  const { error } = classify(answered('InvalidSubnetID.NotFound', 400), call);
  expect(isRefused(error, 'InvalidSubnetID.')).toBe(true);
  expect(isRefused(error, 'InvalidSubnetID')).toBe(false);
  expect(isRefused(error, 'Other', 'InvalidSubnetID.NotFound')).toBe(true);
});
