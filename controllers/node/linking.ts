// SPDX-License-Identifier: Apache-2.0
// Which Node is which machine's, and what it lacks. Pure.
import type { Node } from '../../api/cluster-api.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import { canonicalIP } from './ip-address.ts';

/** Label of a Node: its failure domain. */
const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Taint of a Node whose kubelet was told to wait for a cloud controller manager. */
const UNINITIALIZED = 'node.cloudprovider.kubernetes.io/uninitialized';

/** A machine and its Node. */
export interface Link {
  readonly machine: TSMachine;
  readonly node: Node;
}

/** Something that a person has to look at; `message` is one line. */
export interface Conflict {
  readonly machine: TSMachine;
  readonly message: string;
}

export interface Links {
  readonly links: readonly Link[];
  readonly conflicts: readonly Conflict[];
}

/**
 * The Node of a machine carries its providerID (IM-2). One without any is taken by its name, where it is the only one, no other
 * machine has that name, and an address agrees. Machines without a providerID have no Node.
 */
export function linkNodes(machines: readonly TSMachine[], nodes: readonly Node[]): Links {
  const links: Link[] = [];
  const conflicts: Conflict[] = [];
  const byID = grouped(nodes, (node) => providerIDOf(node));
  const byName = new Map(nodes.map((node) => [node.metadata.name.toLowerCase(), node]));
  const claims = grouped(
    machines.filter((machine) => !byID.has(idOf(machine))).flatMap(namesOf),
    ({ name }) => name,
  );
  for (const machine of machines) {
    const found = byID.get(idOf(machine)) ?? nodesByName(machine, byName);
    const [node, second] = found;
    if (node === undefined) continue;
    const message = second === undefined ? objection(machine, node, claims) : ambiguous(machine, found);
    if (message === undefined) links.push({ machine, node });
    else if (message !== '') conflicts.push({ machine, message });
  }
  return { links, conflicts };
}

/** What is missing on the Node of a machine, as a merge patch that is refused when the Node has moved on; `undefined`: nothing. */
export function nodeChange(
  { machine, node }: Link,
  options: { readonly externalCloudProvider: boolean },
): Record<string, unknown> | undefined {
  const labels = missingLabels(machine, node);
  const spec = {
    ...(providerIDOf(node) === '' && { providerID: idOf(machine) }),
    ...(!options.externalCloudProvider && changedTaints(node)),
  };
  if (labels === undefined && Object.keys(spec).length === 0) return undefined;
  const { resourceVersion, uid } = node.metadata;
  return { metadata: { resourceVersion, uid, ...(labels && { labels }) }, spec };
}

/** A zone that somebody else has set stays. */
function missingLabels({ status }: TSMachine, { metadata }: Node): Record<string, string> | undefined {
  const zone = status?.failureDomain;
  return zone === undefined || metadata.labels?.[ZONE_LABEL] !== undefined
    ? undefined
    : { [ZONE_LABEL]: zone };
}

function changedTaints({ spec }: Node): { taints: unknown } | undefined {
  const taints = spec?.taints ?? [];
  const kept = taints.filter(({ key }) => key !== UNINITIALIZED);
  return kept.length === taints.length ? undefined : { taints: kept.length === 0 ? null : kept };
}

/** The Node says its providerID itself. */
export function isLinked({ machine, node }: Link): boolean {
  return providerIDOf(node) === machine.spec.providerID;
}

/** What is worth telling of the addresses of a linked Node: the kubelet sets them, and finds them by itself. */
export function addressMismatch({ machine, node }: Link): string | undefined {
  const known = (machine.status?.addresses ?? []).length > 0 && internalIPs(node).length > 0;
  if (!known || hasAddress(machine, node)) return undefined;
  return (
    `Node ${node.metadata.name} has the InternalIP ${internalIPs(node).join(', ')}, which TSMachine ${keyOf(nameOf(machine))} has not: ` +
    "set the kubelet's node-ip, or the address of the TSHost, so that they agree"
  );
}

/** `undefined`: the Node is the machine's. The empty string: not yet known. */
function objection(
  machine: TSMachine,
  node: Node,
  claims: ReadonlyMap<string, readonly { machine: TSMachine }[]>,
): string | undefined {
  if (isLinked({ machine, node })) return undefined;
  const { name } = node.metadata;
  const other = providerIDOf(node);
  if (other !== '')
    return (
      `Node ${name} has providerID ${other}, not ${idOf(machine)} of TSMachine ${keyOf(nameOf(machine))}, and it is fixed: ` +
      'delete the Node if its machine is gone, and restart the kubelet'
    );
  const rivals = claims.get(name.toLowerCase()) ?? [];
  if (rivals.length > 1)
    return `Node ${name} has no providerID, and the TSMachines ${rivals
      .map((rival) => rival.machine.metadata.name)
      .sort()
      .join(', ')} all have its name: give their hosts different names`;
  // A kubelet registers its Node first and finds its addresses afterwards.
  if (internalIPs(node).length === 0) return '';
  return hasAddress(machine, node)
    ? undefined
    : `Node ${name} has no providerID, and its InternalIP ${internalIPs(node).join(', ')} is not of TSMachine ${keyOf(nameOf(machine))}: ` +
        "give the host a name of its own, or correct the kubelet's node-ip";
}

function ambiguous(machine: TSMachine, nodes: readonly Node[]): string {
  const names = nodes.map((node) => node.metadata.name).sort();
  const said = providerIDOf(nodes[0]!) === '' ? 'have names' : `have providerID ${idOf(machine)}`;
  return `Nodes ${names.join(', ')} all ${said} of TSMachine ${keyOf(nameOf(machine))}: delete those that are not its own`;
}

function nodesByName(machine: TSMachine, byName: ReadonlyMap<string, Node>): Node[] {
  return namesOf(machine).flatMap(({ name }) => byName.get(name) ?? []);
}

/** A machine under each of its host names; none before it has a providerID. */
function namesOf(machine: TSMachine): { name: string; machine: TSMachine }[] {
  if (idOf(machine) === '') return [];
  const names = (machine.status?.addresses ?? [])
    .filter(({ type }) => type === 'Hostname')
    .map(({ address }) => address.toLowerCase());
  return [...new Set(names)].map((name) => ({ name, machine }));
}

function hasAddress(machine: TSMachine, node: Node): boolean {
  const known = (machine.status?.addresses ?? []).map(({ address }) => canonicalIP(address));
  return internalIPs(node).some((address) => known.includes(address));
}

function internalIPs(node: Node): string[] {
  return (node.status?.addresses ?? [])
    .filter(({ type }) => type === 'InternalIP')
    .flatMap(({ address }) => canonicalIP(address) ?? []);
}

function idOf(machine: TSMachine): string {
  return machine.spec.providerID ?? '';
}

function providerIDOf(node: Node): string {
  return node.spec?.providerID ?? '';
}

/** By key; those whose key is empty are left out. */
function grouped<T>(items: readonly T[], keyBy: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyBy(item);
    if (key !== '') groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}
