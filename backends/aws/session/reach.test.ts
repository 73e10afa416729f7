// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DescribeVpcsCommand } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { contextOf } from '../instance/instance.fixtures.ts';
import { type Call, Calls } from './calls.ts';
import { createClients, createConnection, timeoutOf } from './clients.ts';
import { fixedCredentials } from './credentials.ts';
import { NotSentError } from './reach.ts';

const KEYS = { accessKeyId: 'test', secretAccessKey: 'test' };

interface Asked {
  readonly region?: string;
  readonly account?: string;
  readonly service?: Call<string>['service'];
  readonly action?: string;
  readonly signal?: AbortSignal;
}

let clock: FakeClock;
let calls: Calls;
/** Actions that went out. */
let sent: string[];
/** What becomes of a call in eu-dead-1: by default nothing, until it times out. */
let fate: 'silence' | 'answer' | 'reset';

beforeEach(() => {
  clock = new FakeClock();
  calls = new Calls({ clock, metrics: createMetrics(), random: () => 0 });
  sent = [];
  fate = 'silence';
});

function call(asked: Asked = {}): Promise<string> {
  const { region = 'eu-dead-1', account = '1', service = 'ec2', action = 'DescribeVpcs' } = asked;
  const caller = { account, region, identity: 'a', flow: 'ns', credentials: fixedCredentials(KEYS, false) };
  const ctx = { ...contextOf(clock), ...(asked.signal && { signal: asked.signal }) };
  return calls.call(ctx, caller, {
    ...{ service, action },
    send: ({ abortSignal, requestTimeout }) => {
      sent.push(`${account} ${region} ${service}`);
      if (region !== 'eu-dead-1' || fate === 'answer') return Promise.resolve('answer');
      const lost = (name: string) => Object.assign(new Error(name), { name });
      if (fate === 'reset') return Promise.reject(lost('ECONNRESET'));
      return new Promise((_resolve, reject) => {
        clock.schedule(() => reject(lost('TimeoutError')), requestTimeout);
        abortSignal.addEventListener('abort', () => reject(lost('AbortError')));
      });
    },
  });
}

/** How a call ends, which is known at once or never. */
async function ended(promise: Promise<string>): Promise<unknown> {
  let end: unknown = 'under way';
  promise.then(
    (answer) => (end = answer),
    (error: unknown) => (end = error),
  );
  await clock.settle();
  return end;
}

/** Some were under way when the region went silent. */
async function silence(): Promise<void> {
  const lost = Array.from({ length: 5 }, () => call().catch((error: unknown) => error));
  await clock.advance(10_000);
  expect(await Promise.all(lost)).toEqual(Array(5).fill(expect.any(TransientError)));
  sent = [];
}

describe('a silent region', () => {
  it('costs a hundred clusters ten seconds of one worker at a time, and nobody else anything', async () => {
    await silence();
    const errors = await Promise.all(Array.from({ length: 100 }, () => ended(call())));
    expect(sent).toEqual([]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(NotSentError);
      expect(error).toBeInstanceOf(TransientError);
    }
    expect(errors[0]).toMatchObject({
      message: 'DescribeVpcs: not sent, as ec2 in region eu-dead-1 does not answer; trying again',
      retryAfterMs: 2_000,
    });
    await call({ region: 'eu-west-1' });
    expect(await ended(call({ service: 'sqs', action: 'GetQueueUrl' }))).toBe('under way');
    expect(await ended(call({ account: '2' }))).toBe('under way');
    expect(sent).toEqual(['1 eu-west-1 ec2', '1 eu-dead-1 sqs', '2 eu-dead-1 ec2']);
  });

  it('is tried again by one call, after pauses that grow to half a minute', async () => {
    await silence();
    for (const pauseMs of [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await clock.advance(pauseMs - 1);
      expect(await ended(call())).toBeInstanceOf(NotSentError);
      await clock.advance(1);
      const probe = call().catch((error: unknown) => error);
      await clock.settle();
      expect(await ended(call())).toMatchObject({ retryAfterMs: pauseMs });
      expect(sent).toHaveLength(1);
      await clock.advance(10_000);
      expect(await probe).not.toBeInstanceOf(NotSentError);
      sent = [];
    }
  });

  it('is open to all with the first answer', async () => {
    await silence();
    await clock.advance(2_000);
    fate = 'answer';
    expect(await Promise.all([ended(call()), ended(call())])).toEqual(['answer', expect.any(NotSentError)]);
    expect(await Promise.all(Array.from({ length: 20 }, () => call()))).toHaveLength(20);
  });

  it('is tried by the next call when the one that tries is given up', async () => {
    await silence();
    await clock.advance(2_000);
    const abort = new AbortController();
    const probe = call({ signal: abort.signal }).catch((error: unknown) => error);
    await clock.advance(5_000);
    abort.abort(new Error('the manager stops'));
    expect(await probe).toBeInstanceOf(TransientError);
    expect(await ended(call())).toBe('under way');
    expect(sent).toHaveLength(2);
  });

  it('is tried early after the clock was set back', async () => {
    await silence();
    clock.setTime(new Date(clock.now().getTime() - 3_600_000));
    expect(await ended(call())).toBe('under way');
  });
});

describe('it is not silent', () => {
  it('when a connection breaks at once', async () => {
    fate = 'reset';
    for (let times = 0; times < 3; times++) expect(await ended(call())).not.toBeInstanceOf(NotSentError);
    expect(sent).toHaveLength(3);
  });

  it('when who waited has given up, as who holds a request to a queue does', async () => {
    const abort = new AbortController();
    const held = call({ signal: abort.signal, service: 'sqs', action: 'ReceiveMessage' });
    await clock.advance(20_000);
    abort.abort(new Error('the queue is not needed any more'));
    await expect(held).rejects.toBeInstanceOf(TransientError);
    expect(await ended(call({ service: 'sqs', action: 'GetQueueUrl' }))).toBe('under way');
  });
});

describe('the time for an answer', () => {
  let server: Server | undefined;
  afterEach(() => server?.closeAllConnections());

  it.each([
    ...[['DescribeInstances', 10_000] as const, ['GetCallerIdentity', 10_000] as const],
    ...[['ListSecrets', 10_000] as const, ['AssumeRole', 10_000] as const],
    ...[['RunInstances', 40_000] as const, ['ReceiveMessage', 40_000] as const],
  ])('%s: %i ms', (action, ms) => {
    expect(timeoutOf(action)).toBe(ms);
  });

  it("is that of the call, not the client's own", async () => {
    server = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => server?.once('listening', resolve));
    const connection = createConnection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const ec2 = createClients(connection, 'eu-dead-1', () => KEYS).ec2();
    const answer = ec2.send(new DescribeVpcsCommand({}), { requestTimeout: 50 });
    await expect(answer).rejects.toMatchObject({ name: 'TimeoutError' });
    connection.close();
    server.close();
  });
});
