// SPDX-License-Identifier: Apache-2.0
// What RunInstances is refused for: too much user data, a quota, no capacity, groups said twice.
import type { NoCapacity } from './behaviour.ts';
import type { Instances } from './instances.ts';
import { APIError, withParams } from './protocol.ts';
import type { Exchange, Rule } from './rule.ts';
import { find, textAt } from './xml.ts';

/** EC2's limit of user data, after it is decoded. */
const MAX_USER_DATA = 16_384;

/** The rules of a launch, and how many are on their way. */
export function launchLimits(instances: Instances): Rule[] {
  return [
    limits(instances),
    { actions: ['ec2.RunInstances'], handle: ({ request }, next) => next(asMotoReads(request)) },
  ];
}

function limits(instances: Instances): Rule {
  const starting = new Map<string, number>();
  return {
    actions: ['ec2.RunInstances'],
    async handle(exchange, next) {
      const { params } = exchange.request;
      requireOneWay(params);
      requireUserData(params);
      await requireCapacity(exchange);
      const count = Number(params.get('MinCount') ?? 1);
      const { account, behaviour } = exchange;
      const others = starting.get(account) ?? 0;
      if (count + others + alive(exchange, instances) > behaviour.maxInstances) throw quotaExceeded(exchange);
      starting.set(account, others + count);
      try {
        return await next(exchange.request);
      } finally {
        starting.set(account, (starting.get(account) ?? 0) - count);
      }
    },
  };
}

function alive(exchange: Exchange, instances: Instances): number {
  return instances
    .all()
    .filter(({ account, terminatedAt }) => account === exchange.account && terminatedAt === undefined).length;
}

function requireOneWay(params: URLSearchParams): void {
  const names = [...params.keys()];
  if (!names.some((name) => name.startsWith('NetworkInterface.'))) return;
  if (!names.some((name) => name === 'SubnetId' || name.startsWith('SecurityGroupId.'))) return;
  const message =
    'Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request';
  throw new APIError(400, 'InvalidParameterCombination', message);
}

function requireUserData(params: URLSearchParams): void {
  const data = params.get('UserData') ?? '';
  if (Buffer.from(data, 'base64').length <= MAX_USER_DATA) return;
  throw new APIError(400, 'InvalidParameterValue', `User data is limited to ${MAX_USER_DATA} bytes`);
}

function quotaExceeded({ behaviour }: Exchange): APIError {
  const messages = {
    VcpuLimitExceeded:
      'You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the specified instance type belongs to.',
    InstanceLimitExceeded: `Your quota allows for ${behaviour.maxInstances} running instance(s).`,
  };
  return new APIError(400, behaviour.quotaCode, messages[behaviour.quotaCode]);
}

async function requireCapacity(exchange: Exchange): Promise<void> {
  if (exchange.behaviour.noCapacity.length === 0) return;
  const { params } = exchange.request;
  const type = params.get('InstanceType') ?? '';
  const subnet = params.get('SubnetId') ?? params.get('NetworkInterface.1.SubnetId') ?? '';
  const market = params.get('InstanceMarketOptions.MarketType') === 'spot' ? 'spot' : 'on-demand';
  const zone = params.get('Placement.AvailabilityZone') ?? (await zoneOf(exchange, subnet));
  const lack = exchange.behaviour.noCapacity.find(
    (one) =>
      (one.instanceType ?? type) === type &&
      (one.availabilityZone ?? zone) === zone &&
      (one.subnet ?? subnet) === subnet &&
      (one.market ?? market) === market,
  );
  if (lack !== undefined) throw noCapacity(lack, { type, zone });
}

async function zoneOf(exchange: Exchange, subnet: string): Promise<string> {
  if (subnet === '') return '';
  const params = { 'SubnetId.1': subnet };
  const answer = await exchange.ask({ service: 'ec2', action: 'DescribeSubnets', params });
  return textAt(find(answer, 'subnetSet', 'item'), 'availabilityZone');
}

const SPOT_MESSAGES = {
  MaxSpotInstanceCountExceeded: 'Max spot instance count exceeded',
  SpotMaxPriceTooLow:
    'Your Spot request price is lower than the minimum required Spot request fulfillment price.',
} as const;

/** The status of InsufficientInstanceCapacity is 500, as of a server error, and clients take it for one. */
function noCapacity(
  { code = 'InsufficientInstanceCapacity' }: NoCapacity,
  { type, zone }: { type: string; zone: string },
): APIError {
  if (code !== 'InsufficientInstanceCapacity') return new APIError(400, code, SPOT_MESSAGES[code]);
  return new APIError(
    500,
    code,
    `There is no capacity for ${type} in the Availability Zone you requested (${zone}).`,
  );
}

const ROOTS = new Set(['/dev/sda1', '/dev/xvda']);

/**
 * The same launch with AWS' defaults written out: the interfaces that a launch makes and the root volume end with the instance, and
 * the groups of the first interface are those of the instance. Moto has other defaults and would keep interfaces forever.
 */
function asMotoReads(request: Exchange['request']): Exchange['request'] {
  const params = new URLSearchParams(request.params);
  move(params, 'SubnetId', 'NetworkInterface.1.SubnetId');
  move(params, 'PrivateIpAddress', 'NetworkInterface.1.PrivateIpAddress');
  for (let index = 1; params.has(`NetworkInterface.1.SecurityGroupId.${index}`); index++)
    move(params, `NetworkInterface.1.SecurityGroupId.${index}`, `SecurityGroupId.${index}`);
  for (let index = 1; isInterface(params, index); index++) {
    setDefault(params, `NetworkInterface.${index}.DeviceIndex`, String(index - 1));
    if (!params.has(`NetworkInterface.${index}.NetworkInterfaceId`))
      setDefault(params, `NetworkInterface.${index}.DeleteOnTermination`, 'true');
  }
  for (let index = 1; params.has(`BlockDeviceMapping.${index}.DeviceName`); index++)
    if (ROOTS.has(params.get(`BlockDeviceMapping.${index}.DeviceName`) ?? ''))
      setDefault(params, `BlockDeviceMapping.${index}.Ebs.DeleteOnTermination`, 'true');
  return withParams(request, params);
}

function isInterface(params: URLSearchParams, index: number): boolean {
  return [...params.keys()].some((name) => name.startsWith(`NetworkInterface.${index}.`));
}

function move(params: URLSearchParams, from: string, to: string): void {
  const value = params.get(from);
  if (value === null) return;
  params.delete(from);
  params.set(to, value);
}

function setDefault(params: URLSearchParams, name: string, value: string): void {
  if (!params.has(name)) params.set(name, value);
}
