// SPDX-License-Identifier: Apache-2.0
// Load balancers: creation by name is idempotent, they provision, and their targets have a life.
import { type Instances, type State, stateAt, stateOf } from './instances.ts';
import { type Answer, APIError } from './protocol.ts';
import type { Exchange, Next, Rule } from './rule.ts';
import { type Element, element, find, parseXML, setChild, textAt, writeXML } from './xml.ts';

/** What a test may say of a target's health. */
export interface TargetHealth {
  readonly state: 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused' | 'unavailable';
  /** `Target.FailedHealthChecks`. */
  readonly reason?: string;
  readonly description?: string;
}

interface Target {
  readonly id: string;
  readonly port: string;
  readonly registeredAt: number;
  deregisteredAt?: number;
}

/** A deleted load balancer whose interfaces are still in its subnets. */
export interface Leaving {
  readonly arn: string;
  readonly deletedAt: number;
  readonly subnets: readonly string[];
  readonly groups: readonly string[];
}

export interface LoadBalancers {
  readonly rules: readonly Rule[];
  /** Of an instance or an address, in every group; `undefined` takes it back. */
  setHealth(target: string, health: TargetHealth | undefined): void;
  leaving(): readonly Leaving[];
  clear(): void;
}

interface Known {
  /** When a load balancer was made, by ARN. */
  readonly made: Map<string, number>;
  /** The parameters of a creation, by account, region, action and name. */
  readonly settings: Map<string, string>;
  /** By target group and target. */
  readonly targets: Map<string, Map<string, Target>>;
  readonly forced: Map<string, TargetHealth>;
  readonly leaving: Leaving[];
  /** One creation of a name at a time. */
  readonly creating: Map<string, Promise<unknown>>;
}

/** The rules, and what a test may set. */
export function loadBalancers(instances: Instances): LoadBalancers {
  const known: Known = {
    made: new Map(),
    settings: new Map(),
    targets: new Map(),
    forced: new Map(),
    leaving: [],
    creating: new Map(),
  };
  return {
    rules: [
      creation(known),
      deletion(known),
      descriptions(known),
      registration(known, instances),
      health(known),
    ],
    setHealth(target, value) {
      if (value === undefined) known.forced.delete(target);
      else known.forced.set(target, value);
    },
    leaving: () => known.leaving,
    clear() {
      for (const map of [known.made, known.settings, known.targets, known.forced, known.creating])
        map.clear();
      known.leaving.length = 0;
    },
  };
}

const NAMED = {
  CreateLoadBalancer: {
    describe: 'DescribeLoadBalancers',
    list: 'LoadBalancers',
    duplicate: 'DuplicateLoadBalancerName',
  },
  CreateTargetGroup: {
    describe: 'DescribeTargetGroups',
    list: 'TargetGroups',
    duplicate: 'DuplicateTargetGroupName',
  },
} as const;

const SERVICE = 'elasticloadbalancing';

function creation(known: Known): Rule {
  return {
    actions: Object.keys(NAMED).map((action) => `${SERVICE}.${action}`),
    async handle(exchange, next) {
      const { action, region, params } = exchange.request;
      const key = [exchange.account, region, action, params.get('Name')].join('/');
      const before = known.creating.get(key) ?? Promise.resolve();
      const mine = before.then(() => createOnce(known, exchange, { next, key }));
      known.creating.set(
        key,
        mine.catch(() => undefined),
      );
      return mine;
    },
  };
}

async function createOnce(
  known: Known,
  exchange: Exchange,
  { next, key }: { next: Next; key: string },
): Promise<Answer> {
  const { params } = exchange.request;
  const { describe, list, duplicate } = NAMED[exchange.request.action as keyof typeof NAMED];
  const named = { 'Names.member.1': params.get('Name') ?? '' };
  const found = await exchange
    .ask({ service: SERVICE, action: describe, params: named })
    .catch(() => undefined);
  const existing = find(found, `${describe}Result`, list, 'member');
  const settings = settingsOf(params);
  if (existing !== undefined && known.settings.get(key) !== settings)
    throw new APIError(400, duplicate, `'${params.get('Name')}' exists with other settings`);
  if (existing !== undefined) return created(exchange, existing, list);
  const answer = await next(exchange.request);
  if (answer.status >= 400) return answer;
  known.settings.set(key, settings);
  const [made] =
    find(parseXML(answer.body.toString('utf8')), `${exchange.request.action}Result`, list)?.children ?? [];
  const arn = textAt(made, 'LoadBalancerArn');
  if (arn !== '') known.made.set(arn, exchange.now());
  return answer;
}

