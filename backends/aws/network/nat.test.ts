// SPDX-License-Identifier: Apache-2.0
// NAT gateways that fail; how AWS behaves otherwise is shown in test/envtest/aws-network.test.ts.
import type { NatGateway } from '@aws-sdk/client-ec2';
import { beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { contextOf, sessionOf } from '../instance/instance.fixtures.ts';
import { createNetworkMemory, type NetworkMemory } from './memory.ts';
import { ensureNATGateway } from './nat.ts';
import { type NATGateway, toAddress, toNATGateway, toSubnet } from './parts.ts';
import type { Run } from './run.ts';

const subnet = toSubnet({ SubnetId: 'subnet-1', AvailabilityZone: 'z1' });
const address = { ...toAddress({ AllocationId: 'eipalloc-1' }), role: 'nat', zone: 'z1' };
const HOUR_MS = 3_600_000;

let clock: FakeClock;
let memory: NetworkMemory;
/** What AWS has. */
let gateways: NATGateway[];
/** How those that are made turn out. */
let outcome: NatGateway['State'];
let made: number;

beforeEach(() => {
  clock = new FakeClock();
  memory = createNetworkMemory(clock);
  gateways = [];
  outcome = 'failed';
  made = 0;
});

const session = sessionOf((action, input) => {
  if (action === 'CreateNatGateway') {
    made += 1;
    const NatGatewayId = `nat-${made}`;
    const FailureMessage = 'Subnet has insufficient free addresses';
    const later = toNATGateway({ NatGatewayId, State: outcome, FailureMessage });
    gateways.push({ ...later, role: 'nat', zone: 'z1' });
    return { NatGateway: { NatGatewayId, State: 'pending' } };
  }
  const { NatGatewayId } = input as { NatGatewayId: string };
  gateways = gateways.map((one) => (one.id === NatGatewayId ? { ...one, state: 'deleted' } : one));
  return {};
});

/** One pass: what it waits for, and for how long. */
async function pass() {
  const none = { vpcs: [], subnets: [], routeTables: [], internetGateways: [], securityGroups: [] };
  const run: Run = {
    ...{ ctx: contextOf(clock), session, memory },
    cluster: { namespace: 'prod', name: 'shop', clusterName: 'shop', infrastructureID: 'shop-1', spec: {} },
    aws: { region: 'us-east-1', identityRef: { name: 'main' }, network: { managed: {} } },
    seen: { ...none, natGateways: [...gateways], addresses: [address] },
    ...{ waits: new Set(), waitsOfMachines: new Set(), postponed: new Map() },
  };
  const gateway = await ensureNATGateway(run, subnet);
  const soon = [...run.waits, ...run.waitsOfMachines];
  const [message = soon[0]] = [...run.postponed.keys()];
  const pollMs = soon.length > 0 ? 3_000 : Math.min(...run.postponed.values());
  return { gateway, message, pollMs };
}

/** Passes for so long, each when the one before asked for it; their messages. */
async function passesFor(ms: number): Promise<string[]> {
  const untilMs = clock.now().getTime() + ms;
  const messages: string[] = [];
  while (clock.now().getTime() < untilMs) {
    const { message = '', pollMs } = await pass();
    messages.push(message);
    await clock.advance(pollMs);
  }
  return messages;
}

it('one that fails every time is made anew more and more seldom, and says why', async () => {
  const messages = await passesFor(HOUR_MS);
  expect(made).toBeGreaterThan(8);
  expect(made).toBeLessThan(20);
  expect(messages.length).toBeLessThan(60);
  const failure = 'failed (Subnet has insufficient free addresses)';
  expect(messages.slice(1).filter((message) => !message.includes(failure))).toEqual([]);
});

it('the pause is over when its time is, and as short as the first one after a success', async () => {
  await pass();
  expect(await pass()).toMatchObject({ pollMs: 15_000 });
  await clock.advance(15_000);
  outcome = 'available';
  await pass();
  expect((await pass()).gateway).toMatchObject({ id: 'nat-2' });
  outcome = 'failed';
  gateways = [];
  await pass();
  expect(await pass()).toMatchObject({ pollMs: 15_000 });
});
