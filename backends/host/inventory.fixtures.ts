// SPDX-License-Identifier: Apache-2.0
// An inventory that keeps its promises (compare-and-swap, a cache that may lag), machines, and a TSHost controller that is quick and
// always succeeds.
import type { HostClaim, TSHostStatus } from '../../api/tshost.ts';
import type { Ctx } from '../../runtime/context.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { MachineFacts } from '../backend.ts';
import { type HostInventory, instanceIDOf, type InventoryHost } from '../host-inventory.ts';

const silent: Ctx['log'] = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** A call's context that nobody aborts. */
export function contextOf(clock: Clock): Ctx {
  return { signal: new AbortController().signal, log: silent, clock };
}

/** A worker of cluster `c1` in namespace `default`, with an intent. */
export function machineNamed(name: string, overrides: Partial<MachineFacts> = {}): MachineFacts {
  return {
    namespace: 'default',
    name,
    uid: `uid-of-${name}`,
    clusterName: 'c1',
    controlPlane: false,
    version: 'v1.36.3',
    failureDomain: undefined,
    providerID: undefined,
    intent: { attempt: 1, clientToken: `token-${name}`, requestHash: 'hash' },
    spec: { host: {} },
    cluster: {},
    infrastructureID: undefined,
    hasNode: false,
    ...overrides,
  };
}

/** Status of a host that was measured and is free. */
export function availableStatus(overrides: Partial<TSHostStatus> = {}): TSHostStatus {
  return {
    state: 'Available',
    operationalStatus: 'OK',
    hostname: 'node',
    hardware: {
      architecture: 'amd64',
      cpus: 8,
      memory: '16265340Ki',
      disks: [
        { name: 'sda', size: '480Gi' },
        { name: 'sdb', size: '2Ti' },
      ],
      nics: [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['10.0.0.1'] }],
    },
    operatingSystem: { id: 'ubuntu', family: 'debian', version: '24.04', kernel: '6.8.0' },
    ...overrides,
  };
}

/** A free host in namespace `default`. */
export function hostNamed(name: string, overrides: Partial<InventoryHost> = {}): InventoryHost {
  return {
    namespace: 'default',
    name,
    labels: {},
    address: '10.0.0.1',
    failureDomain: undefined,
    maintenance: false,
    adopt: false,
    deleting: false,
    claim: undefined,
    status: availableStatus(),
    resourceVersion: '1',
    ...overrides,
  };
}

/** The TSHosts of an API server. Each handle is a manager with a cache of its own. */
export class FakeInventory {
  readonly #hosts = new Map<string, InventoryHost>();
  #version = 1;
  /** Claims that were ever written for machines: a host's generation with the token. */
  readonly claims = new Set<string>();
  /** Uncached lists that were asked for. */
  lists = 0;

  constructor(hosts: readonly InventoryHost[]) {
    for (const host of hosts) this.put(host);
  }

  all(): InventoryHost[] {
    return [...this.#hosts.values()];
  }

  get(name: string, namespace = 'default'): InventoryHost | undefined {
    return this.#hosts.get(`${namespace}/${name}`);
  }

  /** Writes whatever is given, as kubectl or the TSHost controller does. */
  put(host: InventoryHost): InventoryHost {
    const stored = { ...host, resourceVersion: String(++this.#version) };
    this.#hosts.set(`${host.namespace}/${host.name}`, stored);
    return stored;
  }

  delete(name: string, namespace = 'default'): void {
    this.#hosts.delete(`${namespace}/${name}`);
  }

  /** `undefined` when the host has changed since it was seen; throws for what the schema would refuse. */
  swap(seen: InventoryHost, claim: HostClaim): InventoryHost | undefined {
    const now = this.get(seen.name, seen.namespace);
    if (now === undefined || now.resourceVersion !== seen.resourceVersion) return undefined;
    checkChange(now, claim);
    if (claim.for === 'Machine') this.claims.add(`${seen.name} ${claim.generation} ${claim.clientToken}`);
    return this.put({ ...now, claim });
  }

  /** A manager's view. With `lag` its cache shows what there was at the last `sync`. */
  handle(lag = false): HostInventory & { sync: () => void } {
    let cached = this.all();
    const shown = () => (lag ? cached : this.all());
    return {
      list: (namespace) => shown().filter((host) => namespace === undefined || host.namespace === namespace),
      listNow: async (_ctx, namespace) => {
        this.lists += 1;
        await Promise.resolve();
        return this.all().filter((host) => host.namespace === namespace);
      },
      setClaim: async (_ctx, host, claim) => {
        await Promise.resolve();
        return this.swap(host, claim);
      },
      sync: () => {
        cached = this.all();
      },
    };
  }
}

/** The rules of the schema. */
function checkChange({ name, claim: before = { generation: 0 } }: InventoryHost, claim: HostClaim): void {
  const sameOwner = before.for === claim.for && before.clientToken === claim.clientToken;
  if (claim.generation > before.generation) {
    if (before.for !== undefined) throw new Error(`${name} was taken away from its owner`);
  } else if (!sameOwner) throw new Error('a host changes its owner only with a higher generation');
}

/** One step of a TSHost controller for every host: what is claimed gets further, what is given back becomes free. */
export function advanceHosts(inventory: FakeInventory): void {
  for (const host of inventory.all()) inventory.put(advanced(host));
}

function advanced(host: InventoryHost): InventoryHost {
  const { claim, status } = host;
  if (claim?.for === undefined || claim.clientToken === undefined) return host;
  const at = (state: NonNullable<TSHostStatus['state']>) => ({ ...host, status: { ...status, state } });
  if (claim.releasing === true) {
    if (status.state === 'Releasing') return at('Cleaning');
    if (status.state !== 'Cleaning') return at('Releasing');
    const free = { generation: claim.generation, previous: instanceIDOf(claim.clientToken) };
    return { ...at('Available'), claim: free };
  }
  return status.state === 'Bootstrapping' || status.state === 'Provisioned'
    ? at('Provisioned')
    : at('Bootstrapping');
}
