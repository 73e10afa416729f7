// SPDX-License-Identifier: Apache-2.0
// What is in use cannot be deleted: EC2 answers DependencyViolation where moto deletes.
import { filterParams } from './filters.ts';
import { type InstanceRecord, type Instances, stateAt } from './instances.ts';
import { type LoadBalancers, placeOf } from './load-balancers.ts';
import type { NatGateways } from './nat-gateways.ts';
import { APIError } from './protocol.ts';
import type { Exchange, Rule } from './rule.ts';
import { type Element, find, items, textAt } from './xml.ts';

interface Knowledge {
  readonly instances: Instances;
  readonly balancers: LoadBalancers;
  readonly gateways: NatGateways;
}

/** The rules of deletion. */
export function dependencies(known: Knowledge): Rule[] {
  const rule = (
    action: string,
    isUsed: (exchange: Exchange, known: Knowledge) => Promise<string | undefined>,
  ): Rule => ({
    actions: [`ec2.${action}`],
    applies: ({ behaviour }) => behaviour.enforceDependencies,
    async handle(exchange, next) {
      const message = await isUsed(exchange, known);
      if (message !== undefined) throw new APIError(400, 'DependencyViolation', message);
      return next(exchange.request);
    },
  });
  return [
    rule('DeleteSecurityGroup', groupUse),
    rule('DeleteSubnet', subnetUse),
    rule('DeleteVpc', networkUse),
    rule('DetachInternetGateway', gatewayUse),
  ];
}

async function groupUse(exchange: Exchange, known: Knowledge): Promise<string | undefined> {
  const id = exchange.request.params.get('GroupId') ?? '';
  const uses = [
    () => ask(exchange, 'DescribeNetworkInterfaces', { 'group-id': id }),
    () => references(exchange, id),
    () =>
      leavingInstances(exchange, known, (item) =>
        items(item, 'groupSet').some((one) => textAt(one, 'groupId') === id),
      ),
    () => balancersIn(exchange, known, ({ groups }) => groups.includes(id)),
  ];
  return (await isAny(uses)) ? `resource ${id} has a dependent object` : undefined;
}

async function subnetUse(exchange: Exchange, known: Knowledge): Promise<string | undefined> {
  const id = exchange.request.params.get('SubnetId') ?? '';
  const uses = [
    () => ask(exchange, 'DescribeNetworkInterfaces', { 'subnet-id': id }),
    () => livingGateways(exchange, known, { 'subnet-id': id }),
    () => leavingInstances(exchange, known, (item) => textAt(item, 'subnetId') === id),
    () => balancersIn(exchange, known, ({ subnets }) => subnets.includes(id)),
  ];
  return (await isAny(uses)) ? `The subnet '${id}' has dependencies and cannot be deleted.` : undefined;
}

async function networkUse(exchange: Exchange, known: Knowledge): Promise<string | undefined> {
  const id = exchange.request.params.get('VpcId') ?? '';
  const groups = async () =>
    (await ask(exchange, 'DescribeSecurityGroups', { 'vpc-id': id })).filter(
      (group) => textAt(group, 'groupName') !== 'default',
    );
  const uses = [
    () => ask(exchange, 'DescribeSubnets', { 'vpc-id': id }),
    groups,
    () => ask(exchange, 'DescribeInternetGateways', { 'attachment.vpc-id': id }),
    () => ask(exchange, 'DescribeNetworkInterfaces', { 'vpc-id': id }),
    () => livingGateways(exchange, known, { 'vpc-id': id }),
  ];
  return (await isAny(uses)) ? `The vpc '${id}' has dependencies and cannot be deleted.` : undefined;
}

