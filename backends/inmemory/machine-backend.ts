// SPDX-License-Identifier: Apache-2.0
import type { InMemoryFailures } from '../../api/inmemory.ts';
import type { TSMachineSpec } from '../../api/tsmachine.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import type {
  BootstrapData,
  ChangeFeed,
  CreateIntent,
  MachineBackend,
  MachineFacts,
  Observed,
  Sizing,
} from '../backend.ts';
import type { InMemoryCloud } from './cloud.ts';
import { chooseFailureDomain } from './failure-domain.ts';
import { checkOwner, type Instance, type Rehearsal } from './instance.ts';

/** What a Node reports where the machine says nothing. */
const DEFAULT_CAPACITY = { cpu: '4', memory: '8Gi' };

function capacityOf(spec: TSMachineSpec): Record<string, string> {
  return { ...DEFAULT_CAPACITY, ...spec.inMemory?.capacity };
}

/** As a cloud would ask a caller that is too eager. */
const THROTTLE_RETRY_MS = 1_000;

/** The change feed tells of every change; polling is what is left when it does not run. */
const POLL_MS = 30_000;

/**
 * Machines that exist in a database only (design, decision 9). `observe` also hands the machine's `failures` to the
 * simulator: they are its remote control, not part of what is observed.
 */
export function createInMemoryBackend(cloud: InMemoryCloud): MachineBackend & ChangeFeed & Sizing {
  const call = <T>(ctx: Ctx, verb: string, work: () => T): Promise<T> => {
    cloud.count(verb);
    return edge(ctx, work);
  };
  return {
    observe: (ctx, machine) =>
      call(ctx, 'observe', () => {
        throttle(cloud, machine, machine.intent?.clientToken);
        const instance = lookUp(cloud, machine);
        if (instance === undefined || instance.state === 'terminated') return { state: 'absent' };
        checkOwner(instance, machine);
        cloud.rehearse(instance, rehearsalOf(machine));
        return observed(cloud.find({ id: instance.id }) ?? instance, ctx.clock.now().getTime());
      }),

    create: (ctx, machine, intent, bootstrapData) =>
      call(ctx, 'create', () => {
        checkInput(machine, intent, bootstrapData);
        throttle(cloud, machine, intent.clientToken);
        const instance = cloud.run({
          clientToken: intent.clientToken,
          requestHash: intent.requestHash,
          namespace: machine.namespace,
          name: machine.name,
          clusterName: machine.clusterName,
          controlPlane: machine.controlPlane,
          version: machine.version,
          failureDomain: chooseFailureDomain(machine, intent.clientToken),
          capacity: capacityOf(machine.spec),
          rehearsal: rehearsalOf(machine),
          bootstrapData,
        });
        if (instance.state !== 'terminated') return { state: 'started' };
        const message = `Instance ${instance.providerID}, which this create intent made, was terminated; delete the Machine to have it replaced`;
        throw new TerminalError('InstanceTerminated', message);
      }),

    destroy: (ctx, machine) =>
      call(ctx, 'destroy', () => {
        throttle(cloud, machine, machine.intent?.clientToken);
        const traces = everyTrace(cloud, machine).filter(({ state }) => state !== 'terminated');
        // All of them before the first is ended: what is not clear is left to a person.
        for (const instance of traces) checkOwner(instance, machine);
        for (const instance of traces) cloud.terminate(instance.id);
        // The database has the last word: no row, or a tombstone, is proof (invariant 5).
        return { state: 'gone' };
      }),

    size: (_ctx, { spec }) =>
      Promise.resolve({ capacity: capacityOf(spec), architecture: 'amd64', operatingSystem: 'linux' }),

    // Not counted: it is asked all the time, and counting is a write (invariant 12).
    changes: (ctx, cursor) => edge(ctx, () => cloud.changes(cursor)),
  };
}

function lookUp(cloud: InMemoryCloud, machine: MachineFacts): Instance | undefined {
  if (machine.providerID === undefined) return byToken(cloud, machine);
  const parsed = parseProviderID(machine.providerID);
  if (parsed?.backend === 'inMemory') return cloud.find({ id: parsed.instanceID });
  const message = `spec.providerID ${machine.providerID} is none of the in-memory backend; delete the Machine to have it replaced`;
  throw new TerminalError('ProviderIDInvalid', message);
}

