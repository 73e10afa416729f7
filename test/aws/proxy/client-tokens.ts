// SPDX-License-Identifier: Apache-2.0
// Idempotency by ClientToken as EC2 documents it: one token, one effect, in an account and region, beyond the end of what it made.
import { createHash } from 'node:crypto';
import { instanceItems, type Instances, setState, type State, stateAt, stateOf } from './instances.ts';
import { type Answer, APIError } from './protocol.ts';
import type { Exchange, Next, Rule } from './rule.ts';
import { find, parseXML, setChild, textAt, writeXML } from './xml.ts';

interface Use {
  readonly hash: string;
  /** Settles with the answer of the first request; fails when that failed, and the token is free again. */
  readonly answer: Promise<Answer>;
}

const ACTIONS = [
  ...['RunInstances', 'CreateNatGateway', 'CreateLaunchTemplate', 'CreateLaunchTemplateVersion'],
  ...['CreateNetworkInterface', 'CreateVolume', 'CreateRouteTable'],
];

/** The longest token that EC2 takes. */
const MAX_LENGTH = 64;

/** The rule, and `clear` to forget all tokens. */
export function clientTokens(instances: Instances): Rule & { clear(): void } {
  const uses = new Map<string, Use>();
  return {
    actions: ACTIONS.map((action) => `ec2.${action}`),
    clear: () => uses.clear(),
    applies: ({ request: { params } }) =>
      params.get('ClientToken') !== null && params.get('DryRun') !== 'true',
    async handle(exchange, next) {
      const token = exchange.request.params.get('ClientToken') ?? '';
      requireValid(token);
      const key = [exchange.account, exchange.request.region, exchange.request.action, token].join('/');
      const hash = hashOf(exchange.request.params);
      for (;;) {
        const before = uses.get(key);
        if (before === undefined) return first(exchange, next, { uses, key, hash });
        // Two at once: the second waits, and tries itself if the first made nothing.
        const answer = await before.answer.catch(() => undefined);
        if (answer === undefined) continue;
        if (before.hash !== hash) throw mismatch();
        return replay(exchange, answer, instances);
      }
    },
  };
}

function requireValid(token: string): void {
  if (token.length <= MAX_LENGTH) return;
  const message = `Value (${token}) for parameter clientToken is invalid. It may have at most ${MAX_LENGTH} characters`;
  throw new APIError(400, 'InvalidParameterValue', message);
}

async function first(
  { request }: Exchange,
  next: Next,
  { uses, key, hash }: { uses: Map<string, Use>; key: string; hash: string },
): Promise<Answer> {
  const sent = next(request);
  const succeeded = sent.then((answer) => {
    if (answer.status >= 400) throw new Error('failed');
    return answer;
  });
  const use = { hash, answer: succeeded };
  uses.set(key, use);
  // A request that made nothing leaves its token free.
  succeeded.catch(() => uses.delete(key));
  return sent;
}

function hashOf(params: URLSearchParams): string {
  const pairs = [...params].filter(([name]) => name !== 'ClientToken').map((pair) => JSON.stringify(pair));
  return createHash('sha256').update(pairs.sort().join('\n')).digest('hex');
}

function mismatch(): APIError {
  const message =
    'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).';
  return new APIError(400, 'IdempotentParameterMismatch', message);
}

/** The old answer; only states are of now. */
async function replay(exchange: Exchange, answer: Answer, instances: Instances): Promise<Answer> {
  if (exchange.request.action === 'CreateNatGateway') return replayGateway(exchange, answer);
  if (exchange.request.action !== 'RunInstances') return answer;
  const document = parseXML(answer.body.toString('utf8'));
  const launched = instanceItems(document);
  const real = await realStates(
    exchange,
    launched.map((item) => textAt(item, 'instanceId')),
  );
  for (const item of launched) {
    const id = textAt(item, 'instanceId');
    const record = instances.get(id);
    const now = real.get(id) ?? 'terminated';
    const state = (record && stateAt(record, now, exchange.now(), exchange.behaviour)) ?? now;
    if (state === 'terminated' && exchange.behaviour.replayOfTerminated === 'error') throw terminated();
    setState(item, state);
  }
  return { ...answer, body: Buffer.from(writeXML(document)) };
}

async function realStates(exchange: Exchange, ids: readonly string[]): Promise<Map<string, State>> {
  const params = Object.fromEntries(ids.map((id, index) => [`InstanceId.${index + 1}`, id]));
  const answer = await exchange.ask({ service: 'ec2', action: 'DescribeInstances', params });
  return new Map(instanceItems(answer).map((item) => [textAt(item, 'instanceId'), stateOf(item)]));
}

function terminated(): APIError {
  const message = 'The client token was used by a request whose instance has been terminated.';
  return new APIError(400, 'IdempotentInstanceTerminated', message);
}

async function replayGateway(exchange: Exchange, answer: Answer): Promise<Answer> {
  const document = parseXML(answer.body.toString('utf8'));
  const gateway = find(document, 'natGateway');
  const params = { 'NatGatewayId.1': textAt(gateway, 'natGatewayId') };
  const now = await exchange.ask({ service: 'ec2', action: 'DescribeNatGateways', params });
  const state = find(now, 'natGatewaySet', 'item', 'state');
  if (gateway !== undefined && state !== undefined) setChild(gateway, state);
  return { ...answer, body: Buffer.from(writeXML(document)) };
}