async function gatewayUse(exchange: Exchange, known: Knowledge): Promise<string | undefined> {
  const id = exchange.request.params.get('VpcId') ?? '';
  const addresses = async () =>
    (await ask(exchange, 'DescribeNetworkInterfaces', { 'vpc-id': id })).filter(
      (one) => textAt(one, 'association', 'publicIp') !== '',
    );
  const internetFacing = async () =>
    (await allBalancers(exchange)).filter(
      (one) => textAt(one, 'VpcId') === id && textAt(one, 'Scheme') === 'internet-facing',
    );
  const publicGateways = async () =>
    (await livingGateways(exchange, known, { 'vpc-id': id })).filter(
      (one) => textAt(one, 'natGatewayAddressSet', 'item', 'allocationId') !== '',
    );
  if (!(await isAny([addresses, internetFacing, publicGateways]))) return undefined;
  const way = 'Please unmap those public address(es) before detaching the gateway.';
  return `Network ${id} has some mapped public address(es). ${way}`;
}

async function isAny(questions: readonly (() => Promise<readonly unknown[]>)[]): Promise<boolean> {
  for (const question of questions) if ((await question()).length > 0) return true;
  return false;
}

const SETS = {
  DescribeNetworkInterfaces: 'networkInterfaceSet',
  DescribeSubnets: 'subnetSet',
  DescribeSecurityGroups: 'securityGroupInfo',
  DescribeInternetGateways: 'internetGatewaySet',
  DescribeNatGateways: 'natGatewaySet',
} as const;

async function ask(
  exchange: Exchange,
  action: keyof typeof SETS,
  filters: Readonly<Record<string, string>>,
): Promise<Element[]> {
  return items(await exchange.ask({ service: 'ec2', action, params: filterParams(filters) }), SETS[action]);
}

/** Other groups with a rule that names this one. */
async function references(exchange: Exchange, id: string): Promise<Element[]> {
  const groups = items(
    await exchange.ask({ service: 'ec2', action: 'DescribeSecurityGroups' }),
    'securityGroupInfo',
  );
  const names = (rule: Element) => items(rule, 'groups').some((one) => textAt(one, 'groupId') === id);
  return groups
    .filter((group) => textAt(group, 'groupId') !== id)
    .filter((group) =>
      [...items(group, 'ipPermissions'), ...items(group, 'ipPermissionsEgress')].some(names),
    );
}

/** Instances that are shutting down: moto has forgotten their interfaces, AWS not yet. */
async function leavingInstances(
  exchange: Exchange,
  { instances }: Knowledge,
  isThere: (item: Element) => boolean,
): Promise<InstanceRecord[]> {
  return instances
    .all()
    .filter(({ lastSeen }) => lastSeen !== undefined && isThere(lastSeen))
    .filter(
      (record) => stateAt(record, 'terminated', exchange.now(), exchange.behaviour) === 'shutting-down',
    );
}

async function livingGateways(
  exchange: Exchange,
  { gateways }: Knowledge,
  filters: Readonly<Record<string, string>>,
): Promise<Element[]> {
  const all = await ask(exchange, 'DescribeNatGateways', filters);
  return all.filter((item) => gateways.stateOf(item, exchange) !== 'deleted');
}

async function allBalancers(exchange: Exchange): Promise<Element[]> {
  const answer = await exchange.ask({ service: 'elasticloadbalancing', action: 'DescribeLoadBalancers' });
  return find(answer, 'DescribeLoadBalancersResult', 'LoadBalancers')?.children ?? [];
}

interface Place {
  readonly subnets: readonly string[];
  readonly groups: readonly string[];
}

/** Load balancers, and those whose interfaces are not yet gone. */
async function balancersIn(
  exchange: Exchange,
  { balancers }: Knowledge,
  isThere: (place: Place) => boolean,
): Promise<unknown[]> {
  const leaving = balancers
    .leaving()
    .filter(({ deletedAt }) => exchange.now() < deletedAt + exchange.behaviour.loadBalancerReleaseMs);
  const present = (await allBalancers(exchange)).map(placeOf);
  return [...leaving, ...present].filter(isThere);
}
