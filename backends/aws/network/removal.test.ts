// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { contextOf } from '../../inmemory/fixtures.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { TransientError } from '../../../runtime/errors.ts';
import { AWSRefusal, type AWSSession } from '../session/session.ts';
import { CONSISTENCY_WINDOW_MS, createNetworkMemory } from './memory.ts';
import {
  type Address,
  type PartsByKind,
  toAddress,
  toNATGateway,
  toSecurityGroup,
  toSubnet,
  toVPC,
} from './parts.ts';
import { removeParts } from './removal.ts';
import { make, type Run } from './run.ts';

const clock = new FakeClock();

type Answer = (action: string) => object;

/** A pass over what is seen, of a process that begins now; names and inputs of what is sent. */
function runOver(seen: Partial<PartsByKind>, answer: Answer = () => ({})) {
  const sent: [string, unknown][] = [];
  const send = async (_ctx: unknown, command: { readonly input: object }) => {
    sent.push([command.constructor.name, command.input]);
    return answer(command.constructor.name);
  };
  const run: Run = {
    ctx: contextOf(clock),
    session: { ec2: send, elb: send } as unknown as AWSSession,
    cluster: { namespace: 'prod', name: 'shop', clusterName: 'shop', infrastructureID: 'shop-1', spec: {} },
    aws: { region: 'us-east-1', identityRef: { name: 'main' }, network: { managed: {} } },
    memory: createNetworkMemory(clock),
    seen: {
      ...{ vpcs: [], subnets: [], routeTables: [], internetGateways: [] },
      ...{ natGateways: [], addresses: [], securityGroups: [], ...seen },
    },
    waits: new Set(),
    waitsOfMachines: new Set(),
    postponed: new Map(),
  };
  return { run, sent };
}

async function pass(seen: Partial<PartsByKind>) {
  const { run, sent } = runOver(seen);
  return { removed: await removeParts(run), sent };
}

const address = (id: string, more: Parameters<typeof toAddress>[0] = {}): Address =>
  toAddress({ AllocationId: id, PublicIp: '192.0.2.1', AssociationId: 'eipassoc-1', ...more });

it('names an address of ours that something else uses, says the way out, and deletes the rest', async () => {
  const addresses = [
    address('eipalloc-1', { InstanceId: 'i-1', NetworkInterfaceId: 'eni-1' }),
    address('eipalloc-2', { NetworkInterfaceId: 'eni-2' }),
    toAddress({ AllocationId: 'eipalloc-3' }),
  ];
  const { removed, sent } = await pass({ addresses });
  expect(removed).toMatchObject({ state: 'inProgress', pollMs: 15_000 });
  const message = removed.state === 'inProgress' ? removed.message : '';
  expect(message).toContain('192.0.2.1 (eipalloc-1) is used by i-1: disassociate it');
  expect(message).toContain('(eipalloc-2) is used by eni-2');
  expect(message).toContain('take the tag ts-provider/cluster off to keep it');
  expect(message).not.toContain('eipalloc-3');
  expect(sent).toEqual([['ReleaseAddressCommand', { AllocationId: 'eipalloc-3' }]]);
});

it('waits for a NAT gateway that still has its address, and asks nobody for anything', async () => {
  const gateway = { NatGatewayId: 'nat-1', State: 'deleting' as const };
  const natGateways = [toNATGateway({ ...gateway, NatGatewayAddresses: [{ AllocationId: 'eipalloc-1' }] })];
  const { removed, sent } = await pass({ natGateways, addresses: [address('eipalloc-1')] });
  expect(removed).toMatchObject({ state: 'inProgress', pollMs: 5_000 });
  expect(removed).toHaveProperty('message', expect.stringContaining('Deleting 1 NAT gateway'));
  expect(sent).toEqual([]);
});

it('a group whose making was not answered may be there until a look would show it', async () => {
  const { run } = runOver({});
  await clock.advance(CONSISTENCY_WINDOW_MS);
  const lost = make(run, { kind: 'securityGroups', role: 'node' }, { doubles: false }, () =>
    Promise.reject(new TransientError('CreateSecurityGroup: no answer')),
  );
  await expect(lost).rejects.toThrow('no answer');
  expect(await removeParts(run)).toMatchObject({ state: 'inProgress', pollMs: 15_000 });
  await clock.advance(CONSISTENCY_WINDOW_MS);
  expect(await removeParts(run)).toEqual({ state: 'gone' });
});

describe('while something of others is in the way', () => {
  const vpcs = [toVPC({ VpcId: 'vpc-1' })];
  let interfaces: string[];
  let run: Run;
  let sent: [string, unknown][];

  beforeEach(() => {
    interfaces = ['eni-1', 'eni-2'];
    ({ run, sent } = runOver({ vpcs }, (command) => {
      if (command === 'DescribeNetworkInterfacesCommand')
        return { NetworkInterfaces: interfaces.map((NetworkInterfaceId) => ({ NetworkInterfaceId })) };
      if (!command.startsWith('Delete')) return {};
      const action = command.replace(/Command$/, '');
      const refusal = {
        reason: 'CloudRequestRefused',
        action,
        code: 'DependencyViolation',
        message: 'in use',
      };
      throw new AWSRefusal(refusal);
    }));
  });

  /** So many passes; their pauses in seconds. */
  async function pauses(count: number): Promise<number[]> {
    const seconds: number[] = [];
    for (let n = 0; n < count; n += 1) {
      const removed = await removeParts(run);
      const { pollMs = 0 } = removed.state === 'inProgress' ? removed : {};
      seconds.push(pollMs / 1_000);
      await clock.advance(pollMs);
    }
    return seconds;
  }

  it('looks more and more seldom', async () => {
    expect(await pauses(7)).toEqual([15, 30, 60, 120, 240, 300, 300]);
    sent.length = 0;
    await pauses(12);
    // An hour.
    expect(sent.length).toBeLessThan(100);
  });

  it('looks soon again when something of it has gone, and not for another order of it', async () => {
    await pauses(5);
    interfaces.reverse();
    expect(await pauses(1)).toEqual([300]);
    interfaces.pop();
    expect(await pauses(2)).toEqual([15, 30]);
    run.seen.subnets = [toSubnet({ SubnetId: 'subnet-1' })];
    expect(await pauses(2)).toEqual([15, 30]);
    run.seen.securityGroups = [toSecurityGroup({ GroupId: 'sg-1' })];
    expect(await pauses(2)).toEqual([15, 30]);
  });
});
