// SPDX-License-Identifier: Apache-2.0
// Auto Scaling groups and launch templates, where moto differs: it forgets which version of a template an instance was made from, keeps
// interfaces of what has ended, cannot delete versions, and fails for instances of a version that was added with user data.
import { withFilters } from './filters.ts';
import { instanceItems } from './instances.ts';
import { answerOf, APIError, type APIRequest, listParam, withParams } from './protocol.ts';
import type { Exchange, Rule } from './rule.ts';
import { type Element, element, find, items, parseXML, setChild, textAt, writeXML } from './xml.ts';

export interface Groups {
  readonly rules: readonly Rule[];
  clear(): void;
}

/** What moto is not told of versions; keys are `lt-1/2`. */
interface Versions {
  readonly deleted: Set<string>;
  /** In base64. */
  readonly userData: Map<string, string>;
  /** Instances that have theirs. */
  readonly served: Set<string>;
}

/** The rules. */
export function groups(): Groups {
  const versions: Versions = { deleted: new Set(), userData: new Map(), served: new Set() };
  return {
    rules: [
      ...[groupChanges(versions), groupDescriptions()],
      ...[versionCreations(versions), versionDeletions(versions), versionList(versions)],
    ],
    clear() {
      versions.deleted.clear();
      versions.userData.clear();
      versions.served.clear();
    },
  };
}

/** What may make or end instances of a group. */
const CHANGES = [
  'CreateAutoScalingGroup',
  'TerminateInstanceInAutoScalingGroup',
  'UpdateAutoScalingGroup',
  'SetDesiredCapacity',
  'DeleteAutoScalingGroup',
];

/** With an instance go its interfaces; a new one gets the user data that moto was not told. */
function groupChanges(versions: Versions): Rule {
  return {
    actions: CHANGES.map((action) => `autoscaling.${action}`),
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 500) throw noMember(exchange.request);
      if (answer.status >= 400) return answer;
      await sweep(exchange);
      if (versions.userData.size > 0) await giveUserData(exchange, versions);
      return answer;
    },
  };
}

/** Moto fails for an instance that is in no group; AWS refuses. */
function noMember({ action, params }: APIRequest): APIError {
  const id = params.get('InstanceId') ?? '';
  const message = `Instance Id not found - No managed instance found for instance ID: ${id}`;
  if (action === 'TerminateInstanceInAutoScalingGroup') return new APIError(400, 'ValidationError', message);
  return new APIError(500, 'InternalFailure', 'We encountered an internal error. Please try again.');
}

async function sweep(exchange: Exchange): Promise<void> {
  const ask = (action: string, params: Record<string, string> = {}) =>
    exchange.ask({ service: 'ec2', action, params });
  const filters = [
    { name: 'instance-state-name', values: ['terminated'] },
    // Others were made by RunInstances, for which the proxy says what moto shall do.
    { name: 'tag-key', values: [VERSION_TAG] },
  ];
  const params = Object.fromEntries(withFilters(new URLSearchParams({ MaxResults: '1000' }), filters));
  const ended = new Set(
    instanceItems(await ask('DescribeInstances', params)).map((item) => textAt(item, 'instanceId')),
  );
  for (const one of items(await ask('DescribeNetworkInterfaces'), 'networkInterfaceSet'))
    if (ended.has(textAt(one, 'attachment', 'instanceId')))
      await ask('DeleteNetworkInterface', { NetworkInterfaceId: textAt(one, 'networkInterfaceId') });
}

async function giveUserData(exchange: Exchange, { userData, served }: Versions): Promise<void> {
  for (const [InstanceId, version] of await versionsOf(exchange)) {
    const data = userData.get(version);
    if (data === undefined || served.has(InstanceId)) continue;
    // Moto takes one layer of base64 off more than AWS does.
    const params = { InstanceId, 'UserData.Value': Buffer.from(data).toString('base64') };
    await exchange.ask({ service: 'ec2', action: 'ModifyInstanceAttribute', params });
    served.add(InstanceId);
  }
}

