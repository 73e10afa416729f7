// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { bucketOf, type Limits, type Service } from './limits.ts';

describe('the bucket of a call', () => {
  it.each<[Service, string, string, Limits]>([
    ['ec2', 'DescribeInstances', 'DescribeInstances', { size: 100, perSecond: 20 }],
    ['ec2', 'RunInstances', 'RunInstances', { size: 5, perSecond: 2 }],
    ['ec2', 'TerminateInstances', 'TerminateInstances', { size: 100, perSecond: 5 }],
    ['ec2', 'CreateTags', 'CreateTags', { size: 100, perSecond: 10 }],
    ['ec2', 'CreateNatGateway', 'CreateNatGateway', { size: 10, perSecond: 1 }],
    ['ec2', 'CreateSubnet', 'CreateSubnet', { size: 50, perSecond: 5 }],
    ['ec2', 'AuthorizeSecurityGroupIngress', 'AuthorizeSecurityGroupIngress', { size: 50, perSecond: 5 }],
    [
      'elasticloadbalancing',
      'DescribeTargetHealth',
      'elasticloadbalancing/read',
      { size: 40, perSecond: 10 },
    ],
    ['elasticloadbalancing', 'DeregisterTargets', 'elasticloadbalancing/targets', { size: 20, perSecond: 4 }],
    [
      'elasticloadbalancing',
      'CreateLoadBalancer',
      'elasticloadbalancing/resource-intensive',
      { size: 10, perSecond: 0.2 },
    ],
    ['elasticloadbalancing', 'CreateListener', 'elasticloadbalancing/write', { size: 20, perSecond: 3 }],
    ['ssm', 'GetParameter', 'ssm/read', { size: 40, perSecond: 40 }],
    ['ssm', 'PutParameter', 'ssm/write', { size: 10, perSecond: 3 }],
    ['sqs', 'ReceiveMessage', 'sqs', { size: 20, perSecond: 10 }],
    ['sts', 'AssumeRole', 'sts', { size: 600, perSecond: 600 }],
  ])('%s %s: %s', (service, action, name, limits) => {
    expect(bucketOf(service, action)).toEqual({ name, limits });
  });
});