/** All but the tags, in one order. */
function settingsOf(params: URLSearchParams): string {
  return JSON.stringify([...params].filter(([name]) => !name.startsWith('Tags.')).sort());
}

function created(exchange: Exchange, existing: Element, list: string): Answer {
  const { action } = exchange.request;
  const document = element(`${action}Response`, [
    element(`${action}Result`, [element(list, [existing])]),
    element('ResponseMetadata', [element('RequestId', 'proxy')]),
  ]);
  return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(writeXML(document)) };
}

function deletion(known: Known): Rule {
  return {
    actions: [`${SERVICE}.DeleteLoadBalancer`],
    async handle(exchange, next) {
      const arn = exchange.request.params.get('LoadBalancerArn') ?? '';
      const question = {
        service: SERVICE,
        action: 'DescribeLoadBalancers',
        params: { 'LoadBalancerArns.member.1': arn },
      } as const;
      const found = await exchange.ask(question).catch(() => undefined);
      const balancer = find(found, 'DescribeLoadBalancersResult', 'LoadBalancers', 'member');
      const answer = await next(exchange.request);
      if (answer.status < 400 && balancer !== undefined)
        known.leaving.push({ arn, deletedAt: exchange.now(), ...placeOf(balancer) });
      return answer;
    },
  };
}

/** The subnets and groups of a load balancer's item. */
export function placeOf(balancer: Element): { subnets: string[]; groups: string[] } {
  const zones = find(balancer, 'AvailabilityZones')?.children ?? [];
  const groups = find(balancer, 'SecurityGroups')?.children ?? [];
  return { subnets: zones.map((zone) => textAt(zone, 'SubnetId')), groups: groups.map(({ text }) => text) };
}

