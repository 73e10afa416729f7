// SPDX-License-Identifier: Apache-2.0
// When each step of a machine's way was there, as an onlooker sees it: from the Machine to its Node being Ready.
import type { Machine, Node } from '../../api/cluster-api.ts';
import { MachineKind, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { isReady, nodes, type Workload } from './cluster.ts';
import { type Management, NAMESPACE } from './site.ts';

const EVERY_MS = 150;

/** In the order of their happening. The provider's own are those where only it has to act. */
const STEPS = [
  { name: 'machine', what: 'Machine made', ours: false },
  { name: 'data', what: 'bootstrap data there', ours: false },
  { name: 'claimed', what: 'host claimed', ours: true },
  { name: 'begun', what: 'first step on the host', ours: true },
  { name: 'ended', what: 'kubeadm done on the host', ours: false },
  { name: 'provisioned', what: 'TSMachine provisioned', ours: true },
  { name: 'ready', what: 'Node Ready', ours: false },
  { name: 'linked', what: 'Machine has its Node', ours: false },
] as const;

type StepName = (typeof STEPS)[number]['name'];
type Times = Partial<Record<StepName, number>>;

export interface PhaseTimes {
  /** A table in Markdown, a row for each machine that is complete. */
  stop(): Promise<string>;
}

const LOOK_AT_HOST = `
[ -f /run/cluster-api/bootstrap-success.complete ] && echo ended
[ -f /var/lib/ts-provider/owner ] && ls /var/lib/ts-provider/jobs | grep -q ^bootstrap && echo begun
exit 0`;

/** Looks a few times a second until it is stopped; `workload` answers once there is an API. */
export function recordPhases(
  at: Management,
  hosts: readonly TestHost[],
  workload: () => Workload | undefined,
): PhaseTimes {
  const machines = new Map<string, Times>();
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      await look(at, { hosts, workload: workload(), machines }).catch(() => undefined);
      await new Promise((resolve) => void setTimeout(resolve, EVERY_MS));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return table(machines);
    },
  };
}

interface Looking {
  readonly hosts: readonly TestHost[];
  readonly workload: Workload | undefined;
  readonly machines: Map<string, Times>;
}

async function look({ client }: Management, { hosts, workload, machines }: Looking): Promise<void> {
  const [ownMachines, tsMachines] = await Promise.all([
    client.list(MachineKind, { namespace: NAMESPACE }),
    client.list(TSMachineKind, { namespace: NAMESPACE }),
  ]);
  const known = workload === undefined ? [] : await nodes(workload).catch(() => []);
  for (const machine of ownMachines) {
    const { name } = machine.metadata;
    const times = machines.get(name) ?? {};
    machines.set(name, times);
    const tsMachine = tsMachines.find(({ metadata }) => metadata.name === name);
    const said = await saidBy(hosts, tsMachine?.spec.providerID);
    const node = known.find((one) => isNodeOf(one, tsMachine));
    note(times, {
      ...ofMachine(machine),
      ...ofInstance(tsMachine, said),
      ready: node !== undefined && isReady(node),
    });
  }
}

function ofMachine({ spec, status }: Machine) {
  return {
    machine: true,
    data: spec.bootstrap?.dataSecretName !== undefined,
    linked: status?.nodeRef !== undefined,
  };
}

function ofInstance(tsMachine: TSMachine | undefined, said: string) {
  return {
    claimed: tsMachine?.spec.providerID !== undefined,
    begun: said.includes('begun'),
    ended: said.includes('ended'),
    provisioned: tsMachine?.status?.initialization?.provisioned === true,
  };
}

function isNodeOf({ spec }: Node, tsMachine: TSMachine | undefined): boolean {
  return spec?.providerID !== undefined && spec.providerID === tsMachine?.spec.providerID;
}

/** What the host itself says, if the machine has one. */
async function saidBy(hosts: readonly TestHost[], providerID: string | undefined): Promise<string> {
  const host = hosts.find(({ name }) => providerID?.split('/')[3] === name);
  return host === undefined ? '' : (await host.exec(['sh', '-c', LOOK_AT_HOST])).stdout;
}

function note(times: Times, seen: Record<StepName, boolean>): void {
  for (const { name } of STEPS) if (seen[name]) times[name] ??= Date.now();
}

function table(machines: ReadonlyMap<string, Times>): string {
  const complete = [...machines].filter(([, times]) => STEPS.every(({ name }) => times[name] !== undefined));
  const head = [
    'machine',
    ...STEPS.slice(1).map(({ what, ours }) => (ours ? `${what} (ours)` : what)),
    'ours',
  ];
  const rows = complete.map(([name, times]) => {
    const spans = STEPS.slice(1).map((step, index) => ({
      ours: step.ours,
      ms: Math.max(0, times[step.name]! - times[STEPS[index]!.name]!),
    }));
    const ours = spans.filter((span) => span.ours).reduce((sum, { ms }) => sum + ms, 0);
    return [name, ...spans.map(({ ms }) => seconds(ms)), seconds(ours)];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
