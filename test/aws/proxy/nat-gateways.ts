// SPDX-License-Identifier: Apache-2.0
// NAT gateways take their time, and hold their interface and address until they are gone.
import type { Behaviour } from './behaviour.ts';
import { filterParams, matchesFilter, readFilters, withFilters } from './filters.ts';
import { APIError, withParams } from './protocol.ts';
import type { Exchange, Rule } from './rule.ts';
import { type Element, element, find, items, parseXML, setChild, textAt, writeXML } from './xml.ts';

interface Gateway {
  readonly createdAt: number;
  deletedAt?: number;
  /** Known from its deletion on. */
  allocationID?: string;
}

export interface NatGateways {
  readonly rules: readonly Rule[];
  /** `pending`, `available`, `deleting` or `deleted`, from moto's item. */
  stateOf(item: Element, exchange: Exchange): string;
  clear(): void;
}

/** The rules, and what others must know. */
export function natGateways(): NatGateways {
  const known = new Map<string, Gateway>();
  const stateOf = (item: Element, exchange: Exchange) =>
    stateAt(known.get(textAt(item, 'natGatewayId')), item, exchange);
  return {
    rules: [creation(known), deletion(known), descriptions(stateOf), releases(known)],
    stateOf,
    clear: () => known.clear(),
  };
}

function stateAt(gateway: Gateway | undefined, item: Element, { behaviour, now }: Exchange): string {
  const real = textAt(item, 'state');
  if (gateway === undefined) return real;
  if (gateway.deletedAt !== undefined)
    return now() < gateway.deletedAt + behaviour.natGatewayDeletingMs ? 'deleting' : 'deleted';
  return now() < gateway.createdAt + behaviour.natGatewayPendingMs ? 'pending' : real;
}

function creation(known: Map<string, Gateway>): Rule {
  return {
    actions: ['ec2.CreateNatGateway'],
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const gateway = find(document, 'natGateway');
      known.set(textAt(gateway, 'natGatewayId'), { createdAt: exchange.now() });
      if (gateway !== undefined) setChild(gateway, element('state', 'pending'));
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

function deletion(known: Map<string, Gateway>): Rule {
  return {
    actions: ['ec2.DeleteNatGateway'],
    async handle(exchange, next) {
      const id = exchange.request.params.get('NatGatewayId') ?? '';
      const params = { 'NatGatewayId.1': id };
      const found = await exchange.ask({ service: 'ec2', action: 'DescribeNatGateways', params });
      const [item] = items(found, 'natGatewaySet');
      if (item === undefined) {
        const message = `The Nat Gateway ${id} was not found`; // Moto would fail with HTTP 500.
        throw new APIError(400, 'NatGatewayNotFound', message);
      }
      const answer = await next(exchange.request);
      if (answer.status >= 400 || known.get(id)?.deletedAt !== undefined) return answer;
      const now = exchange.now();
      const address = find(item, 'natGatewayAddressSet', 'item');
      const allocationID = textAt(address, 'allocationId');
      known.set(id, { createdAt: known.get(id)?.createdAt ?? now, deletedAt: now, allocationID });
      if (textAt(item, 'state') !== 'deleted') await release(exchange, address);
      return answer;
    },
  };
}

/** Moto keeps the interface of a deleted gateway, and its association, forever. */
async function release(exchange: Exchange, address: Element | undefined): Promise<void> {
  const association = textAt(address, 'associationId');
  const networkInterface = textAt(address, 'networkInterfaceId');
  if (association !== '')
    await exchange.ask({
      service: 'ec2',
      action: 'DisassociateAddress',
      params: { AssociationId: association },
    });
  const params = { NetworkInterfaceId: networkInterface };
  if (networkInterface !== '')
    await exchange.ask({ service: 'ec2', action: 'DeleteNetworkInterface', params });
}

function takesTime({ natGatewayPendingMs, natGatewayDeletingMs }: Behaviour): boolean {
  return natGatewayPendingMs > 0 || natGatewayDeletingMs > 0;
}

function descriptions(stateOf: NatGateways['stateOf']): Rule {
  return {
    actions: ['ec2.DescribeNatGateways'],
    applies: ({ behaviour }) => takesTime(behaviour),
    async handle(exchange, next) {
      const filters = readFilters(exchange.request.params);
      const byState = filters.filter(({ name }) => name === 'state');
      const others = filters.filter(({ name }) => name !== 'state');
      const answer = await next(withParams(exchange.request, withFilters(exchange.request.params, others)));
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const set = find(document, 'natGatewaySet');
      for (const item of set?.children ?? []) setChild(item, element('state', stateOf(item, exchange)));
      if (set !== undefined)
        set.children = set.children.filter((item) =>
          byState.every((filter) => matchesFilter(textAt(item, 'state'), filter)),
        );
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

function releases(known: Map<string, Gateway>): Rule {
  return {
    actions: ['ec2.ReleaseAddress'],
    applies: ({ behaviour }) => behaviour.enforceDependencies,
    async handle(exchange, next) {
      const allocation = exchange.request.params.get('AllocationId') ?? '';
      const { now, behaviour } = exchange;
      const isHeld = [...known.values()].some(
        ({ allocationID, deletedAt }) =>
          allocationID === allocation && now() < (deletedAt ?? 0) + behaviour.natGatewayDeletingMs,
      );
      if (isHeld) throw held();
      const params = filterParams({ 'allocation-id': allocation });
      const found = await exchange.ask({ service: 'ec2', action: 'DescribeAddresses', params });
      const [address] = items(found, 'addressesSet');
      if (textAt(address, 'associationId') === '') return next(exchange.request);
      if (textAt(address, 'instanceId') === '') throw held();
      const message = `Address ${textAt(address, 'publicIp')} is in use.`;
      throw new APIError(400, 'InvalidIPAddress.InUse', message);
    },
  };
}

/** EC2 says it like this of an address that a NAT gateway has: the interface is of another account. */
function held(): APIError {
  return new APIError(400, 'AuthFailure', 'You do not have permission to access the specified resource.');
}
