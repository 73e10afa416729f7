// SPDX-License-Identifier: Apache-2.0
// What happens to instances without the client: somebody stops or ends them, the cloud takes a spot instance back or plans work.
import type { Instances, ScheduledEvent, StateReason } from './instances.ts';
import { answerOf } from './protocol.ts';
import { matchesFilter, readFilters } from './filters.ts';
import type { Rule } from './rule.ts';
import type { Upstream } from './upstream.ts';
import { element, writeXML } from './xml.ts';

export interface Outside {
  /** DescribeInstanceStatus tells it; an empty list takes all back. */
  scheduleEvent(instanceID: string, ...events: readonly ScheduledEvent[]): void;
  /** Somebody else, with this reason. Default: a user. */
  stopOutside(instanceID: string, reason?: StateReason): Promise<void>;
  terminateOutside(instanceID: string, reason?: StateReason): Promise<void>;
  /** The two minutes' notice: the spot request is `marked-for-termination`. */
  warnOfInterruption(instanceID: string): void;
  /** The end of a spot instance. */
  interrupt(instanceID: string): Promise<void>;
  /** The cloud does not list it any more, as an hour after its end. */
  forget(instanceID: string): void;
}

const BY_USER = {
  code: 'Client.UserInitiatedShutdown',
  message: 'Client.UserInitiatedShutdown: User initiated shutdown',
};
const BY_SPOT = {
  code: 'Server.SpotInstanceTermination',
  message: 'Server.SpotInstanceTermination: Spot instance termination',
};

/** Needs instances that were launched through the proxy. */
export function outside(instances: Instances, upstream: Upstream, now: () => number): Outside {
  const need = (id: string) => {
    const record = instances.get(id);
    if (record === undefined) throw new Error(`${id} was not launched through this proxy`);
    return record;
  };
  const act = async (id: string, action: string, reason: StateReason) => {
    const record = need(id);
    await upstream.ask(record.caller, { service: 'ec2', action, params: { 'InstanceId.1': id } });
    record.stateReason = reason;
    if (action === 'TerminateInstances') record.terminatedAt ??= now();
  };
  const spot = (id: string, code: string, message: string) => {
    const request = need(id).spotRequest;
    if (request === undefined) throw new Error(`${id} is not a spot instance`);
    Object.assign(request, { code, message });
  };
  return {
    scheduleEvent: (id, ...events) => void (need(id).events = events),
    stopOutside: (id, reason = BY_USER) => act(id, 'StopInstances', reason),
    terminateOutside: (id, reason = BY_USER) => act(id, 'TerminateInstances', reason),
    warnOfInterruption: (id) =>
      spot(id, 'marked-for-termination', 'Your Spot instance is marked for termination.'),
    async interrupt(id) {
      spot(
        id,
        'instance-terminated-no-capacity',
        'Your Spot instance was terminated: there is no capacity any more.',
      );
      await act(id, 'TerminateInstances', BY_SPOT);
    },
    forget: (id) => void (need(id).forgotten = true),
  };
}

/** DescribeSpotInstanceRequests, which moto does not fill for RunInstances. Answers the filters and ids that name requests. */
export function spotRequests(instances: Instances): Rule {
  return {
    actions: ['ec2.DescribeSpotInstanceRequests'],
    async handle(exchange) {
      const { params, region } = exchange.request;
      const ids = [...params]
        .filter(([name]) => name.startsWith('SpotInstanceRequestId.'))
        .map(([, value]) => value);
      const rows = instances
        .all()
        .filter(({ account, caller }) => account === exchange.account && caller.region === region)
        .flatMap(({ id, spotRequest, terminatedAt }) =>
          spotRequest === undefined ? [] : [rowOf(id, spotRequest, terminatedAt === undefined)],
        )
        .filter((row) => ids.length === 0 || ids.includes(row['spot-instance-request-id']))
        .filter((row) =>
          readFilters(params).every((filter) => matchesFilter(row[filter.name as Name] ?? '', filter)),
        );
      const list = element('spotInstanceRequestSet', rows.map(itemOf));
      const document = element('DescribeSpotInstanceRequestsResponse', [list, element('requestId', 'proxy')]);
      return answerOf(200, 'text/xml;charset=UTF-8', writeXML(document));
    },
  };
}

type Name = 'spot-instance-request-id' | 'instance-id' | 'state' | 'status-code' | 'status-message';

function rowOf(
  instanceID: string,
  { id, code, message }: { id: string; code: string; message: string },
  isAlive: boolean,
): Record<Name, string> {
  const state = isAlive ? 'active' : 'closed';
  return {
    'spot-instance-request-id': id,
    'instance-id': instanceID,
    state,
    'status-code': code,
    'status-message': message,
  };
}

function itemOf(row: Record<Name, string>) {
  return element('item', [
    element('spotInstanceRequestId', row['spot-instance-request-id']),
    element('instanceId', row['instance-id']),
    element('state', row.state),
    element('status', [element('code', row['status-code']), element('message', row['status-message'])]),
  ]);
}
