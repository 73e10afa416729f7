// SPDX-License-Identifier: Apache-2.0
// Invariants 2 and 3, whatever the order in which two managers, their old caches and the TSHost controller act.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { BootstrapData, MachineBackend, MachineFacts } from '../backend.ts';
import { type HostInventory, instanceIDOf, type InventoryHost } from '../host-inventory.ts';
import { contextOf, FakeInventory, hostNamed, machineNamed } from './inventory.fixtures.ts';
import { createHostBackend } from './machine-backend.ts';

const ctx = contextOf(new FakeClock());
const data: BootstrapData = { format: 'cloud-config', value: Buffer.from('#cloud-config\n') };

/** TSMachines as an API server keeps them: a write from an old copy is refused. */
class Machines {
  readonly #stored = new Map<string, MachineFacts>();

  constructor(count: number) {
    for (let i = 0; i < count; i++) this.#stored.set(`m-${i}`, machineNamed(`m-${i}`));
  }

  names(): string[] {
    return [...this.#stored.keys()];
  }

  get(name: string): MachineFacts {
    return this.#stored.get(name)!;
  }

  write(copy: MachineFacts, providerID: string): void {
    if (this.#stored.get(copy.name) === copy) this.#stored.set(copy.name, { ...copy, providerID });
  }
}

/** What the machine controller does in one pass. */
async function reconcile(machines: Machines, name: string, backend: MachineBackend): Promise<void> {
  const machine = machines.get(name);
  let seen = await backend.observe(ctx, machine);
  if (seen.state === 'absent' && machine.providerID === undefined) {
    await backend.create(ctx, machine, machine.intent!, data);
    seen = await backend.observe(ctx, machine);
  }
  if (seen.state !== 'absent' && machine.providerID === undefined) machines.write(machine, seen.providerID);
}

/** What the TSHost controller does: it begins only where both sides agree, and takes back a claim that lost. */
function work(inventory: FakeInventory, machines: Machines, begun: Map<string, Set<string>>): void {
  for (const host of inventory.all()) {
    const { claim, status, name } = host;
    if (claim?.for !== 'Machine' || status.state === 'Provisioned') continue;
    const { providerID } = machines.get(claim.machine!.name);
    if (providerID === undefined) continue;
    const instanceID = instanceIDOf(claim.clientToken!);
    if (providerID !== `tshost://default/${name}/${instanceID}`) {
      inventory.put({ ...host, claim: { generation: claim.generation, previous: instanceID } });
      continue;
    }
    inventory.put({ ...host, status: { ...status, state: 'Provisioned' } });
    begun.set(name, (begun.get(name) ?? new Set()).add(claim.clientToken!));
  }
}

interface World {
  readonly inventory: FakeInventory;
  readonly machines: Machines;
  readonly begun: Map<string, Set<string>>;
  readonly managers: { readonly backend: MachineBackend; readonly sync: () => void }[];
}

/** Every answer of the API server arrives when `delay` lets it. */
function world(counts: { hosts: number; machines: number }, delay: fc.Scheduler): World {
  const inventory = new FakeInventory(Array.from({ length: counts.hosts }, (_, i) => hostNamed(`h-${i}`)));
  const managers = [0, 1].map(() => {
    const handle = inventory.handle(true);
    const slow: HostInventory = {
      list: handle.list,
      listNow: async (c, namespace) => {
        await delay.schedule(Promise.resolve(), 'list is read');
        const hosts = await handle.listNow(c, namespace);
        return delay.schedule(Promise.resolve(hosts), 'list arrives');
      },
      setClaim: async (c, host, claim) => {
        await delay.schedule(Promise.resolve(), 'claim is written');
        const written: InventoryHost | undefined = await handle.setClaim(c, host, claim);
        return delay.schedule(Promise.resolve(written), 'answer arrives');
      },
    };
    return { backend: createHostBackend({ inventory: slow }), sync: handle.sync };
  });
  return { inventory, machines: new Machines(counts.machines), begun: new Map(), managers };
}

function checkInvariants({ inventory, begun }: World): void {
  for (const tokens of begun.values()) expect(tokens.size).toBe(1);
  const owners = [...begun.values()].flatMap((tokens) => [...tokens]);
  expect(new Set(owners).size).toBe(owners.length);
  for (const { name, claim, status } of inventory.all())
    if (status.state === 'Provisioned') expect(begun.get(name)).toContain(claim?.clientToken);
}

const event = fc.record({
  kind: fc.constantFrom('reconcile', 'reconcile', 'work', 'sync'),
  manager: fc.integer({ min: 0, max: 1 }),
  machine: fc.nat(),
});
const counts = fc.record({ hosts: fc.integer({ min: 1, max: 5 }), machines: fc.integer({ min: 1, max: 4 }) });

it('never begins two machines on a host, nor a machine on two', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      counts,
      fc.array(event, { maxLength: 40 }),
      async (delay, size, events) => {
        const w = world(size, delay);
        const passes: Promise<void>[] = [];
        for (const { kind, manager, machine } of events) {
          const { backend, sync } = w.managers[manager]!;
          const name = w.machines.names()[machine % size.machines]!;
          // Between two answers of the API server anything may happen.
          void delay.schedule(Promise.resolve(), kind).then(() => {
            if (kind === 'work') work(w.inventory, w.machines, w.begun);
            else if (kind === 'sync') sync();
            else passes.push(reconcile(w.machines, name, backend));
            checkInvariants(w);
          });
        }
        await delay.waitIdle();
        await Promise.all(passes);
        await converge(w, delay);
        checkInvariants(w);
        expect(w.begun.size).toBe(Math.min(size.hosts, size.machines));
        expect(w.inventory.all().filter(({ claim }) => claim?.for === 'Machine').length).toBe(w.begun.size);
      },
    ),
    { seed: 17, numRuns: 300 },
  );
});

/** Everybody is up to date and has time: what is left over is put in order. */
async function converge(w: World, delay: fc.Scheduler): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (const name of w.machines.names()) {
      for (const manager of w.managers) manager.sync();
      const pass = reconcile(w.machines, name, w.managers[0]!.backend);
      await delay.waitIdle();
      await pass;
    }
    work(w.inventory, w.machines, w.begun);
  }
}
