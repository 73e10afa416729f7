// SPDX-License-Identifier: Apache-2.0
// Which hosts will do for a machine, the best first. Pure: the same facts give the same answer.
import { createHash } from 'node:crypto';
import type { MachineFacts } from '../backend.ts';
import { countedReasons, type InventoryHost } from '../host-inventory.ts';
import { hasLabels, memoryOf, mismatch, notNow, type Wanted, wantedBy } from './fit.ts';

/** Hosts to claim, best first and at least one, or one line that counts why there is none. */
export type Selection = { readonly ranked: readonly InventoryHost[] } | { readonly none: string };

/**
 * Chooses among the hosts of the machine's namespace. First those that fit most tightly, so that big hosts stay for those who need
 * them; among equals the machine's client token decides, so that machines that choose at the same moment choose different ones.
 * Throws TerminalError(InvalidMachine) for a selector that cannot be read.
 */
export function selectHost(machine: MachineFacts, hosts: readonly InventoryHost[]): Selection {
  const wanted = wantedBy(machine);
  if (hosts.length === 0) return { none: `no TSHost in namespace ${machine.namespace}` };
  if (!hosts.some((host) => hasLabels(wanted, host))) return { none: noneHasLabels(machine, wanted, hosts) };
  const domain = requiredDomain(machine, wanted, hosts);
  const reasons = hosts.map((host) => firstReason(wanted, domain, host));
  const free = hosts.filter((_host, index) => reasons[index] === undefined);
  if (free.length > 0) return { ranked: ranked(free, tokenOf(machine)) };
  return { none: countedReasons(reasons.filter((reason) => reason !== undefined)) };
}

function noneHasLabels(machine: MachineFacts, wanted: Wanted, hosts: readonly InventoryHost[]): string {
  const labels = Object.entries(wanted.labels).map(([name, value]) => `${name}=${value}`);
  const others = hosts.length === 1 ? '1 has others' : `${hosts.length} have others`;
  return `no TSHost in namespace ${machine.namespace} has the labels ${labels.sort().join(',')} (${others})`;
}

/**
 * The failure domain that the machine has to go to (IM-3). It is a demand as soon as one host that would do stands there, in use or
 * not: the machine then waits for it, as it would in a cloud. A domain that no such host names cannot be meant for hosts, and is not
 * asked for.
 */
function requiredDomain(
  machine: MachineFacts,
  wanted: Wanted,
  hosts: readonly InventoryHost[],
): string | undefined {
  const domain = machine.failureDomain;
  const known = hosts.some(
    (host) => host.failureDomain === domain && !host.deleting && mismatch(wanted, host) === undefined,
  );
  return known && domain !== '' ? domain : undefined;
}

function firstReason(wanted: Wanted, domain: string | undefined, host: InventoryHost): string | undefined {
  const unfit = mismatch(wanted, host);
  if (unfit !== undefined) return unfit;
  if (domain !== undefined && host.failureDomain !== domain) return `outside failure domain ${domain}`;
  return notNow(wanted, host);
}

function ranked(hosts: readonly InventoryHost[], token: string): InventoryHost[] {
  return hosts
    .map((host) => ({ host, size: sizeOf(host), weight: weightOf(token, host) }))
    .sort(
      (a, b) => a.size.memory - b.size.memory || a.size.cpus - b.size.cpus || compareText(a.weight, b.weight),
    )
    .map(({ host }) => host);
}

/**
 * All machines of one kind ask for the same, so the least spare is the smallest host. Sizes that are less than a fifth apart count as
 * one: no two machines of one make measure the same memory, and strict order would send everybody to the same host.
 */
function sizeOf({ status }: InventoryHost): { readonly memory: number; readonly cpus: number } {
  return { memory: step(memoryOf(status.hardware)), cpus: step(status.hardware?.cpus) };
}

const LAST = 1e9;

function step(size: number | undefined): number {
  return size === undefined ? LAST : Math.round(4 * Math.log2(Math.max(1, size)));
}

function tokenOf({ intent, namespace, name }: MachineFacts): string {
  return intent?.clientToken ?? `${namespace}/${name}`;
}

/** Rendezvous hashing: every machine has an order of hosts of its own, which other hosts coming and going do not change. */
function weightOf(token: string, { namespace, name }: InventoryHost): string {
  return createHash('sha256').update(`${token}\0${namespace}/${name}`).digest('hex');
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
