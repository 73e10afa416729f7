// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ctx } from '../runtime/context.ts';
import { TerminalError, TransientError } from '../runtime/errors.ts';
import type {
  BootstrapData,
  CreateIntent,
  Destroyed,
  MachineBackend,
  MachineFacts,
  Observed,
} from './backend.ts';

/** A create call that the backend must refuse for good. */
export interface BadInput {
  readonly name: string;
  readonly machine: MachineFacts;
  readonly bootstrapData?: BootstrapData;
  readonly reason: string;
}

/** One infrastructure of its own for each test, and two ways to it. */
export interface BackendUnderTest {
  readonly ctx: Ctx;
  readonly backend: MachineBackend;
  /** Makes the first intent of a machine; for a backend that plans. Without it: one that nothing was chosen for. */
  readonly intentFor?: (machine: MachineFacts) => Promise<CreateIntent>;
  /** A second handle on the same infrastructure, as the next leader or another manager has. */
  readonly other: MachineBackend;
  /** A machine that does not exist yet; its name is new each time, and it has no intent. */
  readonly newMachine: () => MachineFacts;
  readonly bootstrapData: BootstrapData;
  readonly badInput: readonly BadInput[];
  /** Instances ever made, those that are gone included. */
  readonly countInstances: () => Promise<number>;
  /** Lets the infrastructure finish what it has started. */
  readonly settle: () => Promise<void>;
  /** Where an infrastructure shows late what was made: lets so much time pass that a handle that has not made it finds it. */
  readonly show?: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** More than enough for any infrastructure to end one machine, with `settle` in between. */
const DESTROY_CALLS = 20;

/** What every backend promises (backend.ts), as one suite: run it with each way to set the backend up. */
export function backendContract(name: string, setup: () => Promise<BackendUnderTest>): void {
  describe(`backend contract: ${name}`, () => {
    let t: BackendUnderTest;
    beforeEach(async () => {
      t = await setup();
    });
    afterEach(() => t.close());
    const current = (): BackendUnderTest => t;

    describeCreate(current);
    describeIdempotency(current);
    describeDestroy(current);
    describeCopies(current);
    describeErrors(current);
  });
}

type Current = () => BackendUnderTest;

function describeCreate(current: Current): void {
  it('answers absent before anything is created', async () => {
    const { backend, ctx, newMachine, countInstances } = current();
    expect(await backend.observe(ctx, newMachine())).toEqual({ state: 'absent' });
    expect(await backend.observe(ctx, await promised(current(), newMachine()))).toEqual({ state: 'absent' });
    expect(await countInstances()).toBe(0);
  });

  it('creates an instance that has an identity at once and runs in the end', async () => {
    const { backend, ctx, newMachine, settle } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    const first = existing(await backend.observe(ctx, machine));
    expect(['pending', 'running']).toContain(first.state);
    expect(first.providerID).toMatch(/^[a-z]+:\/\/.+/);
    await settle();
    const later = existing(await backend.observe(ctx, machine));
    expect(later).toMatchObject({ state: 'running', providerID: first.providerID });
    expect(later.addresses.length).toBeGreaterThan(0);
  });

  it('gives each machine an instance, a providerID and addresses of its own', async () => {
    const { backend, ctx, newMachine, settle, countInstances } = current();
    const machines: PromisedMachine[] = [];
    for (let count = 0; count < 3; count++) machines.push(await promised(current(), newMachine()));
    for (const machine of machines) await create(current(), machine);
    await settle();
    const seen = await Promise.all(
      machines.map(async (machine) => existing(await backend.observe(ctx, machine))),
    );
    expect(new Set(seen.map((one) => one.providerID)).size).toBe(3);
    expect(new Set(seen.map((one) => JSON.stringify(one.addresses))).size).toBe(3);
    expect(await countInstances()).toBe(3);
  });

  it('finds the instance by its providerID alone, and by its token alone', async () => {
    const { backend, other, ctx, newMachine, show } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    const { providerID } = existing(await backend.observe(ctx, machine));
    await show?.();
    expect(existing(await other.observe(ctx, { ...machine, providerID, intent: undefined })).providerID).toBe(
      providerID,
    );
    // The Cluster's name is a tag, which may be unknown while deleting (IM-15).
    expect(existing(await other.observe(ctx, { ...machine, clusterName: '' })).providerID).toBe(providerID);
  });
}

function describeIdempotency(current: Current): void {
  it('makes nothing new when the same intent is replayed', async () => {
    const { backend, ctx, newMachine, settle, countInstances } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    await create(current(), machine);
    const first = existing(await backend.observe(ctx, machine));
    await settle();
    await create(current(), machine);
    expect(existing(await backend.observe(ctx, machine)).providerID).toBe(first.providerID);
    expect(await countInstances()).toBe(1);
  });

  it('makes one instance when two managers create at once', async () => {
    const { backend, other, ctx, newMachine, countInstances } = current();
    const machine = await promised(current(), newMachine());
    const calls = [backend, other, backend, other].map((one) =>
      one.create(ctx, machine, machine.intent, current().bootstrapData),
    );
    await Promise.all(calls);
    expect(await countInstances()).toBe(1);
    const [one, two] = [await backend.observe(ctx, machine), await other.observe(ctx, machine)];
    expect(existing(one).providerID).toBe(existing(two).providerID);
  });

  it('lets a caller that crashed after the call find what it made', async () => {
    const { other, ctx, newMachine, countInstances, show } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    await show?.();
    // The next process knows the intent only: it had been stored before the call.
    const { providerID } = existing(await other.observe(ctx, machine));
    await other.create(ctx, machine, machine.intent, current().bootstrapData);
    expect(existing(await other.observe(ctx, machine)).providerID).toBe(providerID);
    expect(await countInstances()).toBe(1);
  });

  it('refuses a token that stands for another request', async () => {
    const { backend, ctx, newMachine, bootstrapData, countInstances } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    const changed = { ...machine.intent, requestHash: 'another' };
    const error = await rejection(
      backend.create(ctx, { ...machine, intent: changed }, changed, bootstrapData),
    );
    expect(error).toBeInstanceOf(TerminalError);
    expect(await countInstances()).toBe(1);
  });
}

function describeDestroy(current: Current): void {
  it('ends an instance, says gone with proof, and says it again', async () => {
    const { backend, other, ctx, newMachine, settle } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    await settle();
    const { providerID } = existing(await backend.observe(ctx, machine));
    await destroyed(current(), { ...machine, providerID });
    expect(await backend.observe(ctx, { ...machine, providerID })).toEqual({ state: 'absent' });
    expect(await backend.observe(ctx, machine)).toEqual({ state: 'absent' });
    expect((await other.destroy(ctx, { ...machine, providerID })).state).toBe('gone');
  });

  it('ends an instance that is still coming up, without its cluster and by its token alone', async () => {
    const { backend, ctx, newMachine, settle } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    await destroyed(current(), { ...machine, cluster: undefined, version: undefined });
    await settle();
    expect(await backend.observe(ctx, machine)).toEqual({ state: 'absent' });
  });

  it('says gone for a machine that was never created', async () => {
    const { backend, ctx, newMachine } = current();
    expect((await backend.destroy(ctx, newMachine())).state).toBe('gone');
    expect((await backend.destroy(ctx, await promised(current(), newMachine()))).state).toBe('gone');
  });

  it('ends only the instance of its machine', async () => {
    const { backend, ctx, newMachine, settle } = current();
    const machine = await promised(current(), newMachine());
    const neighbour = await promised(current(), newMachine());
    await create(current(), machine);
    await create(current(), neighbour);
    await settle();
    await destroyed(current(), machine);
    expect(existing(await backend.observe(ctx, neighbour)).state).toBe('running');
  });

  it('never makes a second instance for a token whose instance is gone', async () => {
    const { backend, ctx, newMachine, bootstrapData, countInstances, settle } = current();
    const machine = await promised(current(), newMachine());
    await create(current(), machine);
    await destroyed(current(), machine);
    const again = backend.create(ctx, machine, machine.intent, bootstrapData);
    const error = await again.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error !== undefined) expect(error).toBeInstanceOf(TerminalError);
    await settle();
    expect(await countInstances()).toBe(1);
    expect(await backend.observe(ctx, machine)).toEqual({ state: 'absent' });
  });
}