function byToken(cloud: InMemoryCloud, machine: MachineFacts): Instance | undefined {
  return machine.intent === undefined ? undefined : cloud.find({ clientToken: machine.intent.clientToken });
}

/** Deleting must work with a providerID that somebody has written by hand, too: then the token leads to what was made. */
function everyTrace(cloud: InMemoryCloud, machine: MachineFacts): readonly Instance[] {
  const parsed = machine.providerID === undefined ? undefined : parseProviderID(machine.providerID);
  const byID = parsed?.backend === 'inMemory' ? cloud.find({ id: parsed.instanceID }) : undefined;
  return [byID, byToken(cloud, machine)].filter((instance) => instance !== undefined);
}

function throttle(cloud: InMemoryCloud, machine: MachineFacts, clientToken: string | undefined): void {
  const limit = failuresOf(machine).throttledCalls ?? 0;
  const caller = clientToken ?? machine.providerID ?? `${machine.namespace}/${machine.name}`;
  if (!cloud.throttle(caller, limit)) return;
  const message = 'The in-memory backend is throttled, as failures.throttledCalls asks';
  throw new TransientError(message, { retryAfterMs: THROTTLE_RETRY_MS });
}

/** The backend's edge: ends a call that is aborted and classifies what comes out of the database. */
async function edge<T>(ctx: Ctx, work: () => T): Promise<T> {
  if (ctx.signal.aborted) throw new TransientError('The call was cut off', { cause: ctx.signal.reason });
  try {
    return work();
  } catch (error) {
    if (error instanceof TerminalError || error instanceof TransientError) throw error;
    throw new TransientError('The instance database did not answer', { cause: error });
  }
}

function checkInput(machine: MachineFacts, intent: CreateIntent, bootstrapData: BootstrapData): void {
  if (machine.spec.inMemory === undefined) {
    throw new TerminalError('InvalidMachine', 'The in-memory backend needs spec.inMemory; {} is enough');
  }
  if (intent.clientToken === '' || intent.requestHash === '') {
    throw new TerminalError('InvalidMachine', 'The create intent has no client token or no request hash');
  }
  if (bootstrapData.value.length === 0) {
    throw new TerminalError(
      'BootstrapDataInvalid',
      'The bootstrap data is empty; delete the Machine to have it replaced',
    );
  }
}

function failuresOf(machine: MachineFacts): InMemoryFailures {
  return { ...machine.cluster?.inMemory?.failures, ...machine.spec.inMemory?.failures };
}

/** The machine's settings, else the cluster's, else none. */
function rehearsalOf(machine: MachineFacts): Rehearsal {
  const { neverBoots, provisioningError, diesAfterSeconds } = failuresOf(machine);
  const delaySeconds =
    machine.spec.inMemory?.bootDelaySeconds ?? machine.cluster?.inMemory?.bootDelaySeconds ?? 0;
  return {
    bootDelayMs: delaySeconds * 1000,
    ...(neverBoots === true && { neverBoots }),
    ...(provisioningError !== undefined && { provisioningError }),
    ...(diesAfterSeconds !== undefined && { diesAfterMs: diesAfterSeconds * 1000 }),
  };
}

function observed(instance: Instance, nowMs: number): Observed {
  const { providerID, addresses, failureDomain } = instance;
  const seen = { providerID, addresses, failureDomain };
  switch (instance.state) {
    case 'pending':
      return {
        state: 'pending',
        ...seen,
        message: pendingMessage(instance),
        pollMs: pollMs(instance, nowMs),
      };
    // The machine is up: whether its guest joins the cluster is not the infrastructure's question (IM-10).
    case 'booting':
    case 'running':
      return { state: 'running', ...seen, message: instance.message };
    case 'failed':
    case 'stopped':
      return { state: instance.state, ...seen, message: instance.message };
    case 'terminated':
      return { state: 'absent' };
  }
}

function pendingMessage(instance: Instance): string {
  if (instance.bootAtMs === undefined) return 'The instance never boots, as failures.neverBoots asks';
  return `The instance boots, which takes ${instance.rehearsal.bootDelayMs / 1000} s`;
}

function pollMs(instance: Instance, nowMs: number): number {
  if (instance.bootAtMs === undefined) return POLL_MS;
  return Math.min(Math.max(instance.bootAtMs - nowMs, 1_000), POLL_MS);
}
