// SPDX-License-Identifier: Apache-2.0
import { Reason } from '../../api/conditions.ts';
import type { HostClaim } from '../../api/tshost.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import type {
  BootstrapData,
  Created,
  CreateIntent,
  Destroyed,
  MachineBackend,
  MachineFacts,
  Observed,
} from '../backend.ts';
import { type HostInventory, instanceIDOf, type InventoryHost } from '../host-inventory.ts';
import { wantedBy } from './fit.ts';
import { freshLists, type ListFresh } from './fresh-lists.ts';
import { heldBy, type HeldHost, isNamed, namedBy, theOne } from './held.ts';
import { observedOn, POLL_MS, releasing } from './observed.ts';
import { selectHost } from './select.ts';

/** How often one call chooses anew when others are faster. */
const ROUNDS = 5;
/** Somebody else wrote to the host at the same moment. */
const SOON_MS = 1_000;

/** What the backend is made of. */
export interface HostBackendDeps {
  readonly inventory: HostInventory;
}

interface Deps extends HostBackendDeps {
  readonly listFresh: ListFresh;
}

/**
 * Machines on hosts of the inventory. It chooses a host, claims it, reads what the TSHost controller reports and asks for release; the
 * TSHost controller alone talks to hosts. Nothing is concluded from an old copy: `absent` and `gone` come from a list of this moment.
 * `observe` writes one thing: the UID in the claim, which a move to another management cluster changes.
 */
export function createHostBackend(given: HostBackendDeps): MachineBackend {
  const deps: Deps = { ...given, listFresh: freshLists(given.inventory) };
  return {
    observe: (ctx, machine) => edge(ctx, () => observe(ctx, machine, deps)),
    create: (ctx, machine, intent, bootstrapData) =>
      edge(ctx, () => {
        checkInput(machine, intent, bootstrapData);
        return create(ctx, { ...machine, intent }, deps);
      }),
    destroy: (ctx, machine) => edge(ctx, () => destroy(ctx, machine, deps)),
  };
}

interface PromisedMachine extends MachineFacts {
  readonly intent: CreateIntent;
}

/** The backend's edge: ends a call that is aborted and classifies what comes out of the inventory. */
async function edge<T>(ctx: Ctx, work: () => Promise<T>): Promise<T> {
  if (ctx.signal.aborted) throw new TransientError('The call was cut off', { cause: ctx.signal.reason });
  try {
    return await work();
  } catch (error) {
    if (error instanceof TerminalError || error instanceof TransientError) throw error;
    throw new TransientError('The inventory of hosts did not answer', { cause: error });
  }
}

async function observe(ctx: Ctx, machine: MachineFacts, deps: Deps): Promise<Observed> {
  checkProviderID(machine);
  const host =
    theOne(machine, heldBy(machine, known(machine, deps))) ?? (await lookAgain(ctx, machine, deps));
  return host === undefined ? { state: 'absent' } : observedOn(await renewUID(ctx, host, machine, deps));
}

/** With a providerID its namespace is enough; a machine that has none yet may be the copy of one in another namespace. */
function known(machine: MachineFacts, { inventory }: Deps): readonly InventoryHost[] {
  return inventory.list(namedBy(machine)?.namespace);
}

function namespaceOf(machine: MachineFacts): string {
  return namedBy(machine)?.namespace ?? machine.namespace;
}

async function lookAgain(ctx: Ctx, machine: MachineFacts, deps: Deps): Promise<HeldHost | undefined> {
  const hosts = await deps.listFresh(ctx, namespaceOf(machine));
  const named = namedBy(machine);
  if (named !== undefined && !hosts.some((host) => isNamed(named, host))) {
    const message =
      `TSHost ${named.namespace}/${named.host}, which has the machine, does not exist: ` +
      'restore it with its claim from a backup; or delete the Machine, and look after the host yourself';
    throw new TerminalError(Reason.HostMissing, message);
  }
  return theOne(machine, heldBy(machine, hosts));
}

function checkProviderID(machine: MachineFacts): void {
  if (machine.providerID === undefined || namedBy(machine) !== undefined) return;
  const message = `spec.providerID ${machine.providerID} is none of the host backend; delete the Machine to have it replaced`;
  throw new TerminalError('ProviderIDInvalid', message);
}

/** After a move: names and client token are the same, the UID is a new one. Who is faster does not matter. */
async function renewUID(
  ctx: Ctx,
  host: HeldHost,
  machine: MachineFacts,
  { inventory }: Deps,
): Promise<HeldHost> {
  const { claim } = host;
  if (claim.machine.uid === machine.uid) return host;
  const renewed = { ...claim, machine: { ...claim.machine, uid: machine.uid } };
  await inventory.setClaim(ctx, host, renewed);
  return { ...host, claim: renewed };
}

