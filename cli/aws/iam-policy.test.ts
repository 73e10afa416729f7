// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Feature, FEATURES, GRANTS, INSTANCE_GRANTS, TAGGED_BY } from '../../backends/aws/actions.ts';
import { PART_HANDLER } from '../../backends/aws/user-data/part-handler.ts';
import { UsageError } from '../manifests.ts';
import { iamPolicyCommand } from './iam-policy.ts';

const ROLE = 'arn:aws:iam::123456789012:role/nodes';

interface Statement {
  readonly Sid: string;
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

function statements(...args: readonly string[]): Statement[] {
  return (JSON.parse(iamPolicyCommand(args).json) as { Statement: Statement[] }).Statement;
}

const actionsOf = (...args: readonly string[]) => statements(...args).flatMap(({ Action }) => Action);

/** Folder of the code -> the feature that it is; upkeep and session serve every machine. */
const FEATURE_OF: Readonly<Record<string, Feature>> = {
  ...{ instance: 'machines', upkeep: 'machines', session: 'machines', network: 'network' },
  ...{ 'load-balancer': 'load-balancer', pool: 'pools', 'user-data': 'user-data' },
};

const SERVICE_OF: Readonly<Record<string, string>> = {
  ...{ ec2: 'ec2', 'elastic-load-balancing-v2': 'elasticloadbalancing', 'auto-scaling': 'autoscaling' },
  ...{ sts: 'sts', 'secrets-manager': 'secretsmanager', ssm: 'ssm', sqs: 'sqs' },
};

/** What a site fills in by ARN. */
const BY_OPTION = [
  ...['ssm:GetParameter', 'sts:AssumeRole'],
  ...['sqs:DeleteMessageBatch', 'sqs:GetQueueUrl', 'sqs:ReceiveMessage'],
];

const root = resolve(import.meta.dirname, '../../backends/aws');

/** `ec2:RunInstances` by feature, as the code imports commands. */
function commandsInCode(): { readonly feature: Feature; readonly action: string }[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && path.includes('/'))
    .flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const imports = [...text.matchAll(/import \{([^}]*)\} from '@aws-sdk\/client-([a-z0-9-]+)'/g)];
      return imports.flatMap(([, names = '', client = '']) =>
        [...names.matchAll(/(?<!type )\b([A-Za-z]+)Command\b/g)].map(([, name = '']) => ({
          feature: FEATURE_OF[path.split('/')[0]!]!,
          action: `${SERVICE_OF[client]}:${name}`,
        })),
      );
    })
    .filter(({ action }) => !BY_OPTION.includes(action));
}

describe('the table of actions', () => {
  it('allows every command of the code, in the feature that sends it', () => {
    const used = commandsInCode();
    expect(used.length).toBeGreaterThan(60);
    const missing = used.filter(
      ({ feature, action }) =>
        !GRANTS.some(({ features, actions }) => features.includes(feature) && actions.includes(action)),
    );
    expect(missing).toEqual([]);
  });

  it('allows what is asked of load balancers by whoever ends a machine, or a cluster without one', () => {
    // load-balancer/targets-of-group.ts for each control plane machine, load-balancer/remove.ts for each cluster.
    for (const feature of ['machines', 'network'])
      expect(actionsOf('--features', feature)).toEqual(
        expect.arrayContaining([
          'elasticloadbalancing:DescribeTags',
          'elasticloadbalancing:DescribeTargetGroups',
        ]),
      );
    expect(actionsOf('--features', 'network')).toContain('elasticloadbalancing:DescribeLoadBalancers');
  });

  it('allows nothing that the code does not send', () => {
    const used = new Set(commandsInCode().map(({ action }) => action));
    const asked = GRANTS.filter(({ isImplied }) => isImplied !== true).flatMap(({ actions }) => actions);
    expect([...new Set(asked)].filter((action) => !used.has(action))).toEqual([]);
  });

  it('changes only what has our tag, and makes only what gets it', () => {
    const wild = GRANTS.filter(({ resources }) => resources === undefined).flatMap(({ actions }) => actions);
    expect(wild.filter((action) => !/:(Describe|List|Get)/.test(action))).toEqual([]);
    const unbound = GRANTS.filter(({ resources, only }) => resources !== undefined && only === undefined);
    // What these use may be somebody else's; what they make or change is bound by a grant of its own.
    expect(unbound.flatMap(({ actions }) => actions).sort()).toEqual([
      'ec2:CreateSecurityGroup',
      'ec2:ModifyNetworkInterfaceAttribute',
      'ec2:RunInstances',
    ]);
    const destructive = /:(Terminate|Delete|Modify|Release|Detach|Revoke|Disassociate|Deregister)/;
    const loose = GRANTS.filter(({ only }) => only !== 'ours').flatMap(({ actions }) => actions);
    expect(loose.filter((action) => destructive.test(action))).toEqual([
      'ec2:ModifyNetworkInterfaceAttribute',
    ]);
  });

  it('lets tags be written by every call that makes something in EC2', () => {
    const made = GRANTS.filter(({ only }) => only === 'made').flatMap(({ actions }) => actions);
    for (const service of ['ec2', 'elasticloadbalancing']) {
      const creating = made
        .filter((action) => action.startsWith(`${service}:`))
        .map((action) => action.split(':')[1]);
      expect([...new Set(creating)].sort()).toEqual([...TAGGED_BY[`${service}:CreateAction`]!].sort());
    }
  });

  it('lets an instance do what its part handler does', () => {
    const sent = [...PART_HANDLER.matchAll(/"(?:secretsmanager|AmazonSSM)\.([A-Za-z]+)"/g)].map(
      ([, name]) => name,
    );
    const allowed = INSTANCE_GRANTS.flatMap(({ actions }) => actions).map((action) => action.split(':')[1]);
    expect(allowed.sort()).toEqual(sent.sort());
  });
});

