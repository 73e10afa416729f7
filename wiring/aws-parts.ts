// SPDX-License-Identifier: Apache-2.0
// Everything that knows AWS, and its SDK. Loaded by aws.ts with the first object that needs it: who has none does not carry it.
import { createAWSLoadBalancer } from '../backends/aws/load-balancer/load-balancer.ts';
import { createAWSBackend } from '../backends/aws/machine-backend.ts';
import { createAWSNetwork } from '../backends/aws/network/network.ts';
import { createAWSSessions } from '../backends/aws/session/sessions.ts';
import { createUserDataStore } from '../backends/aws/user-data/user-data.ts';
import type { CloudIdentities } from '../backends/cloud-identities.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Metrics } from '../runtime/metrics.ts';

export interface AWSPartsOptions {
  readonly identities: CloudIdentities;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** How far EC2's answers may be behind. */
  readonly windowMs: number;
}

/** What the manager takes of AWS. */
export function awsParts({ identities, clock, metrics, windowMs }: AWSPartsOptions) {
  const sessions = createAWSSessions({ identities, clock, metrics });
  const network = createAWSNetwork({ sessions, clock });
  const balancer = createAWSLoadBalancer({ sessions, network, clock });
  const userData = createUserDataStore();
  const machines = createAWSBackend({ sessions, network, targets: balancer, userData, clock, windowMs });
  return { machines, clusters: { ...network, ...balancer }, close: () => sessions.close() };
}

export type AWSParts = ReturnType<typeof awsParts>;
