// SPDX-License-Identifier: Apache-2.0
// Records and machines for tests of the parts.
import type { Ctx } from '../../../runtime/context.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { MachineFacts } from '../../backend.ts';
import type { AWSSession } from '../session/session.ts';
import type { InstanceRecord } from './record.ts';

export function recordNamed(id: string, overrides: Partial<InstanceRecord> = {}): InstanceRecord {
  return {
    ...{
      id,
      state: 'running',
      availabilityZone: 'eu-central-1a',
      instanceType: 'm5.large',
      imageID: 'ami-1',
    },
    ...{ vpcID: 'vpc-1', subnetID: 'subnet-1', addresses: [], securityGroupIDs: [], networkInterfaces: [] },
    tags: {
      ...{
        'ts-provider/cluster': 'prod-1',
        'ts-provider/machine': 'default/m',
        'ts-provider/token': `token-${id}`,
      },
      'ts-provider/machine-uid': `uid-${id}`,
    },
    ...{ metadataOptions: {}, isSpot: false, stateTransition: '', launchedMs: 0 },
    ...overrides,
  };
}

export function machineNamed(name: string, overrides: Partial<MachineFacts> = {}): MachineFacts {
  return {
    ...{ namespace: 'default', name, uid: `uid-${name}`, clusterName: 'prod', controlPlane: false },
    ...{ version: 'v1.34.1', failureDomain: undefined, providerID: undefined, intent: undefined },
    spec: { aws: { instanceType: 'm5.large', image: { id: 'ami-1' } } },
    cluster: { aws: { region: 'eu-central-1', identityRef: { name: 'default' }, network: { managed: {} } } },
    ...{ infrastructureID: 'prod-1', hasNode: false },
    ...overrides,
  };
}

export function contextOf(clock: Clock): Ctx {
  const log: Ctx['log'] = {
    ...{ debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    child: () => log,
  };
  return { signal: new AbortController().signal, log, clock };
}

/** A session whose calls are answered by `answer`, by the name of the action. */
export function sessionOf(answer: (action: string, input: object) => unknown): AWSSession {
  const send = async (_ctx: Ctx, command: object) =>
    answer(command.constructor.name.replace(/Command$/, ''), (command as { input: object }).input);
  const calls = { ec2: send, elb: send, autoScaling: send, secrets: send, parameters: send, queues: send };
  return {
    account: '123456789012',
    region: 'eu-central-1',
    identity: 'default',
    ...calls,
  } as unknown as AWSSession;
}
