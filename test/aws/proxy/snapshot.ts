// SPDX-License-Identifier: Apache-2.0
// Everything that an account has, as sorted JSON: two of them are equal byte by byte when nothing was added and nothing is lost.
import type { Caller, JSONQuestion, Question, Upstream } from './upstream.ts';
import { type Element, find, items, textAt } from './xml.ts';

type Plain = string | Plain[] | { [name: string]: Plain };

/** One describe call and where its list is. */
interface Listing extends Question {
  readonly name: string;
  readonly path: readonly string[];
  /** What ended and is only still listed. */
  readonly gone?: (item: Element) => boolean;
}

const LISTINGS: readonly Listing[] = [
  ec2('vpcs', 'DescribeVpcs', 'vpcSet'),
  ec2('subnets', 'DescribeSubnets', 'subnetSet'),
  ec2('routeTables', 'DescribeRouteTables', 'routeTableSet'),
  ec2('internetGateways', 'DescribeInternetGateways', 'internetGatewaySet'),
  {
    ...ec2('natGateways', 'DescribeNatGateways', 'natGatewaySet'),
    gone: (item) => textAt(item, 'state') === 'deleted',
  },
  ec2('addresses', 'DescribeAddresses', 'addressesSet'),
  ec2('networkInterfaces', 'DescribeNetworkInterfaces', 'networkInterfaceSet'),
  ec2('securityGroups', 'DescribeSecurityGroups', 'securityGroupInfo'),
  ec2('securityGroupRules', 'DescribeSecurityGroupRules', 'securityGroupRuleSet'),
  ec2('launchTemplates', 'DescribeLaunchTemplates', 'launchTemplates'),
  ec2('keyPairs', 'DescribeKeyPairs', 'keySet'),
  ec2('vpcEndpoints', 'DescribeVpcEndpoints', 'vpcEndpointSet'),
  elb('loadBalancers', 'DescribeLoadBalancers', 'LoadBalancers'),
  elb('targetGroups', 'DescribeTargetGroups', 'TargetGroups'),
  asg('autoScalingGroups', 'DescribeAutoScalingGroups', 'AutoScalingGroups'),
  asg('launchConfigurations', 'DescribeLaunchConfigurations', 'LaunchConfigurations'),
];

/** Asked in pages of this many. */
const PAGE = '1000';

function ec2(name: string, action: string, set: string): Listing {
  return { name, service: 'ec2', action, path: [set] };
}

function elb(name: string, action: string, set: string): Listing {
  return { name, service: 'elasticloadbalancing', action, path: [`${action}Result`, set] };
}

function asg(name: string, action: string, set: string): Listing {
  return { name, service: 'autoscaling', action, path: [`${action}Result`, set] };
}

/** The account and region of the caller, asked of moto itself: no rule and no fault touches it, and it is not counted. */
export async function snapshotOf(upstream: Upstream, caller: Caller): Promise<string> {
  const world: Record<string, Plain> = {};
  for (const listing of LISTINGS) world[listing.name] = (await list(upstream, caller, listing)).map(plain);
  const instances = await livingInstances(upstream, caller);
  world['instances'] = instances.map(plain);
  const living = new Set(instances.map((item) => textAt(item, 'instanceId')));
  const volumes = await list(upstream, caller, ec2('volumes', 'DescribeVolumes', 'volumeSet'));
  world['volumes'] = volumes.filter((item) => isThere(item, living)).map(plain);
  world['tags'] = (await tagsOf(upstream, caller, JSON.stringify(world))).map(plain);
  world['listeners'] = await listeners(upstream, caller);
  world['secrets'] = await jsonList(upstream, caller, SECRETS);
  world['parameters'] = await jsonList(upstream, caller, PARAMETERS);
  return `${JSON.stringify(sorted(world), undefined, 1)}\n`;
}

async function list(upstream: Upstream, caller: Caller, listing: Listing): Promise<Element[]> {
  const all: Element[] = [];
  let token = '';
  do {
    const next = listing.service === 'ec2' ? { NextToken: token } : { NextToken: token, Marker: token };
    const params = { ...listing.params, ...(token === '' ? {} : next) };
    const answer = await upstream.ask(caller, { ...listing, params });
    all.push(...items(answer, ...listing.path));
    const result = listing.path.length > 1 ? find(answer, listing.path[0] ?? '') : answer;
    token = [textAt(result, 'nextToken'), textAt(result, 'NextToken'), textAt(result, 'NextMarker')].join('');
  } while (token !== '');
  return all.filter((item) => listing.gone?.(item) !== true);
}

