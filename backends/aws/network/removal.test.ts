// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { contextOf } from '../../inmemory/fixtures.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { AWSSession } from '../session/session.ts';
import { createNetworkMemory } from './memory.ts';
import { type Address, type PartsByKind, toAddress, toNATGateway } from './parts.ts';
import { removeParts } from './removal.ts';

const clock = new FakeClock();

/** One pass over what is seen; names and inputs of what was sent. */
async function pass(seen: Partial<PartsByKind>) {
  const sent: [string, unknown][] = [];
  const ec2 = (_ctx: unknown, command: { readonly input: object }) => {
    sent.push([command.constructor.name, command.input]);
    return Promise.resolve({});
  };
  const removed = await removeParts({
    ctx: contextOf(clock),
    session: { ec2: ec2 as unknown as AWSSession['ec2'] } as AWSSession,
    cluster: { namespace: 'prod', name: 'shop', clusterName: 'shop', infrastructureID: 'shop-1', spec: {} },
    aws: { region: 'us-east-1', identityRef: { name: 'main' }, network: { managed: {} } },
    memory: createNetworkMemory(clock),
    seen: {
      ...{ vpcs: [], subnets: [], routeTables: [], internetGateways: [] },
      ...{ natGateways: [], addresses: [], securityGroups: [], ...seen },
    },
    waits: new Set(),
    waitsOfMachines: new Set(),
  });
  return { removed, sent };
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