/** `kubectl get -o yaml | rename | apply`, or a backup restored beside the original: spec travels, the instance is not shared. */
function describeCopies(current: Current): void {
  interface Copied {
    readonly original: PromisedMachine;
    readonly providerID: string;
    /** Objects of other names that carry one of the original's identities, or both. */
    readonly copies: readonly MachineFacts[];
  }

  async function copied(): Promise<Copied> {
    const { backend, ctx, newMachine, settle } = current();
    const original = await promised(current(), newMachine());
    await create(current(), original);
    await settle();
    const { providerID } = existing(await backend.observe(ctx, original));
    const elsewhere = { ...original, namespace: `${original.namespace}-restored` };
    const renamed = { ...original, name: `${original.name}-copy` };
    const own = await promised(current(), newMachine());
    const copies = [renamed, elsewhere].flatMap((copy) => [
      copy,
      { ...copy, providerID },
      { ...copy, providerID, intent: undefined },
    ]);
    return { original, providerID, copies: [...copies, { ...own, providerID }] };
  }

  async function expectRefused(call: Promise<unknown>, { namespace, name }: MachineFacts): Promise<void> {
    const error = await rejection(call);
    expect(error).toBeInstanceOf(TerminalError);
    const message = expect.stringContaining(`${namespace}/${name}`) as string;
    expect(error).toMatchObject({ reason: 'DuplicateInstances', message });
  }

  it('lets no copy of a machine see its instance, take it over or end it, and names whose it is', async () => {
    const { backend, other, ctx, bootstrapData, settle, countInstances } = current();
    const { original, providerID, copies } = await copied();
    for (const copy of copies) {
      await expectRefused(backend.observe(ctx, copy), original);
      await expectRefused(other.destroy(ctx, copy), original);
    }
    const [copy] = copies;
    await expectRefused(backend.create(ctx, copy!, original.intent, bootstrapData), original);
    const changed = { ...original.intent, requestHash: 'another' };
    await expectRefused(backend.create(ctx, { ...copy!, intent: changed }, changed, bootstrapData), original);
    await settle();
    expect(existing(await backend.observe(ctx, original))).toMatchObject({ state: 'running', providerID });
    expect(await countInstances()).toBe(1);
  });

  it('serves a copy that carries no identity as a machine of its own', async () => {
    const { backend, ctx, countInstances } = current();
    const { original } = await copied();
    const copy = { ...original, name: `${original.name}-copy`, intent: undefined };
    expect(await backend.observe(ctx, copy)).toEqual({ state: 'absent' });
    expect((await backend.destroy(ctx, copy)).state).toBe('gone');
    await create(current(), await promised(current(), copy));
    expect(await countInstances()).toBe(2);
    expect(existing(await backend.observe(ctx, original)).state).toBe('running');
  });

  it('lets copies go once the instance is gone', async () => {
    const { original, copies } = await copied();
    await destroyed(current(), original);
    for (const copy of copies) await destroyed(current(), copy);
  });
}

