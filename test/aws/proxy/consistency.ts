// SPDX-License-Identifier: Apache-2.0
// Eventual consistency: describe calls show the instances as they were `staleMs` ago, in the state that they had then.
import { type Filter, matchesFilter, readFilters, withFilters } from './filters.ts';
import {
  instanceItems,
  type InstanceRecord,
  type Instances,
  setState,
  stateAt,
  stateOf,
} from './instances.ts';
import { type Answer, answerOf, APIError, listParam, withParams } from './protocol.ts';
import type { Exchange, Next, Rule } from './rule.ts';
import { type Element, element, find, items, parseXML, setChild, textAt, writeXML } from './xml.ts';

/** The rules for everything that makes, changes, ends or shows instances. */
export function consistency(instances: Instances): Rule[] {
  return [launches(instances), terminations(instances), tagChanges(instances), descriptions(instances)];
}

function launches(instances: Instances): Rule {
  return {
    actions: ['ec2.RunInstances'],
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      for (const item of instanceItems(document)) {
        const id = textAt(item, 'instanceId');
        const market = textAt(item, 'instanceLifecycle') === 'spot' ? 'spot' : 'on-demand';
        const { accessKeyID, region, params } = exchange.request;
        const spotRequest = {
          id: `sir-${id.slice(-8)}`,
          code: 'fulfilled',
          message: 'Your Spot request is fulfilled.',
        };
        if (market === 'spot') setChild(item, element('spotInstanceRequestId', spotRequest.id));
        setState(item, 'pending');
        instances.add({
          ...{ id, market, account: exchange.account, caller: { accessKeyID, region } },
          ...{ clientToken: params.get('ClientToken') ?? '', launchedAt: exchange.now() },
          ...{ tagHistory: [], forgotten: false, events: [] },
          ...(market === 'spot' ? { spotRequest } : {}),
        });
      }
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

function terminations(instances: Instances): Rule {
  return {
    actions: ['ec2.TerminateInstances'],
    async handle(exchange, next) {
      const { behaviour, request } = exchange;
      const ids = listParam(request.params, 'InstanceId');
      const gone = ids.filter((id) => instances.get(id)?.forgotten);
      if (gone.length > 0) throw notFound(gone);
      const isEnded = (id: string) => instances.get(id)?.terminatedAt !== undefined;
      const living = ids.filter((id) => !isEnded(id));
      const ended = ids.filter(isEnded).map((id) => endedItem(exchange, instances, id));
      if (living.length === 0 && ended.length > 0) return terminationAnswer(ended);
      const isShownLater = behaviour.staleMs > 0 || behaviour.shuttingDownMs > 0;
      const before = isShownLater ? await describe(exchange, living) : new Map<string, Element>();
      const answer = await next(withParams(request, withInstances(request.params, living)));
      if (answer.status >= 400) return answer;
      for (const id of living) endRecord(instances.get(id), before.get(id), exchange.now());
      const document = parseXML(answer.body.toString('utf8'));
      return terminationAnswer([...items(document, 'instancesSet'), ...ended]);
    },
  };
}

function endRecord(record: InstanceRecord | undefined, before: Element | undefined, now: number): void {
  if (record === undefined || record.terminatedAt !== undefined) return;
  record.terminatedAt = now;
  if (before !== undefined) record.lastSeen = before;
}

/** Ending what has ended is no error on AWS; moto fails, because the interfaces are gone. */
function endedItem(exchange: Exchange, instances: Instances, id: string): Element {
  const item = element('item', [element('instanceId', id)]);
  const record = instances.get(id);
  const state = record && stateAt(record, 'terminated', exchange.now(), exchange.behaviour);
  setState(item, state ?? 'terminated', 'currentState');
  setState(item, state ?? 'terminated', 'previousState');
  return item;
}

function terminationAnswer(list: readonly Element[]): Answer {
  const set = element('instancesSet', list);
  const document = element('TerminateInstancesResponse', [set, element('requestId', 'proxy')]);
  return answerOf(200, 'text/xml;charset=UTF-8', writeXML(document));
}

function withInstances(params: URLSearchParams, ids: readonly string[]): URLSearchParams {
  const others = [...params].filter(([name]) => !name.startsWith('InstanceId.'));
  return new URLSearchParams([
    ...others,
    ...ids.map((id, at): [string, string] => [`InstanceId.${at + 1}`, id]),
  ]);
}

/** The items of instances, by id, as moto has them. */
async function describe(exchange: Exchange, ids: readonly string[]): Promise<Map<string, Element>> {
  const list = { name: 'instance-id', values: ids };
  const params = Object.fromEntries(withFilters(new URLSearchParams({ MaxResults: '1000' }), [list]));
  const answer = await exchange.ask({ service: 'ec2', action: 'DescribeInstances', params });
  return new Map(instanceItems(answer).map((item) => [textAt(item, 'instanceId'), item]));
}

function tagChanges(instances: Instances): Rule {
  return {
    actions: ['ec2.CreateTags', 'ec2.DeleteTags'],
    applies: ({ behaviour }) => behaviour.staleMs > 0,
    async handle(exchange, next) {
      const ids = listParam(exchange.request.params, 'ResourceId').filter((id) => id.startsWith('i-'));
      const before = ids.length > 0 ? await describe(exchange, ids) : new Map<string, Element>();
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      for (const [id, item] of before)
        instances.get(id)?.tagHistory.push({ until: exchange.now(), tags: items(item, 'tagSet') });
      return answer;
    },
  };
}

function descriptions(instances: Instances): Rule {
  return {
    actions: ['ec2.DescribeInstances', 'ec2.DescribeInstanceStatus'],
    applies: ({ behaviour, request }) =>
      behaviour.staleMs > 0 ||
      behaviour.pendingMs > 0 ||
      behaviour.shuttingDownMs > 0 ||
      readFilters(request.params).some(({ name }) => name === 'client-token') ||
      (request.action === 'DescribeInstances' && isLong(request.params)) ||
      instances.all().some(isSpecial),
    handle: (exchange, next) => showAsOf(exchange, next, instances),
  };
}

function isSpecial(record: InstanceRecord): boolean {
  return (
    record.forgotten ||
    record.stateReason !== undefined ||
    record.events.length > 0 ||
    record.market === 'spot'
  );
}

async function showAsOf(exchange: Exchange, next: Next, instances: Instances): Promise<Answer> {
  const { request } = exchange;
  requireVisible(exchange, instances);
  const filters = readFilters(request.params);
  const ours = filters.filter(({ name }) => name === 'instance-state-name' || name.startsWith('tag'));
  const theirs = filters.filter(({ name }) => name !== 'instance-state-name');
  const translated = withFilters(request.params, withoutTokens(exchange, instances, theirs));
  const answer = await next(
    withParams(request, request.action === 'DescribeInstances' ? inOnePage(translated) : translated),
  );
  if (answer.status >= 400) return answer;
  const document = parseXML(answer.body.toString('utf8'));
  if (request.action === 'DescribeInstances') requireAll(document, request.params);
  const show = (list: readonly Element[]) =>
    list
      .map((item) => shown(exchange, instances.get(textAt(item, 'instanceId')), item))
      .filter((item) => item !== undefined)
      .filter((item) => ours.every((filter) => passes(item, filter)));
  if (request.action === 'DescribeInstanceStatus') showStatus(exchange, document, show);
  else showReservations(document, show);
  return { ...answer, body: Buffer.from(writeXML(document)) };
}

/** Moto gives 100 reservations at a time, also of instances that are asked for by id; EC2 has no pages there. */
const PAGE = 100;

function isLong(params: URLSearchParams): boolean {
  return listParam(params, 'InstanceId').length > PAGE;
}

function inOnePage(params: URLSearchParams): URLSearchParams {
  if (!isLong(params)) return params;
  const filters = readFilters(params).filter(({ name }) => name !== 'instance-id');
  const values = listParam(params, 'InstanceId');
  const paged = withFilters(withInstances(params, []), [...filters, { name: 'instance-id', values }]);
  paged.set('MaxResults', '1000');
  return paged;
}

/** A filter leaves out what does not exist; an id does not. */
function requireAll(document: Element, params: URLSearchParams): void {
  if (!isLong(params) || readFilters(params).length > 0) return;
  const found = new Set(instanceItems(document).map((item) => textAt(item, 'instanceId')));
  const missing = listParam(params, 'InstanceId').filter((id) => !found.has(id));
  if (missing.length > 0) throw notFound(missing);
}

type Show = (list: readonly Element[]) => Element[];

function showReservations(document: Element, show: Show): void {
  const set = find(document, 'reservationSet');
  if (set === undefined) return;
  for (const reservation of set.children)
    setChild(reservation, element('instancesSet', show(items(reservation, 'instancesSet'))));
  set.children = set.children.filter((reservation) => items(reservation, 'instancesSet').length > 0);
}

function showStatus(exchange: Exchange, document: Element, show: Show): void {
  const set = find(document, 'instanceStatusSet');
  if (set === undefined) return;
  const all = exchange.request.params.get('IncludeAllInstances') === 'true';
  set.children = show(set.children).filter((item) => all || stateOf(item) === 'running');
}

function requireVisible(exchange: Exchange, instances: Instances): void {
  const at = exchange.now() - exchange.behaviour.staleMs;
  const hidden = listParam(exchange.request.params, 'InstanceId').filter((id) => {
    const record = instances.get(id);
    return record !== undefined && (record.forgotten || at < record.launchedAt);
  });
  if (hidden.length > 0) throw notFound(hidden);
}

/** As EC2 says that instances do not exist. */
export function notFound(ids: readonly string[]): APIError {
  const message =
    ids.length === 1
      ? `The instance ID '${ids.join('')}' does not exist`
      : `The instance IDs '${ids.join(', ')}' do not exist`;
  return new APIError(400, 'InvalidInstanceID.NotFound', message);
}

/** Moto does not know the filter client-token: the proxy knows the tokens of what was launched through it. */
function withoutTokens(exchange: Exchange, instances: Instances, filters: readonly Filter[]): Filter[] {
  const byToken = filters.filter(({ name }) => name === 'client-token');
  if (byToken.length === 0) return [...filters];
  const mine = instances
    .all()
    .filter(
      ({ account, caller }) => account === exchange.account && caller.region === exchange.request.region,
    )
    .filter(({ clientToken }) => byToken.every((filter) => matchesFilter(clientToken, filter)))
    .map(({ id }) => id)
    .filter((id) => filters.every((filter) => filter.name !== 'instance-id' || matchesFilter(id, filter)));
  // A filter without values would match everything.
  const values = mine.length > 0 ? mine : ['i-none'];
  const others = filters.filter(({ name }) => name !== 'client-token' && name !== 'instance-id');
  return [...others, { name: 'instance-id', values }];
}

/** The item as it looked, or `undefined` when nobody sees it. What was not launched through the proxy is shown as it is. */
function shown(exchange: Exchange, record: InstanceRecord | undefined, item: Element): Element | undefined {
  if (record === undefined) return item;
  const at = exchange.now() - exchange.behaviour.staleMs;
  const state = stateAt(record, stateOf(item), at, exchange.behaviour);
  if (state === undefined) return undefined;
  const isStatus = find(item, 'instanceStatus') !== undefined;
  const base = !isStatus && state !== 'terminated' ? (record.lastSeen ?? item) : item;
  const copy = { ...base, children: [...base.children] };
  setState(copy, state);
  if (isStatus) setEvents(copy, record);
  else setDetails(copy, record, at);
  return copy;
}

function setDetails(item: Element, record: InstanceRecord, at: number): void {
  const past = record.tagHistory.find(({ until }) => at < until);
  if (past !== undefined) setChild(item, element('tagSet', past.tags));
  if (record.spotRequest !== undefined)
    setChild(item, element('spotInstanceRequestId', record.spotRequest.id));
  const reason = record.stateReason;
  if (reason === undefined || !['stopped', 'shutting-down', 'terminated'].includes(stateOf(item))) return;
  setChild(item, element('stateReason', [element('code', reason.code), element('message', reason.message)]));
  setChild(item, element('reason', reason.message));
}

function setEvents(item: Element, record: InstanceRecord): void {
  if (record.events.length === 0) return;
  const list = record.events.map((event, index) =>
    element('item', [
      element('instanceEventId', `instance-event-${record.id.slice(2)}${index}`),
      ...Object.entries(event).map(([name, value]) => element(name, value as string)),
    ]),
  );
  setChild(item, element('eventsSet', list));
}

/** Filters that moto cannot decide, because they are about what is shown. */
function passes(item: Element, filter: Filter): boolean {
  if (filter.name === 'instance-state-name') return matchesFilter(stateOf(item), filter);
  if (find(item, 'instanceStatus') !== undefined) return true;
  const tags = new Map(items(item, 'tagSet').map((tag) => [textAt(tag, 'key'), textAt(tag, 'value')]));
  if (filter.name === 'tag-key') return [...tags.keys()].some((key) => matchesFilter(key, filter));
  if (filter.name === 'tag-value') return [...tags.values()].some((value) => matchesFilter(value, filter));
  const value = tags.get(filter.name.slice('tag:'.length));
  return value !== undefined && matchesFilter(value, filter);
}
