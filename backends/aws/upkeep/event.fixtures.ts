// SPDX-License-Identifier: Apache-2.0
// Events as EventBridge puts them into a queue, in the shapes of AWS' documentation.

export const ACCOUNT = '123456789012';
export const REGION = 'eu-central-1';

const envelope = {
  version: '0',
  id: '12345678-1234-1234-1234-123456789012',
  source: 'aws.ec2',
  account: ACCOUNT,
  time: '2026-01-01T00:00:00Z',
  region: REGION,
};

export function spotWarning(instanceID: string, changes: object = {}, action = 'terminate'): string {
  return JSON.stringify({
    ...envelope,
    'detail-type': 'EC2 Spot Instance Interruption Warning',
    resources: [`arn:aws:ec2:${REGION}a:instance/${instanceID}`],
    detail: { 'instance-id': instanceID, 'instance-action': action },
    ...changes,
  });
}

export function rebalanceRecommendation(instanceID: string, changes: object = {}): string {
  return JSON.stringify({
    ...envelope,
    'detail-type': 'EC2 Instance Rebalance Recommendation',
    resources: [`arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${instanceID}`],
    detail: { 'instance-id': instanceID },
    ...changes,
  });
}

export function stateChange(instanceID: string, state: string): string {
  return JSON.stringify({
    ...envelope,
    'detail-type': 'EC2 Instance State-change Notification',
    resources: [`arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${instanceID}`],
    detail: { 'instance-id': instanceID, state },
  });
}

export function healthEvent(instanceIDs: readonly string[], changes: object = {}): string {
  return JSON.stringify({
    ...envelope,
    source: 'aws.health',
    'detail-type': 'AWS Health Event',
    resources: instanceIDs,
    detail: {
      eventArn: `arn:aws:health:${REGION}::event/EC2/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED/1`,
      service: 'EC2',
      eventTypeCode: 'AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED',
      eventTypeCategory: 'scheduledChange',
      eventScopeCode: 'ACCOUNT_SPECIFIC',
      affectedEntities: instanceIDs.map((entityValue) => ({ entityValue, status: 'IMPAIRED' })),
      affectedAccount: ACCOUNT,
      ...changes,
    },
  });
}