function describeErrors(current: Current): void {
  it('rejects at once, with an error that may heal, when the call is aborted', async () => {
    const { backend, newMachine, bootstrapData, countInstances } = current();
    const machine = await promised(current(), newMachine());
    const ctx = { ...current().ctx, signal: AbortSignal.abort() };
    expect(await rejection(backend.observe(ctx, machine))).toBeInstanceOf(TransientError);
    expect(await rejection(backend.create(ctx, machine, machine.intent, bootstrapData))).toBeInstanceOf(
      TransientError,
    );
    expect(await rejection(backend.destroy(ctx, machine))).toBeInstanceOf(TransientError);
    expect(await countInstances()).toBe(0);
  });

  it('refuses bad input for good, with a reason and a message, and makes nothing', async () => {
    const { backend, ctx, badInput, bootstrapData, countInstances } = current();
    expect(badInput.length).toBeGreaterThan(0);
    for (const bad of badInput) {
      // What has to be chosen is refused before there is an intent.
      const call = promised(current(), bad.machine).then((machine) =>
        backend.create(ctx, machine, machine.intent, bad.bootstrapData ?? bootstrapData),
      );
      const error = await rejection(call);
      expect(error, bad.name).toBeInstanceOf(TerminalError);
      expect(error, bad.name).toMatchObject({
        reason: bad.reason,
        message: expect.stringMatching(/.{20}/) as string,
      });
    }
    expect(await countInstances()).toBe(0);
  });
}

interface PromisedMachine extends MachineFacts {
  readonly intent: CreateIntent;
}

async function promised(t: BackendUnderTest, machine: MachineFacts): Promise<PromisedMachine> {
  const first = { attempt: 1, clientToken: randomUUID(), requestHash: 'a-hash' };
  return { ...machine, intent: (await t.intentFor?.(machine)) ?? first };
}

async function create(t: BackendUnderTest, machine: PromisedMachine): Promise<void> {
  const created = await t.backend.create(t.ctx, machine, machine.intent, t.bootstrapData);
  expect(created).toEqual({ state: 'started' });
}

async function destroyed({ backend, ctx, settle }: BackendUnderTest, machine: MachineFacts): Promise<void> {
  let answer: Destroyed = { state: 'inProgress', message: 'not asked yet' };
  for (let call = 0; call < DESTROY_CALLS && answer.state === 'inProgress'; call++) {
    answer = await backend.destroy(ctx, machine);
    if (answer.state === 'inProgress') await settle();
  }
  expect(answer).toEqual({ state: 'gone' });
}

function existing(observed: Observed): Exclude<Observed, { state: 'absent' }> {
  if (observed.state === 'absent') throw new Error('The backend answered absent for an instance that exists');
  return observed;
}

async function rejection(call: Promise<unknown>): Promise<unknown> {
  const answer = await call.then(
    () => undefined,
    (error: unknown) => error ?? new Error('rejected with nothing'),
  );
  expect(answer, 'the call must reject').toBeDefined();
  return answer;
}