describe('ts-provider aws iam-policy', () => {
  it('leaves out what is not asked for', () => {
    const machines = actionsOf('--features', 'machines');
    expect(machines).toContain('ec2:RunInstances');
    expect(machines.filter((action) => /Vpc$|LoadBalancer|AutoScaling|Secret$/.test(action))).toEqual([]);
    expect(actionsOf('--features', 'machines,network')).toContain('ec2:CreateVpc');
  });

  it('says each action once for the same terms, and every statement has a name of its own', () => {
    const all = statements('--instance-profile-roles', ROLE);
    expect(new Set(all.map(({ Sid }) => Sid)).size).toBe(all.length);
    expect(all.every(({ Sid }) => /^[A-Za-z0-9]+$/.test(Sid))).toBe(true);
    for (const { Action } of all) expect(new Set(Action).size).toBe(Action.length);
  });

  it('allows termination with our tag only', () => {
    const [statement, ...others] = statements().filter(({ Action }) =>
      Action.includes('ec2:TerminateInstances'),
    );
    expect(others).toEqual([]);
    expect(statement).toMatchObject({
      Resource: ['arn:*:ec2:*:*:instance/*'],
      Condition: { Null: { 'aws:ResourceTag/ts-provider/cluster': 'false' } },
    });
  });

  it('passes only the roles that are named, to EC2', () => {
    expect(actionsOf()).not.toContain('iam:PassRole');
    expect(iamPolicyCommand([]).notes.join()).toContain('--instance-profile-roles');
    const [statement] = statements('--instance-profile-roles', ROLE).filter(({ Action }) =>
      Action.includes('iam:PassRole'),
    );
    expect(statement).toMatchObject({ Resource: [ROLE] });
    expect(JSON.stringify(statement?.Condition)).toContain('ec2.amazonaws.com');
  });

  it('reads the parameters and uses the keys and roles that are named', () => {
    const key = 'arn:aws:kms:eu-central-1:123456789012:key/1';
    expect(actionsOf('--kms-keys', key)).toContain('kms:CreateGrant');
    expect(actionsOf('--assume-roles', ROLE)).toContain('sts:AssumeRole');
    expect(actionsOf()).not.toContain('sts:AssumeRole');
    const [read] = statements('--image-parameters', 'arn:aws:ssm:eu-central-1:1:parameter/images/*').filter(
      ({ Sid }) => Sid === 'ReadImageParameters',
    );
    expect(read?.Resource).toEqual(['arn:aws:ssm:eu-central-1:1:parameter/images/*']);
  });

  it('reads and empties the queues that are named, whatever the features, and no others', () => {
    const queue = 'arn:aws:sqs:eu-central-1:123456789012:interruptions';
    const all = statements('--features', 'pools', '--interruption-queues', queue);
    expect(all.filter(({ Action }) => Action.some((action) => action.startsWith('sqs:')))).toEqual([
      {
        Sid: 'ReadInterruptionQueues',
        Effect: 'Allow',
        Action: ['sqs:DeleteMessage', 'sqs:GetQueueUrl', 'sqs:ReceiveMessage'],
        Resource: [queue],
      },
    ]);
    expect(actionsOf().filter((action) => action.startsWith('sqs:'))).toEqual([]);
  });

  it('fits into a managed policy for each feature, and says so where it does not', () => {
    for (const feature of FEATURES) {
      const { notes } = iamPolicyCommand(['--features', feature, '--instance-profile-roles', ROLE]);
      expect(notes).toEqual([]);
    }
    const { json, notes } = iamPolicyCommand(['--instance-profile-roles', ROLE]);
    const characters = JSON.stringify(JSON.parse(json)).length;
    expect(notes.join().includes('print one for each feature')).toBe(characters > 6_144);
  });

  it('names what it does not know', () => {
    expect(() => iamPolicyCommand(['--features', 'machines,dns'])).toThrow(UsageError);
    expect(() => iamPolicyCommand(['--features', 'machines,dns'])).toThrow(
      'there is no "dns"; there are: machines',
    );
    expect(() => iamPolicyCommand(['--instance-profile-roles', 'nodes'])).toThrow('"nodes" is no ARN');
    expect(() => iamPolicyCommand(['--for', 'pods'])).toThrow('manager or instances');
  });
});
