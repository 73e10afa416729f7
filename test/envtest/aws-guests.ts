// SPDX-License-Identifier: Apache-2.0
// What runs on the instances of the played EC2: each boots with the user data that moto has for it, and joins its cluster.
import { gunzipSync } from 'node:zlib';
import { DescribeInstanceAttributeCommand, type EC2Client, type Instance } from '@aws-sdk/client-ec2';
import { awsProviderID } from '../../api/provider-id.ts';
import { readFirstBoot } from '../../backends/inmemory/bootstrap-data.ts';
import { contextOf } from '../../backends/inmemory/fixtures.ts';
import { bringUp, leaveCluster } from '../../backends/inmemory/guest.ts';
import type { Instance as Guest } from '../../backends/inmemory/instance.ts';
import type { ApiClient } from '../../runtime/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import { errorMessage } from '../../runtime/errors.ts';
import { pause } from '../../hack/stack/process.ts';
import { type Region, tagOf } from './aws-region.ts';

const TICK_MS = 400;

export interface GuestsOptions {
  readonly region: Region;
  /** Of the cluster that they join. */
  readonly api: ApiClient;
  /** Kubernetes version of the machines. */
  readonly version: string;
}

export interface Guests {
  /** What went wrong last on each instance that has not joined, by its id. */
  trouble(): Record<string, string>;
  stop(): Promise<void>;
}

/** Looks at moto itself, not through the proxy: machines boot whatever the API shows of them. */
export function startGuests(options: GuestsOptions): Guests {
  const guests = new RunningGuests(options);
  void guests.run();
  return guests;
}

class RunningGuests implements Guests {
  readonly #options: GuestsOptions;
  readonly #ctx = contextOf(systemClock);
  /** Those whose Node there is. */
  readonly #joined = new Map<string, Guest>();
  readonly #trouble = new Map<string, string>();
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: GuestsOptions) {
    this.#options = options;
  }

  trouble(): Record<string, string> {
    return Object.fromEntries(this.#trouble);
  }

  run(): Promise<void> {
    this.#ended = this.#live();
    return this.#ended;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  async #live(): Promise<void> {
    while (!this.#stopping) {
      await this.#tick().catch((error: unknown) => this.#trouble.set('all', errorMessage(error)));
      await pause(TICK_MS);
    }
  }

  async #tick(): Promise<void> {
    const instances = await this.#options.region.instances();
    const running = instances.filter(({ State }) => State?.Name === 'running');
    await Promise.all(running.map((instance) => this.#boot(instance)));
    const alive = new Set(running.map(({ InstanceId }) => InstanceId));
    for (const [id, guest] of this.#joined) {
      if (alive.has(id)) continue;
      await leaveCluster(this.#ctx, this.#options.api, guest);
      this.#joined.delete(id);
    }
  }

  async #boot(instance: Instance): Promise<void> {
    const { InstanceId: id = '' } = instance;
    if (this.#joined.has(id)) return;
    try {
      const guest = guestOf(instance, this.#options.version);
      const value = await userDataOf(this.#options.region.ec2, instance);
      const boot = readFirstBoot(
        { format: 'cloud-config', value },
        { hostname: guest.name, instanceID: id, providerID: guest.providerID },
      );
      const { api } = this.#options;
      const named = { ...guest, nodeName: boot.nodeName };
      const outcome = await bringUp(this.#ctx, { api, instance: named, boot });
      if (outcome.kind !== 'done') return void this.#trouble.set(id, 'waits for the control plane');
      this.#joined.set(id, named);
      this.#trouble.delete(id);
    } catch (error) {
      this.#trouble.set(id, errorMessage(error));
    }
  }
}

/** With what cloud-init would put in for the instance's own metadata. */
async function userDataOf(ec2: EC2Client, { InstanceId, Placement }: Instance): Promise<Buffer> {
  const asked = new DescribeInstanceAttributeCommand({ InstanceId, Attribute: 'userData' });
  const { UserData } = await ec2.send(asked);
  const data = Buffer.from(UserData?.Value ?? '', 'base64');
  const text = (data[0] === 0x1f ? gunzipSync(data) : data).toString('utf8');
  const zone = Placement?.AvailabilityZone ?? '';
  return Buffer.from(text.replaceAll(/\{\{ *ds\.meta_data\.placement\.availability_zone *\}\}/g, zone));
}

function guestOf(instance: Instance, version: string): Guest {
  const { InstanceId: id = '', Placement, PrivateIpAddress = '' } = instance;
  // By resource, not by address: moto gives the address of an instance that ended to the next one, and core deletes Nodes by name.
  const name = `${id}.ec2.internal`;
  const zone = Placement?.AvailabilityZone ?? '';
  return {
    ...{ id, name, version, state: 'running', message: '', namespace: '', clusterName: '' },
    ...{ clientToken: '', requestHash: '', bootAtMs: 0, addresses: [], nodeName: undefined },
    providerID: awsProviderID(zone, id),
    controlPlane: tagOf(instance, 'ts-provider/role') === 'control-plane',
    failureDomain: zone,
    capacity: { cpu: '2', memory: '8Gi' },
    rehearsal: { bootDelayMs: 0 },
    internalIP: PrivateIpAddress,
  };
}
