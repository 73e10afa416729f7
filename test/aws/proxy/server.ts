// SPDX-License-Identifier: Apache-2.0
// The proxy in front of moto: counts calls, does what moto leaves out and AWS does, and fails on demand.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { accounts } from './accounts.ts';
import { type Behaviour, defaultBehaviour } from './behaviour.ts';
import { type Call, callLog } from './calls.ts';
import { launchLimits } from './capacity.ts';
import { clientTokens } from './client-tokens.ts';
import { consistency } from './consistency.ts';
import { dependencies } from './dependencies.ts';
import { type Faults, faultList } from './faults.ts';
import { groups } from './groups.ts';
import { instanceRecords } from './instances.ts';
import { type LoadBalancers, loadBalancers } from './load-balancers.ts';
import { natGateways } from './nat-gateways.ts';
import { type Outside, outside, spotRequests } from './outside.ts';
import { serve, type World } from './pipeline.ts';
import { snapshotOf } from './snapshot.ts';
import { upstream } from './upstream.ts';

export interface ProxyOptions {
  /** Of moto: `http://127.0.0.1:5555`. */
  readonly upstream: string;
  /** Default: any that is free. */
  readonly port?: number;
  /** Milliseconds; default the system's clock. Signatures are checked against the system's clock in any case. */
  readonly now?: () => number;
}

export interface Proxy extends Outside {
  /** The endpoint for SDK clients. */
  readonly url: string;
  /** May be changed at any time. */
  readonly options: Behaviour;
  readonly faults: Faults;
  /** Attempts of `RunInstances`, `ec2.RunInstances` or `ec2.*`. */
  countOf(action: string): number;
  /** `ec2.RunInstances` -> attempts. */
  counts(): Record<string, number>;
  /** The last 50,000, oldest first. */
  calls(): readonly Call[];
  /** Forgets calls and counts. */
  clearCalls(): void;
  /** Of an instance or an address in every target group; `undefined` takes it back. */
  setHealth: LoadBalancers['setHealth'];
  /** Everything that the account of a key has in a region, as sorted JSON. Default: `test` in us-east-1. */
  snapshot(of?: { readonly accessKeyID?: string; readonly region?: string }): Promise<string>;
  /** As new: moto is reset, and knobs, faults, tokens, records and calls are as at the start. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it on loopback. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { world, ...parts } = partsOf(options);
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    serve(world, request, response).catch(() => response.socket?.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { faults, log, behaviour } = world;
  return {
    ...outside(parts.instances, world.upstream, world.now),
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    options: behaviour,
    faults,
    countOf: log.countOf,
    counts: log.counts,
    calls: log.calls,
    clearCalls: log.clear,
    setHealth: parts.balancers.setHealth,
    snapshot: ({ accessKeyID = 'test', region = 'us-east-1' } = {}) =>
      snapshotOf(world.upstream, { accessKeyID, region }),
    async reset() {
      await world.upstream.send({
        method: 'POST',
        path: '/moto-api/reset',
        headers: {},
        body: Buffer.alloc(0),
      });
      for (const part of [...Object.values(parts), faults, log]) part.clear();
      Object.assign(behaviour, defaultBehaviour());
    },
    stop: () => stop(server, world),
  };
}

function partsOf(options: ProxyOptions) {
  const now = options.now ?? Date.now;
  const instances = instanceRecords();
  const tokens = clientTokens(instances);
  const balancers = loadBalancers(instances);
  const gateways = natGateways();
  const known = accounts();
  const scaling = groups();
  const world: World = {
    upstream: upstream(options.upstream),
    log: callLog(),
    faults: faultList(now),
    behaviour: defaultBehaviour(),
    accounts: known,
    rules: [
      ...[known, tokens, spotRequests(instances)],
      ...dependencies({ instances, balancers, gateways }),
      ...balancers.rules,
      ...gateways.rules,
      ...scaling.rules,
      ...consistency(instances),
      ...launchLimits(instances),
    ],
    now,
  };
  return { world, instances, tokens, balancers, gateways, scaling };
}

async function stop(server: Server, world: World): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
  world.upstream.close();
}
