// SPDX-License-Identifier: Apache-2.0
// The token buckets of AWS' own, for an account that has asked for nothing. Where we begin; answers correct it. What AWS publishes of them
// and what is a guess of ours is said line by line.
// EC2: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html, each action has a bucket of its own.
// Elastic Load Balancing: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html.
// Systems Manager: https://docs.aws.amazon.com/general/latest/gr/ssm.html. Secrets Manager:
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html. STS:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. These publish rates only: the sizes are ours.

/** A token bucket. */
export interface Limits {
  readonly size: number;
  readonly perSecond: number;
}

/** The services that we call. */
export type Service =
  'ec2' | 'elasticloadbalancing' | 'autoscaling' | 'secretsmanager' | 'ssm' | 'sqs' | 'sts';

/** Which bucket of the account a call takes from, and how large that is. */
export interface Bucket {
  /** The action for EC2, the service and a group of its actions otherwise. */
  readonly name: string;
  readonly limits: Limits;
}

const READ = /^(Describe|List|Get|Search)/;

/**
 * Actions of EC2 with limits of their own, as published. RunInstances and TerminateInstances have a second bucket that counts instances
 * (1000, then 2 and 20 each second): a call of ours makes or ends few, so that this one is empty first.
 */
const EC2_ACTIONS: Readonly<Record<string, Limits>> = {
  RunInstances: { size: 5, perSecond: 2 },
  TerminateInstances: { size: 100, perSecond: 5 },
  CreateTags: { size: 100, perSecond: 10 },
  CreateNatGateway: { size: 10, perSecond: 1 },
  DeleteNatGateway: { size: 10, perSecond: 1 },
  CreateLaunchTemplateVersion: { size: 100, perSecond: 5 },
  ModifyLaunchTemplate: { size: 100, perSecond: 5 },
  ModifyInstanceMetadataOptions: { size: 100, perSecond: 5 },
  ModifyNetworkInterfaceAttribute: { size: 100, perSecond: 5 },
};

/** The bucket of a call. */
export function bucketOf(service: Service, action: string): Bucket {
  switch (service) {
    case 'ec2':
      return { name: action, limits: ec2Limits(action) };
    case 'elasticloadbalancing':
      return loadBalancingBucket(action);
    case 'ssm':
      // Published: 40 for GetParameter. That other reads share it is ours.
      if (READ.test(action)) return { name: 'ssm/read', limits: { size: 40, perSecond: 40 } };
      // Ours: nothing was found published of PutParameter and DeleteParameters.
      return { name: 'ssm/write', limits: { size: 10, perSecond: 3 } };
    case 'secretsmanager': // Published: 50 for each of CreateSecret, DeleteSecret, ListSecrets. One bucket for all is ours.
      return { name: service, limits: { size: 50, perSecond: 50 } };
    case 'sts': // Published: 600, shared by all that we call.
      return { name: service, limits: { size: 600, perSecond: 600 } };
    case 'sqs': // Published: practically none for standard queues. Ours: what a flood of events may cost.
      return { name: service, limits: { size: 20, perSecond: 10 } };
    case 'autoscaling': // Published: that all actions share one bucket. Its size and rate are ours.
      return { name: service, limits: { size: 50, perSecond: 10 } };
  }
}

/** As published: reads, and what is mutating or resource-intensive. Looks without filter and page have half of it; ours have either. */
function ec2Limits(action: string): Limits {
  const own = EC2_ACTIONS[action];
  if (own !== undefined) return own;
  return READ.test(action) ? { size: 100, perSecond: 20 } : { size: 50, perSecond: 5 };
}

const REGISTRATION = /^(Register|Deregister)Targets$/;
const RESOURCE_INTENSIVE = /^(CreateLoadBalancer|SetSubnets)$/;

/** As published for version 2 of the API. One more bucket (40, then 10 each second) counts all calls of the account; it is not kept here. */
function loadBalancingBucket(action: string): Bucket {
  if (READ.test(action)) return { name: 'elasticloadbalancing/read', limits: { size: 40, perSecond: 10 } };
  if (REGISTRATION.test(action))
    return { name: 'elasticloadbalancing/targets', limits: { size: 20, perSecond: 4 } };
  if (RESOURCE_INTENSIVE.test(action))
    return { name: 'elasticloadbalancing/resource-intensive', limits: { size: 10, perSecond: 0.2 } };
  return { name: 'elasticloadbalancing/write', limits: { size: 20, perSecond: 3 } };
}
