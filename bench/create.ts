// SPDX-License-Identifier: Apache-2.0
// A burst of new machines: how fast, and what does one cost?
import { NodeKind, TSMachineKind } from '../api/kinds.ts';
import { createClusters, createMachines, planFleet } from './fleet.ts';
import {
  apiRequests,
  type ManagerProcess,
  type Milestones,
  untilQuiet,
  writesOf,
} from './manager-process.ts';
import type { BenchOptions } from './options.ts';
import { usageOf } from './process-usage.ts';
import { digits, listed, promise, type Report, type Row } from './report.ts';
import { withWorld } from './world.ts';

const TIMEOUT_MS = 900_000;
/** Longer than a guest's longest wait between two attempts. */
const QUIET_MS = 6_000;
const WRITES_PER_MACHINE = 4;

/** Runs the suite; `say` gets a line per step. */
export function create(options: BenchOptions, say: (line: string) => void): Promise<Report> {
  return withWorld(options, async (world) => {
    const machines = options.created;
    const plan = planFleet(await world.namespace(), machines);
    const workload = await world.workload();
    say(`writing ${machines} Machines and TSMachines`);
    await createClusters(world.client, plan, workload.kubeconfig);
    await createMachines(world.client, plan);

    say('starting the manager on them');
    const apiServerPid = world.apiServer.process().pid;
    const apiServerBefore = usageOf(apiServerPid).cpuSeconds;
    const manager = await world.startManager();
    const milestones = await untilQuiet(manager, { machines, quietMs: QUIET_MS, timeoutMs: TIMEOUT_MS });
    const apiServerSeconds = usageOf(apiServerPid).cpuSeconds - apiServerBefore;
    const calls = new Map(Object.entries(world.cloudCounts().calls));
    const tsMachines = await world.client.list(TSMachineKind, { namespace: plan.namespace });
    const facts: Facts = {
      machines,
      clusters: plan.clusters.length,
      manager,
      milestones,
      apiServerSeconds,
      calls,
      provisioned: tsMachines.filter((one) => one.status?.initialization?.provisioned === true).length,
      nodes: (await workload.client.list(NodeKind)).length,
      instances: world.cloudCounts().instancesMade,
    };
    return {
      title: `${digits(machines)} machines created at once, in ${plan.clusters.length} clusters`,
      rows: [...speedRows(facts), ...costRows(facts), ...outcomeRows(facts)],
    };
  });
}

interface Facts {
  readonly machines: number;
  readonly clusters: number;
  readonly manager: ManagerProcess;
  readonly milestones: Milestones;
  readonly apiServerSeconds: number;
  readonly calls: ReadonlyMap<string, number>;
  readonly provisioned: number;
  readonly nodes: number;
  readonly instances: number;
}

function speedRows({ machines, milestones }: Facts): Row[] {
  const { readyMs, lastManagementMs, lastWorkloadMs } = milestones;
  const seconds = (lastManagementMs - readyMs) / 1000;
  const joined = (Math.max(lastManagementMs, lastWorkloadMs) - readyMs) / 1000;
  return [
    { what: 'manager ready to all provisioned', value: `${digits(seconds)} s` },
    { what: 'rate', value: `${digits(machines / seconds)} machines/s` },
    { what: 'manager ready to all Nodes registered', value: `${digits(joined)} s` },
  ];
}

function costRows({ machines, clusters, manager, milestones, apiServerSeconds, calls }: Facts): Row[] {
  const requests = ofMachines(apiRequests(milestones.scrape));
  const workload = apiRequests(milestones.scrape, 'workload');
  const writes = writesOf(requests) / machines;
  const { cpuSeconds, peakMiB } = manager.usage();
  const retried = milestones.scrape.sum('controller_runtime_reconcile_total', { result: 'requeue' });
  const reconciled = milestones.scrape.sum('controller_runtime_reconcile_total', { controller: 'tsmachine' });
  return [
    {
      what: 'management API writes per machine',
      value: digits(writes),
      hold: promise(`<= ${WRITES_PER_MACHINE}`, writes <= WRITES_PER_MACHINE),
    },
    { what: 'management API requests per machine', value: listed(requests, machines) },
    { what: 'workload API requests per machine', value: listed(workload, machines) },
    { what: 'backend calls per machine', value: listed(calls, machines) },
    { what: 'reconciles per machine', value: digits(reconciled / machines) },
    { what: 'longest pause of the event loop', value: `${digits(milestones.longestPauseMs)} ms` },
    { what: 'conflicts', value: digits(retried) },
    { what: `requests for ${clusters} clusters`, value: listed(ofClusters(apiRequests(milestones.scrape))) },
    {
      what: 'CPU of the manager per machine, its start included',
      value: `${digits((1000 * cpuSeconds) / machines)} ms`,
    },
    {
      what: 'CPU of the management API server per machine',
      value: `${digits((1000 * apiServerSeconds) / machines)} ms`,
    },
    { what: 'RSS of the manager, the most', value: `${digits(peakMiB)} MiB` },
  ];
}

function outcomeRows({ machines, provisioned, nodes, instances }: Facts): Row[] {
  const all = digits(machines);
  const row = (what: string, count: number) => ({
    what,
    value: digits(count),
    hold: promise(all, count === machines),
  });
  return [row('provisioned', provisioned), row('Nodes', nodes), row('instances ever made', instances)];
}

/** Lists, watches and what concerns whole clusters are no cost of a machine. */
function ofMachines(requests: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...requests].filter(([key]) => !isOfClusters(key)));
}

function ofClusters(requests: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...requests].filter(([key]) => isOfClusters(key)));
}

function isOfClusters(key: string): boolean {
  return /^(list|watch) /.test(key) || key.endsWith(' tsclusters');
}
