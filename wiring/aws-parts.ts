// SPDX-License-Identifier: Apache-2.0
// Everything that knows AWS, and its SDK. Loaded by aws.ts with the first object that needs it: who has none does not carry it.
import { createTerminate } from '../backends/aws/instance/destroy.ts';
import { createExistingResources } from '../backends/aws/instance/existing.ts';
import { createImages } from '../backends/aws/instance/image.ts';
import { createInstanceTypes } from '../backends/aws/instance/instance-type.ts';
import { createObservation } from '../backends/aws/instance/observation.ts';
import { createOrphans, type OrphansOptions } from '../backends/aws/instance/orphans.ts';
import { createAWSLoadBalancer } from '../backends/aws/load-balancer/load-balancer.ts';
import { createAWSBackend } from '../backends/aws/machine-backend.ts';
import { createAWSNetwork } from '../backends/aws/network/network.ts';
import { createAWSPoolBackend } from '../backends/aws/pool/pool-backend.ts';
import { createAWSSessions } from '../backends/aws/session/sessions.ts';
import { createRest } from '../backends/aws/rest.ts';
import { createSizing } from '../backends/aws/sizing.ts';
import { createUpkeep } from '../backends/aws/upkeep/upkeep.ts';
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
  /** Instances that no TSMachine knows. */
  readonly orphans: Pick<OrphansOptions, 'known' | 'onOrphan' | 'remove'>;
}

/** What the manager takes of AWS. */
export function awsParts({ identities, clock, metrics, windowMs, orphans }: AWSPartsOptions) {
  const sessions = createAWSSessions({ identities, clock, metrics });
  const rest = createRest(clock);
  const network = createAWSNetwork({ sessions, rest, clock, windowMs });
  const targets = createAWSLoadBalancer({ sessions, network, rest, clock, windowMs });
  const userData = createUserDataStore();
  const observation = createObservation({ sessions, clock, windowMs });
  const instanceTypes = createInstanceTypes(clock);
  const lookUps = { instanceTypes, images: createImages(clock), existing: createExistingResources(clock) };
  const sizing = createSizing({ sessions, types: instanceTypes });
  const shared = { sessions, rest, network, targets, userData, observation, sizing, clock, windowMs };
  const upkeep = createUpkeep({ ...shared, existing: lookUps.existing, metrics });
  const terminate = createTerminate(clock, (session) => observation.store(session));
  return {
    machines: createAWSBackend({ ...shared, ...lookUps, upkeep }),
    upkeep,
    orphans: createOrphans({ ...shared, ...orphans, terminate, metrics }),
    clusters: { ...network, ...targets },
    pools: createAWSPoolBackend({ ...shared, ...lookUps }),
    close() {
      upkeep.close();
      sessions.close();
    },
  };
}

export type AWSParts = ReturnType<typeof awsParts>;