async function livingInstances(upstream: Upstream, caller: Caller): Promise<Element[]> {
  const listing = {
    ...ec2('instances', 'DescribeInstances', 'reservationSet'),
    params: { MaxResults: PAGE },
  };
  const reservations = await list(upstream, caller, listing);
  return reservations
    .flatMap((reservation) => items(reservation, 'instancesSet'))
    .filter((item) => textAt(item, 'instanceState', 'name') !== 'terminated');
}

/** Of the volumes that a group's instance got from its template, moto keeps one for ever, attached to what has ended. */
function isThere(volume: Element, living: ReadonlySet<string>): boolean {
  const instanceID = textAt(volume, 'attachmentSet', 'item', 'instanceId');
  return instanceID === '' || living.has(instanceID);
}

/** What these ids begin with is in the other listings, as long as it lives. */
const LISTED = /^(i|vpc|subnet|rtb|igw|nat|eipalloc|eni|sg|vol|lt)-/;

/** Of what lives: the other listings carry these tags, but not for every kind. Moto keeps tags of what was deleted. */
async function tagsOf(upstream: Upstream, caller: Caller, living: string): Promise<Element[]> {
  const tags = await list(upstream, caller, ec2('tags', 'DescribeTags', 'tagSet'));
  return tags.filter((tag) => {
    const id = textAt(tag, 'resourceId');
    return !LISTED.test(id) || living.includes(`"${id}"`);
  });
}

async function listeners(upstream: Upstream, caller: Caller): Promise<Plain[]> {
  const balancers = await list(upstream, caller, elb('', 'DescribeLoadBalancers', 'LoadBalancers'));
  const found: Plain[] = [];
  for (const balancer of balancers) {
    const params = { LoadBalancerArn: textAt(balancer, 'LoadBalancerArn') };
    const listing = { ...elb('', 'DescribeListeners', 'Listeners'), params };
    found.push(...(await list(upstream, caller, listing)).map(plain));
  }
  return found;
}

interface JSONListing extends JSONQuestion {
  /** The name of the list, and of what is left out of it. */
  readonly list: string;
  readonly left: string;
}

const SECRETS: JSONListing = {
  service: 'secretsmanager',
  action: 'ListSecrets',
  input: { IncludePlannedDeletion: true },
  list: 'SecretList',
  left: 'LastAccessedDate',
};

const PARAMETERS: JSONListing = {
  service: 'ssm',
  action: 'DescribeParameters',
  input: {},
  list: 'Parameters',
  left: '',
};

async function jsonList(upstream: Upstream, caller: Caller, listing: JSONListing): Promise<Plain[]> {
  const all: Plain[] = [];
  let token = '';
  do {
    const input = { ...listing.input, ...(token === '' ? {} : { NextToken: token }) };
    const answer = (await upstream.askJSON(caller, { ...listing, input })) as Record<string, unknown>;
    // Reading a secret changes its date of access, not the account.
    const text = JSON.stringify(answer[listing.list] ?? [], (name, value: unknown) =>
      name === listing.left && name !== '' ? undefined : value,
    );
    all.push(...(JSON.parse(text) as Plain[]));
    token = (answer['NextToken'] as string | null | undefined) ?? '';
  } while (token !== '');
  return all;
}

/** An element as JSON: text, a list of items, or an object. */
function plain({ children, text }: Element): Plain {
  if (children.length === 0) return text;
  if (children.every(({ name }) => name === 'item' || name === 'member')) return children.map(plain);
  return Object.fromEntries(children.map((child) => [child.name, plain(child)]));
}

/** Names in order, and lists too: moto gives them in the order in which things were made. */
function sorted(value: Plain): Plain {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const texts = value.map((one) => ({ one: sorted(one), text: JSON.stringify(sorted(one)) }));
    return texts.sort((a, b) => (a.text < b.text ? -1 : 1)).map(({ one }) => one);
  }
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] as Plain)]));
}
