// SPDX-License-Identifier: Apache-2.0
// The target group: the API servers as the load balancer sees them.
import {
  AddTagsCommand,
  CreateTargetGroupCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NLBSpec } from '../../../api/aws/cluster.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { NetworkFacts } from '../network/facts.ts';
import { named } from './balancer.ts';
import { differing, type Group, type Pairs, type Seen, withGroupARN } from './look.ts';
import { invalid, type Scope, wantedTags } from './scope.ts';

/** How long connections to an API server that is taken out may go on. Clients find another one within a second or two. */
export const DRAIN_SECONDS = 15;

/**
 * - Without client addresses: an instance that is a target reaches its own API server through the load balancer, as kubeadm and the
 *   kubelet do, and would otherwise get packets from its own address, which it drops. API servers see addresses of the load balancer
 *   instead, so that security groups of machines let that in, and those of the load balancer say who may ask.
 * - Connections are cut when the time to drain is over: clients that only wait, as all watches do, would hang until a timeout.
 */
const ATTRIBUTES: Pairs = {
  'preserve_client_ip.enabled': 'false',
  'deregistration_delay.timeout_seconds': String(DRAIN_SECONDS),
  'deregistration_delay.connection_termination.enabled': 'true',
};

/** Makes the target group where there is none, else puts right what was changed. */
export async function settleGroup(
  ctx: Ctx,
  scope: Scope,
  { seen, network }: { seen: Seen; network: NetworkFacts },
): Promise<Group> {
  if (seen.group === undefined) return create(ctx, scope, network);
  checkFixed(scope, seen.group, network);
  return repair(ctx, scope, seen.group);
}

async function create(ctx: Ctx, scope: Scope, network: NetworkFacts): Promise<Group> {
  const { session, name, port, nlb } = scope;
  const command = new CreateTargetGroupCommand({
    Name: name,
    Protocol: 'TCP',
    Port: port,
    VpcId: network.vpcID,
    TargetType: 'instance',
    IpAddressType: 'ipv4',
    ...healthCheck(nlb),
    Tags: differing(wantedTags(scope), {}),
  });
  const answer = await named(session.elb(ctx, command), `target group named ${name}`);
  const made = withGroupARN(answer.TargetGroups?.[0]);
  if (made === undefined) throw new TransientError('CreateTargetGroup: no target group in the answer');
  await setAttributes(ctx, scope, made.TargetGroupArn, {});
  return made;
}

async function repair(ctx: Ctx, scope: Scope, group: NonNullable<Seen['group']>): Promise<Group> {
  const { session, nlb } = scope;
  const arn = group.TargetGroupArn;
  const tags = differing(wantedTags(scope), group.tags);
  if (tags.length > 0) await session.elb(ctx, new AddTagsCommand({ ResourceArns: [arn], Tags: tags }));
  await setAttributes(ctx, scope, arn, group.attributes);
  const wanted = healthCheck(nlb);
  if (!isChecked(group, wanted))
    await session.elb(ctx, new ModifyTargetGroupCommand({ TargetGroupArn: arn, ...wanted }));
  return group;
}

async function setAttributes(ctx: Ctx, { session }: Scope, arn: string, found: Pairs): Promise<void> {
  const Attributes = differing(ATTRIBUTES, found);
  if (Attributes.length === 0) return;
  await session.elb(ctx, new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
}

interface HealthCheck {
  readonly HealthCheckProtocol: 'TCP' | 'HTTPS';
  readonly HealthCheckPort: string;
  readonly HealthCheckPath?: string;
  readonly HealthCheckIntervalSeconds: number;
  readonly HealthCheckTimeoutSeconds: number;
  readonly HealthyThresholdCount: number;
  readonly UnhealthyThresholdCount: number;
}

/** HTTPS trusts any certificate, and asks without credentials: API servers that refuse anonymous requests need TCP. */
export function healthCheck({ healthCheck: spec = {} }: NLBSpec): HealthCheck {
  const { protocol = 'HTTPS', intervalSeconds = 10, thresholdCount = 2 } = spec;
  return {
    HealthCheckProtocol: protocol,
    HealthCheckPort: 'traffic-port',
    ...(protocol === 'HTTPS' && { HealthCheckPath: '/readyz' }),
    HealthCheckIntervalSeconds: intervalSeconds,
    // AWS wants it shorter than the interval.
    HealthCheckTimeoutSeconds: Math.min(5, intervalSeconds - 1),
    HealthyThresholdCount: thresholdCount,
    UnhealthyThresholdCount: thresholdCount,
  };
}

function isChecked(group: TargetGroup, wanted: HealthCheck): boolean {
  const found: Readonly<Record<string, unknown>> = { ...group };
  return Object.entries(wanted).every(([field, value]) => found[field] === value);
}

/** AWS cannot change these. */
function checkFixed({ name, port }: Scope, group: Group, network: NetworkFacts): void {
  if (group.VpcId !== network.vpcID) {
    const message = `Target group ${name} is in ${group.VpcId}, and the cluster in ${network.vpcID}`;
    throw invalid(`${message}: set spec.aws.network back, or make a new Cluster`);
  }
  if (group.Port !== port || group.Protocol !== 'TCP') {
    const message = `Target group ${name} is for ${group.Protocol} ${group.Port}, not for TCP ${port}, which cannot be changed`;
    throw invalid(`${message}: set spec.controlPlaneEndpoint.port back, or make a new Cluster`);
  }
}