function descriptions(known: Known): Rule {
  return {
    actions: [`${SERVICE}.DescribeLoadBalancers`],
    applies: ({ behaviour }) => behaviour.loadBalancerProvisioningMs > 0,
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const list = find(document, 'DescribeLoadBalancersResult', 'LoadBalancers')?.children ?? [];
      for (const balancer of list) {
        const at = known.made.get(textAt(balancer, 'LoadBalancerArn')) ?? -Infinity;
        const isYoung = exchange.now() < at + exchange.behaviour.loadBalancerProvisioningMs;
        if (isYoung) setChild(balancer, element('State', [element('Code', 'provisioning')]));
      }
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

function registration(known: Known, instances: Instances): Rule {
  return {
    actions: [`${SERVICE}.RegisterTargets`, `${SERVICE}.DeregisterTargets`],
    async handle(exchange, next) {
      const group = exchange.request.params.get('TargetGroupArn') ?? '';
      const targets = targetsOf(exchange.request.params);
      const registers = exchange.request.action === 'RegisterTargets';
      if (registers)
        await requireRunning(
          exchange,
          instances,
          targets.map(({ id }) => id),
        );
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const list = known.targets.get(group) ?? new Map<string, Target>();
      known.targets.set(group, list);
      for (const target of targets) {
        if (registers) register(list, target, exchange.now());
        else deregister(list, target.id, exchange.now());
      }
      return answer;
    },
  };
}

/** Registering again does not start anew. */
function register(list: Map<string, Target>, target: Pick<Target, 'id' | 'port'>, now: number): void {
  const before = list.get(target.id);
  if (before !== undefined && before.deregisteredAt === undefined) return;
  list.set(target.id, { ...target, registeredAt: now });
}

function deregister(list: Map<string, Target>, id: string, now: number): void {
  const before = list.get(id);
  if (before !== undefined) before.deregisteredAt ??= now;
}

function targetsOf(params: URLSearchParams): { id: string; port: string }[] {
  const targets: { id: string; port: string }[] = [];
  for (let index = 1; ; index++) {
    const id = params.get(`Targets.member.${index}.Id`);
    if (id === null) return targets;
    targets.push({ id, port: params.get(`Targets.member.${index}.Port`) ?? '' });
  }
}

async function requireRunning(
  exchange: Exchange,
  instances: Instances,
  ids: readonly string[],
): Promise<void> {
  const wanted = ids.filter((id) => id.startsWith('i-'));
  if (wanted.length === 0) return;
  const filters = Object.fromEntries(wanted.map((id, index) => [`Filter.1.Value.${index + 1}`, id]));
  const params = { 'Filter.1.Name': 'instance-id', ...filters, MaxResults: '1000' };
  const found = await exchange.ask({ service: 'ec2', action: 'DescribeInstances', params });
  const states = new Map<string, State>();
  for (const reservation of find(found, 'reservationSet')?.children ?? [])
    for (const item of find(reservation, 'instancesSet')?.children ?? [])
      states.set(textAt(item, 'instanceId'), presentState(exchange, instances, item));
  const wrong = wanted.filter((id) => states.get(id) !== 'running');
  if (wrong.length === 0) return;
  const message = `The following targets are not in a running state and cannot be registered: '${wrong.join("', '")}'`;
  throw new APIError(400, 'InvalidTarget', message);
}

function presentState(exchange: Exchange, instances: Instances, item: Element): State {
  const record = instances.get(textAt(item, 'instanceId'));
  const real = stateOf(item);
  return (record && stateAt(record, real, exchange.now(), exchange.behaviour)) ?? real;
}

function health(known: Known): Rule {
  return {
    actions: [`${SERVICE}.DescribeTargetHealth`],
    applies: ({ behaviour }) =>
      behaviour.targetInitialMs > 0 || behaviour.targetDrainingMs > 0 || known.forced.size > 0,
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const list = find(document, 'DescribeTargetHealthResult', 'TargetHealthDescriptions');
      const { params } = exchange.request;
      const targets = known.targets.get(params.get('TargetGroupArn') ?? '') ?? new Map<string, Target>();
      if (list !== undefined) showHealth(exchange, list, { targets, forced: known.forced });
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

function showHealth(
  exchange: Exchange,
  list: Element,
  { targets, forced }: { targets: ReadonlyMap<string, Target>; forced: ReadonlyMap<string, TargetHealth> },
): void {
  const asked = targetsOf(exchange.request.params).map(({ id }) => id);
  const shown = new Set(list.children.map((item) => textAt(item, 'Target', 'Id')));
  // Moto forgets at once what is deregistered.
  for (const target of targets.values())
    if (!shown.has(target.id) && asked.length === 0 && isDraining(exchange, target))
      list.children.push(descriptionOf(target));
  for (const item of list.children) {
    const target = targets.get(textAt(item, 'Target', 'Id'));
    const health = target && (lifeOf(exchange, target) ?? forced.get(target.id));
    if (health !== undefined) setChild(item, healthElement(health));
  }
}

function descriptionOf({ id, port }: Target): Element {
  return element('member', [
    element('Target', [element('Id', id), ...(port === '' ? [] : [element('Port', port)])]),
  ]);
}

function isDraining({ behaviour, now }: Exchange, { deregisteredAt }: Target): boolean {
  return deregisteredAt !== undefined && now() < deregisteredAt + behaviour.targetDrainingMs;
}

/** What its age alone says; `undefined` leaves the rest to the test, then to moto. */
function lifeOf(exchange: Exchange, target: Target): TargetHealth | undefined {
  if (isDraining(exchange, target))
    return {
      state: 'draining',
      reason: 'Target.DeregistrationInProgress',
      description: 'Target deregistration is in progress',
    };
  if (target.deregisteredAt !== undefined) return undefined;
  if (exchange.now() >= target.registeredAt + exchange.behaviour.targetInitialMs) return undefined;
  return {
    state: 'initial',
    reason: 'Elb.RegistrationInProgress',
    description: 'Target registration is in progress',
  };
}

function healthElement({ state, reason, description }: TargetHealth): Element {
  return element('TargetHealth', [
    element('State', state),
    ...(reason === undefined ? [] : [element('Reason', reason)]),
    ...(description === undefined ? [] : [element('Description', description)]),
  ]);
}