function checkInput(machine: MachineFacts, intent: CreateIntent, { format, value }: BootstrapData): void {
  if (machine.spec.host === undefined)
    throw new TerminalError('InvalidMachine', 'The host backend needs spec.host; {} takes any free host');
  wantedBy(machine);
  if (intent.clientToken === '' || intent.requestHash === '')
    throw new TerminalError('InvalidMachine', 'The create intent has no client token or no request hash');
  if (value.length === 0) {
    const message = 'The bootstrap data is empty; delete the Machine to have it replaced';
    throw new TerminalError(Reason.BootstrapDataInvalid, message);
  }
  if (format !== 'cloud-config') {
    const message = `Hosts over SSH take bootstrap data in cloud-config, not ${format}: set format of the bootstrap config to cloud-config`;
    throw new TerminalError(Reason.BootstrapDataUnsupported, message);
  }
}

/** Claims a host by compare-and-swap. A list of this moment is looked at first, so that a replay finds what was claimed before. */
async function create(ctx: Ctx, machine: PromisedMachine, deps: Deps): Promise<Created> {
  const { inventory } = deps;
  const claimed = alreadyClaimed(machine, inventory.list());
  if (claimed !== undefined) return claimed;
  // Most machines that wait for a host wait for long: what the cache says is good enough to go on waiting.
  const selection = selectHost(machine, inventory.list(machine.namespace));
  if ('none' in selection) return noHost(selection.none);
  for (let round = 0; round < ROUNDS; round++) {
    const created = await claimOne(ctx, machine, deps);
    if (created !== undefined) return created;
  }
  const message = 'Other machines were faster to claim each host that was chosen; choosing again';
  return { state: 'deferred', reason: Reason.NoHostAvailable, message, pollMs: SOON_MS };
}

/** One try; `undefined` when somebody was faster, who may be another manager that works for this machine. */
async function claimOne(ctx: Ctx, machine: PromisedMachine, deps: Deps): Promise<Created | undefined> {
  const hosts = await deps.listFresh(ctx, machine.namespace);
  const claimed = alreadyClaimed(machine, hosts);
  if (claimed !== undefined) return claimed;
  const selection = selectHost(machine, hosts);
  if ('none' in selection) return noHost(selection.none);
  const [best] = selection.ranked;
  if (best === undefined) return undefined;
  ctx.log.info({ host: `${best.namespace}/${best.name}` }, 'Claiming host');
  const written = await deps.inventory.setClaim(ctx, best, claimFor(machine, best));
  return written === undefined ? undefined : { state: 'started' };
}

function noHost(message: string): Created {
  return { state: 'deferred', reason: Reason.NoHostAvailable, message, pollMs: POLL_MS };
}

/** The intent has its host already, or had it (invariant 2): it gets no other one. */
function alreadyClaimed(machine: PromisedMachine, hosts: readonly InventoryHost[]): Created | undefined {
  const held = heldBy(machine, hosts);
  for (const host of held) checkRequest(host, machine.intent);
  if (held.length > 0) return { state: 'started' };
  const instanceID = instanceIDOf(machine.intent.clientToken);
  const last = hosts.find(({ claim }) => claim?.previous === instanceID);
  if (last === undefined) return undefined;
  const message = `The machine that this create intent made on host ${last.namespace}/${last.name} is gone; delete the Machine to have it replaced`;
  throw new TerminalError(Reason.InstanceTerminated, message);
}

function checkRequest({ namespace, name, claim }: HeldHost, { requestHash }: CreateIntent): void {
  if (claim.requestHash === undefined || claim.requestHash === requestHash) return;
  const message =
    `The client token already stands for another request, which has host ${namespace}/${name}; ` +
    'a changed request needs a new attempt with a new token';
  throw new TerminalError('IdempotencyMismatch', message);
}

function claimFor({ namespace, name, uid, intent }: PromisedMachine, { claim }: InventoryHost): HostClaim {
  return {
    generation: (claim?.generation ?? 0) + 1,
    for: 'Machine',
    machine: { namespace, name, uid },
    clientToken: intent.clientToken,
    requestHash: intent.requestHash,
    ...(claim?.previous !== undefined && { previous: claim.previous }),
  };
}

/** Asks for release, and says how far it is. Gone only when no host is the machine's, seen on a list of this moment (invariant 5). */
async function destroy(ctx: Ctx, machine: MachineFacts, deps: Deps): Promise<Destroyed> {
  let held = heldBy(machine, deps.inventory.list());
  if (held.length === 0) held = heldBy(machine, await deps.listFresh(ctx, namespaceOf(machine)));
  const answers = [];
  for (const host of held) answers.push(await release(ctx, host, deps));
  return answers[0] ?? { state: 'gone' };
}

async function release(ctx: Ctx, host: HeldHost, { inventory }: Deps): Promise<Destroyed> {
  const { claim } = host;
  if (claim.releasing === true) return { state: 'inProgress', message: releasing(host), pollMs: POLL_MS };
  const asked = { ...claim, releasing: true };
  const written = await inventory.setClaim(ctx, host, asked);
  if (written === undefined) {
    const message = `Host ${host.name} changed at this moment; asking for its release again`;
    return { state: 'inProgress', message, pollMs: SOON_MS };
  }
  return { state: 'inProgress', message: `Host ${host.name} is given back`, pollMs: POLL_MS };
}
