// SPDX-License-Identifier: Apache-2.0
// `ts-provider aws iam-policy`: the least that IAM has to allow, for the manager or for instances.
import { parseArgs } from 'node:util';
import {
  type Feature,
  FEATURES,
  type Grant,
  GRANTS,
  INSTANCE_GRANTS,
  SERVICE_LINKED,
  TAGGED_BY,
} from '../../backends/aws/actions.ts';
import { UsageError } from '../manifests.ts';

export const IAM_POLICY_HELP = `ts-provider aws iam-policy [--features ${FEATURES.join(',')}] [--instance-profile-roles ARN,...]

Prints the IAM policy that the manager needs, as JSON. Only what carries the tag ts-provider/cluster is ever changed or deleted. Nothing is
asked of AWS.

  --features A,B                  default: all of ${FEATURES.join(', ')}
  --instance-profile-roles ARNS   roles of the instance profiles that machines and pools name; without them machines cannot have a profile
  --image-parameters ARNS         SSM parameters that name images; default: the public ones
  --kms-keys ARNS                 keys that volumes are encrypted with, besides the default one of the account
  --assume-roles ARNS             roles that TSClusterIdentities assume
  --interruption-queues ARNS      SQS queues that TSClusters name; without them none is read
  --for manager|instances         instances: what the role of an instance profile needs for bootstrap data in Secrets Manager or SSM
`;

/** Of a managed policy, blanks not counted. */
const MAX_POLICY_CHARACTERS = 6_144;

const PUBLIC_PARAMETERS = 'arn:*:ssm:*::parameter/aws/service/*';

interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[] | string;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** What a site fills in. */
export interface PolicyOptions {
  readonly features: readonly Feature[];
  readonly instanceProfileRoles: readonly string[];
  readonly imageParameters: readonly string[];
  readonly kmsKeys: readonly string[];
  readonly assumeRoles: readonly string[];
  readonly interruptionQueues: readonly string[];
}

/** A policy, and what is to be said about it. */
export interface PrintedPolicy {
  readonly json: string;
  readonly notes: readonly string[];
}

