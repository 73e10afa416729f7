// SPDX-License-Identifier: Apache-2.0
// The promises of every backend, kept on EC2 as moto and the fault proxy play it: at once, and late and slow as EC2 really is.
import { afterAll, beforeAll } from 'vitest';
import { type BackendUnderTest, backendContract } from '../../backends/contract.ts';
import { bootstrapData, intentFor, type MachineWorld, startMachineWorld } from '../aws/machine-world.ts';

let world: MachineWorld;
beforeAll(async () => void (world = await startMachineWorld()));
afterAll(() => world.stop());

backendContract('AWS', () => underTest({}));
backendContract('AWS, behind and slow', () =>
  underTest({ staleMs: 20_000, pendingMs: 15_000, shuttingDownMs: 30_000 }),
);

async function underTest(behaviour: Partial<MachineWorld['proxy']['options']>): Promise<BackendUnderTest> {
  await world.reset();
  Object.assign(world.proxy.options, behaviour);
  const { ctx, clock } = world;
  const [backend, other] = [world.manager(), world.manager()];
  return {
    ctx,
    backend,
    other,
    intentFor: (machine) => intentFor(backend, ctx, machine),
    newMachine: () => world.machine(),
    bootstrapData,
    badInput: [
      { name: 'no settings', machine: world.machine({ spec: {} }), reason: 'InvalidMachine' },
      {
        name: 'no such image',
        machine: world.machine({}, { image: { id: 'ami-0000' } }),
        reason: 'ImageNotFound',
      },
      {
        name: 'no such type',
        machine: world.machine({}, { instanceType: 'm0.nano' }),
        reason: 'InvalidMachine',
      },
      {
        name: 'no such subnet',
        machine: world.machine({}, { subnet: { id: 'subnet-0000' } }),
        reason: 'SubnetInvalid',
      },
      {
        name: 'no such zone',
        machine: world.machine({ failureDomain: 'us-east-1z' }),
        reason: 'SubnetInvalid',
      },
      {
        name: 'no bootstrap data',
        machine: world.machine(),
        bootstrapData: { format: 'cloud-config', value: Buffer.alloc(0) },
        reason: 'BootstrapDataInvalid',
      },
    ],
    countInstances: async () => (await world.instances()).length,
    settle: async () => {
      clock.shift(61_000);
      for (const one of [backend, other]) await one.tick(ctx);
    },
    show: async () => clock.shift(behaviour.staleMs ?? 0),
    close: async () => undefined,
  };
}
