// SPDX-License-Identifier: Apache-2.0
// Which hosts a machine has. The claim is all the proof there is: its client token survives a move, UIDs do not.
import { Reason } from '../../api/conditions.ts';
import { hostProviderID, parseProviderID } from '../../api/provider-id.ts';
import type { HostState } from '../../api/tshost-status.ts';
import type { HostClaim } from '../../api/tshost.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { MachineFacts } from '../backend.ts';
import { type InventoryHost, instanceIDOf } from '../host-inventory.ts';

/** A host that a TSMachine has claimed. */
export interface HeldHost extends InventoryHost {
  readonly claim: MachineClaim;
}

/** The claim of a TSMachine. */
export type MachineClaim = HostClaim & {
  readonly machine: NonNullable<HostClaim['machine']>;
  readonly clientToken: string;
};

/** The claim if it is a machine's. */
export function machineClaim(claim: HostClaim | undefined): MachineClaim | undefined {
  if (claim?.for !== 'Machine' || claim.machine === undefined || claim.clientToken === undefined)
    return undefined;
  return { ...claim, machine: claim.machine, clientToken: claim.clientToken };
}

/** What a providerID says. */
export interface Named {
  readonly namespace: string;
  readonly host: string;
  readonly instanceID: string;
}

/** The parts of the machine's providerID; `undefined` when it has none, or one that no machine on a host can have. */
export function namedBy({ providerID }: MachineFacts): Named | undefined {
  const parsed = providerID === undefined ? undefined : parseProviderID(providerID);
  return parsed?.backend === 'host' ? parsed : undefined;
}

/** Whether the providerID names this TSHost, whoever has it. */
export function isNamed(named: Named, host: InventoryHost): boolean {
  return host.name === named.host && host.namespace === named.namespace;
}

/** The providerID of the machine that has the host. */
export function providerIDOf({ namespace, name, claim }: HeldHost): string {
  return hostProviderID({ namespace, name, instanceID: instanceIDOf(claim.clientToken) });
}

/**
 * Every host that the machine has, by its providerID or its client token, those of the providerID first, then by name. Throws
 * TerminalError(DuplicateInstances) when one of them is another TSMachine's.
 */
export function heldBy(machine: MachineFacts, hosts: readonly InventoryHost[]): HeldHost[] {
  const named = namedBy(machine);
  const token = machine.intent?.clientToken;
  const held = hosts
    .map((host) => withClaim(host))
    .filter((host) => host !== undefined)
    .filter((host) => host.claim.clientToken === token || isInstance(named, host))
    .sort((a, b) => rank(named, a) - rank(named, b) || (a.name < b.name ? -1 : 1));
  for (const host of held) checkOwner(host, machine);
  return held;
}

function withClaim(host: InventoryHost): HeldHost | undefined {
  const claim = machineClaim(host.claim);
  return claim && { ...host, claim };
}

function isInstance(named: Named | undefined, host: HeldHost): boolean {
  return (
    named !== undefined && isNamed(named, host) && instanceIDOf(host.claim.clientToken) === named.instanceID
  );
}

function rank(named: Named | undefined, host: HeldHost): number {
  return isInstance(named, host) ? 0 : 1;
}

function checkOwner(host: HeldHost, machine: MachineFacts): void {
  const { namespace, name } = host.claim.machine;
  if (namespace === machine.namespace && name === machine.name) return;
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Host ${host.namespace}/${host.name} belongs to TSMachine ${namespace}/${name}, of which this one is a copy; ` +
      'delete the copy and take its finalizer off by hand: the host stays where it belongs',
  );
}

/** States in which nothing has been done on a host for the one that claims it. */
const UNTOUCHED: readonly (HostState | undefined)[] = [undefined, 'Registering', 'Available', 'Claimed'];

/**
 * The one host that is the machine's, out of those that it holds. Two managers that create at the same moment may both have claimed
 * one: whichever is written to spec.providerID stays, and the TSHost controller, which begins with no other, takes the rest back.
 * Which one this answers therefore does not matter, as long as it is none that lost. Throws TerminalError(DuplicateInstances) when
 * two of them were worked on.
 */
export function theOne(machine: MachineFacts, held: readonly HeldHost[]): HeldHost | undefined {
  const named = namedBy(machine);
  const touched = held.filter(({ status }) => !UNTOUCHED.includes(status.state));
  const own = named === undefined ? (touched[0] ?? held[0]) : held.find((host) => isInstance(named, host));
  const other = touched.find((host) => host !== own);
  if (own === undefined || other === undefined) return own;
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Hosts ${own.name} and ${other.name} were both made machines of TSMachine ${machine.namespace}/${machine.name}; ` +
      'look at both, then delete the Machine: both are cleaned',
  );
}