/** The version that an instance was made from, not the one that is the default now. */
function groupDescriptions(): Rule {
  return {
    actions: ['autoscaling.DescribeAutoScalingGroups'],
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const members = items(document, 'DescribeAutoScalingGroupsResult', 'AutoScalingGroups').flatMap(
        (group) => items(group, 'Instances'),
      );
      if (members.length === 0) return answer;
      const versions = await versionsOf(exchange);
      for (const member of members) {
        const template = find(member, 'LaunchTemplate');
        const version = versions.get(textAt(member, 'InstanceId'))?.split('/')[1];
        if (template !== undefined && version !== undefined) setChild(template, element('Version', version));
      }
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}

const TEMPLATE_TAG = 'aws:ec2launchtemplate:id';
const VERSION_TAG = 'aws:ec2launchtemplate:version';

/** `lt-1/2` by instance. */
async function versionsOf(exchange: Exchange): Promise<Map<string, string>> {
  const params = { 'Filter.1.Name': 'tag-key', 'Filter.1.Value.1': VERSION_TAG, MaxResults: '1000' };
  const answer = await exchange.ask({ service: 'ec2', action: 'DescribeInstances', params });
  const tag = (item: Element, key: string) =>
    textAt(
      items(item, 'tagSet').find((one) => textAt(one, 'key') === key),
      'value',
    );
  return new Map(
    instanceItems(answer).map((item) => [
      textAt(item, 'instanceId'),
      `${tag(item, TEMPLATE_TAG)}/${tag(item, VERSION_TAG)}`,
    ]),
  );
}

const USER_DATA = 'LaunchTemplateData.UserData';

function versionCreations({ userData }: Versions): Rule {
  return {
    actions: ['ec2.CreateLaunchTemplateVersion'],
    async handle({ request }, next) {
      const params = new URLSearchParams(request.params);
      const data = params.get(USER_DATA);
      params.delete(USER_DATA);
      const answer = await next(withParams(request, params));
      if (answer.status >= 400 || data === null) return answer;
      userData.set(keyOf(find(parseXML(answer.body.toString('utf8')), 'launchTemplateVersion')), data);
      return answer;
    },
  };
}

function keyOf(version: Element | undefined): string {
  return `${textAt(version, 'launchTemplateId')}/${textAt(version, 'versionNumber')}`;
}

function versionDeletions({ deleted }: Versions): Rule {
  return {
    actions: ['ec2.DeleteLaunchTemplateVersions'],
    handle({ request }) {
      const id = request.params.get('LaunchTemplateId') ?? '';
      const versions = listParam(request.params, 'LaunchTemplateVersion');
      for (const version of versions) deleted.add(`${id}/${version}`);
      const done = versions.map((version) =>
        element('item', [element('launchTemplateId', id), element('versionNumber', version)]),
      );
      const document = element('DeleteLaunchTemplateVersionsResponse', [
        ...[element('requestId', 'proxy'), element('successfullyDeletedLaunchTemplateVersionSet', done)],
      ]);
      return Promise.resolve(answerOf(200, 'text/xml;charset=UTF-8', writeXML(document)));
    },
  };
}

function versionList({ deleted, userData }: Versions): Rule {
  return {
    actions: ['ec2.DescribeLaunchTemplateVersions'],
    applies: () => deleted.size + userData.size > 0,
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const document = parseXML(answer.body.toString('utf8'));
      const set = find(document, 'launchTemplateVersionSet') ?? element('');
      set.children = set.children.filter((item) => !deleted.has(keyOf(item)));
      for (const item of set.children) {
        const data = userData.get(keyOf(item));
        const content = find(item, 'launchTemplateData');
        if (data !== undefined && content !== undefined) setChild(content, element('userData', data));
      }
      return { ...answer, body: Buffer.from(writeXML(document)) };
    },
  };
}