/** The command. Throws UsageError. */
export function iamPolicyCommand(args: readonly string[]): PrintedPolicy {
  const { values } = parseArgs({
    args: [...args],
    options: {
      features: { type: 'string', default: FEATURES.join(',') },
      'instance-profile-roles': { type: 'string', default: '' },
      'image-parameters': { type: 'string', default: PUBLIC_PARAMETERS },
      'kms-keys': { type: 'string', default: '' },
      'assume-roles': { type: 'string', default: '' },
      'interruption-queues': { type: 'string', default: '' },
      for: { type: 'string', default: 'manager' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { json: IAM_POLICY_HELP, notes: [] };
  if (values.for === 'instances') return printed(INSTANCE_GRANTS.map(statementOf), []);
  if (values.for !== 'manager') throw new UsageError(`--for is manager or instances, not "${values.for}"`);
  const options = {
    features: featuresOf(values.features),
    instanceProfileRoles: arns('instance-profile-roles', values['instance-profile-roles']),
    imageParameters: arns('image-parameters', values['image-parameters']),
    kmsKeys: arns('kms-keys', values['kms-keys']),
    assumeRoles: arns('assume-roles', values['assume-roles']),
    interruptionQueues: arns('interruption-queues', values['interruption-queues']),
  };
  const needsRoles = options.features.some((feature) => feature === 'machines' || feature === 'pools');
  const notes =
    needsRoles && options.instanceProfileRoles.length === 0
      ? ['machines with iamInstanceProfile need --instance-profile-roles with the roles of the profiles']
      : [];
  return printed(policyStatements(options), notes);
}

/** The statements of the manager's policy. */
export function policyStatements(options: PolicyOptions): Statement[] {
  const wanted = new Set(options.features);
  const grants = GRANTS.filter(({ features }) => features.some((feature) => wanted.has(feature)));
  return [...merged(grants).map(statementOf), ...siteStatements(options)];
}

/** Grants with equal conditions and resources are one statement: policies are short. */
function merged(grants: readonly Grant[]): Grant[] {
  const byTerms = new Map<string, Grant>();
  for (const grant of grants) {
    const terms = JSON.stringify([grant.only, grant.resources]);
    const known = byTerms.get(terms);
    const actions = [...new Set([...(known?.actions ?? []), ...grant.actions])].sort();
    byTerms.set(terms, { ...grant, actions });
  }
  return [...byTerms.values()];
}

const SIDS = { made: 'Make', ours: 'ChangeOurs', tagging: 'TagWhatIsMade', any: 'Use' } as const;

function statementOf(grant: Grant, index: number): Statement {
  const { actions, resources, only } = grant;
  const sid = resources === undefined ? 'Look' : SIDS[only ?? 'any'];
  const condition = conditionOf(grant);
  return {
    Sid: `${sid}${index + 1}`,
    Effect: 'Allow',
    Action: actions,
    Resource: resources ?? '*',
    ...(condition !== undefined && { Condition: condition }),
  };
}

const CLUSTER_TAG = 'ts-provider/cluster';

function conditionOf({ only, actions }: Grant): Statement['Condition'] {
  switch (only) {
    case undefined:
      return undefined;
    case 'made':
      return { Null: { [`aws:RequestTag/${CLUSTER_TAG}`]: 'false' } };
    case 'ours':
      return { Null: { [`aws:ResourceTag/${CLUSTER_TAG}`]: 'false' } };
    case 'tagging': {
      const service = actions[0]!.split(':')[0]!;
      const key = `${service}:CreateAction`;
      return { StringEquals: { [key]: TAGGED_BY[key]! } };
    }
  }
}

/** DeleteMessage allows deletion in batches as well. */
const QUEUE_ACTIONS = ['sqs:DeleteMessage', 'sqs:GetQueueUrl', 'sqs:ReceiveMessage'];

/** What no table can know. */
function siteStatements(options: PolicyOptions): Statement[] {
  const { features, instanceProfileRoles, imageParameters, kmsKeys, assumeRoles, interruptionQueues } =
    options;
  const makesInstances = features.some((feature) => feature === 'machines' || feature === 'pools');
  const services = features.flatMap((feature) => SERVICE_LINKED[feature] ?? []).sort();
  const statements: (Statement & { readonly isWanted: boolean })[] = [
    {
      isWanted: makesInstances && instanceProfileRoles.length > 0,
      Sid: 'GiveRolesToInstances',
      Effect: 'Allow',
      Action: ['iam:PassRole'],
      Resource: instanceProfileRoles,
      Condition: {
        StringEquals: { 'iam:PassedToService': ['ec2.amazonaws.com', 'ec2.amazonaws.com.cn'] },
      },
    },
    {
      isWanted: makesInstances && imageParameters.length > 0,
      Sid: 'ReadImageParameters',
      Effect: 'Allow',
      Action: ['ssm:GetParameter'],
      Resource: imageParameters,
    },
    {
      isWanted: makesInstances && kmsKeys.length > 0,
      Sid: 'EncryptVolumes',
      Effect: 'Allow',
      Action: [
        ...['kms:CreateGrant', 'kms:Decrypt', 'kms:DescribeKey'],
        ...['kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'],
      ],
      Resource: kmsKeys,
    },
    {
      isWanted: services.length > 0,
      Sid: 'FirstUseOfServices',
      Effect: 'Allow',
      Action: ['iam:CreateServiceLinkedRole'],
      Resource: 'arn:*:iam::*:role/aws-service-role/*',
      Condition: { StringEquals: { 'iam:AWSServiceName': services } },
    },
    {
      isWanted: assumeRoles.length > 0,
      Sid: 'AssumeRoles',
      Effect: 'Allow',
      Action: ['sts:AssumeRole'],
      Resource: assumeRoles,
    },
    {
      isWanted: interruptionQueues.length > 0,
      Sid: 'ReadInterruptionQueues',
      Effect: 'Allow',
      Action: QUEUE_ACTIONS,
      Resource: interruptionQueues,
    },
  ];
  return statements
    .filter(({ isWanted }) => isWanted)
    .map(({ isWanted: _isWanted, ...statement }) => statement);
}

function printed(statements: readonly Statement[], notes: readonly string[]): PrintedPolicy {
  const policy = { Version: '2012-10-17', Statement: statements };
  const characters = JSON.stringify(policy).length;
  const tooLarge =
    `this policy has ${characters} characters, and a managed policy of IAM holds ${MAX_POLICY_CHARACTERS}: ` +
    'print one for each feature (--features), and attach them all';
  return {
    json: `${JSON.stringify(policy, undefined, 2)}\n`,
    notes: characters > MAX_POLICY_CHARACTERS ? [...notes, tooLarge] : notes,
  };
}

function featuresOf(text: string): Feature[] {
  const names = listOf(text);
  const unknown = names.filter((name) => !FEATURES.some((feature) => feature === name));
  if (unknown.length > 0 || names.length === 0)
    throw new UsageError(
      `--features: there is no "${unknown.join('", "')}"; there are: ${FEATURES.join(', ')}`,
    );
  return FEATURES.filter((feature) => names.includes(feature));
}

/** `arn:aws:iam::123456789012:role/nodes,...`; every part may have wildcards. */
function arns(option: string, text: string): string[] {
  const list = listOf(text);
  const wrong = list.filter((arn) => !/^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+$/.test(arn));
  if (wrong.length > 0)
    throw new UsageError(
      `--${option}: "${wrong.join('", "')}" is no ARN, such as arn:aws:iam::123456789012:role/nodes`,
    );
  return list;
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
