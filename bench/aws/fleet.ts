// SPDX-License-Identifier: Apache-2.0
// Makes and deletes the machines of a candidate, and waits for them: all of it but what its infrastructure objects look like.
import { MachineKind } from '../../api/kinds.ts';
import type { KubeObject } from '../../runtime/object.ts';
import { inParallel } from '../fleet.ts';
import { machineNames, machineOf } from './objects.ts';
import { observe, type Observer, type Watched } from './observer.ts';
import type { World } from './world.ts';

export interface FleetOptions<T extends KubeObject> extends Omit<Watched<T>, 'namespace'> {
  /** The infrastructure object of the Machine of that name. */
  infrastructureOf(name: string): T;
}

/** The machines of one measurement. */
export class Fleet<T extends KubeObject> {
  private readonly world: World;
  private readonly options: FleetOptions<T>;
  private readonly observer: Observer;
  private names: readonly string[] = [];

  constructor(world: World, options: FleetOptions<T>) {
    this.world = world;
    this.options = options;
    this.observer = observe(world.client, { ...options, namespace: world.namespace });
  }

  /** The infrastructure object first: core takes a Machine in hand as soon as it is there. */
  async create(count: number): Promise<void> {
    const { client, namespace } = this.world;
    const { kind, infrastructureOf } = this.options;
    this.names = machineNames(count);
    await inParallel(this.names, async (name) => {
      await client.create(kind, infrastructureOf(name));
      await client.create(MachineKind, machineOf(namespace, name, kind.kind));
    });
  }

  untilProvisioned(): Promise<void> {
    return this.observer.untilProvisioned(this.names.length);
  }

  async delete(): Promise<void> {
    const { client, namespace } = this.world;
    await inParallel(this.names, (name) => client.delete(MachineKind, { namespace, name }));
  }

  untilGone(): Promise<void> {
    return this.observer.untilGone();
  }

  stop(): void {
    this.observer.stop();
  }
}
