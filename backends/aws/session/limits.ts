// SPDX-License-Identifier: Apache-2.0
// The token buckets of AWS' own, as it documents them for an account that has asked for nothing. Where we begin; answers correct it.
// EC2: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html, each action has a bucket of its own.
// Elastic Load Balancing: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html.

/** A token bucket. */
export interface Limits {
  readonly size: number;
  readonly perSecond: number;
}

/** The services that we call. */
export type Service = 'ec2' | 'elasticloadbalancing' | 'autoscaling' | 'secretsmanager' | 'ssm' | 'sts';

/** Which bucket of the account a call takes from, and how large that is. */
export interface Bucket {
  /** The action for EC2, the service and a group of its actions otherwise. */
  readonly name: string;
  readonly limits: Limits;
}

const READ = /^(Describe|List|Get|Search)/;

/** Actions of EC2 with limits of their own. */
const EC2_ACTIONS: Readonly<Record<string, Limits>> = {
  RunInstances: { size: 5, perSecond: 2 },
  StartInstances: { size: 5, perSecond: 2 },
  TerminateInstances: { size: 100, perSecond: 5 },
};

const REGISTRATION = /^(Register|Deregister)Targets$/;

/** The bucket of a call. */
export function bucketOf(service: Service, action: string): Bucket {
  switch (service) {
    case 'ec2':
      return { name: action, limits: ec2Limits(action) };
    case 'elasticloadbalancing':
      if (READ.test(action))
        return { name: 'elasticloadbalancing/read', limits: { size: 40, perSecond: 10 } };
      if (REGISTRATION.test(action))
        return { name: 'elasticloadbalancing/targets', limits: { size: 20, perSecond: 4 } };
      return { name: 'elasticloadbalancing/write', limits: { size: 20, perSecond: 3 } };
    case 'ssm':
      if (READ.test(action)) return { name: 'ssm/read', limits: { size: 40, perSecond: 40 } };
      return { name: 'ssm/write', limits: { size: 10, perSecond: 3 } };
    case 'secretsmanager':
      return { name: service, limits: { size: 50, perSecond: 50 } };
    case 'sts':
      return { name: service, limits: { size: 100, perSecond: 100 } };
    case 'autoscaling': // Not documented.
      return { name: service, limits: { size: 50, perSecond: 10 } };
  }
}

function ec2Limits(action: string): Limits {
  const own = EC2_ACTIONS[action];
  if (own !== undefined) return own;
  // What AWS calls mutating, and what it calls resource intensive, have the same limits.
  return READ.test(action) ? { size: 100, perSecond: 20 } : { size: 50, perSecond: 5 };
}
