// SPDX-License-Identifier: Apache-2.0
import { expect, it, vi } from 'vitest';
import type { Client } from '../runtime/client.ts';
import type { Ctx } from '../runtime/context.ts';
import { createWorkloadClusters } from './workload-cluster.ts';

const ctx = { signal: new AbortController().signal } as Ctx;
const cluster = { namespace: 'ns', clusterName: 'c1' };

/** A management cluster that holds one Secret, and a hand to turn the clock. */
function setup(data: Record<string, string> | undefined) {
  let nowMs = 0;
  const state = { data, resourceVersion: '1', reads: 0 };
  const client = {
    async get(_kind: unknown, name: { namespace: string; name: string }) {
      state.reads++;
      expect(name).toEqual({ namespace: 'ns', name: 'c1-kubeconfig' });
      if (state.data === undefined) return undefined;
      return { metadata: { name: name.name, resourceVersion: state.resourceVersion }, data: state.data };
    },
  } as unknown as Client;
  const clientFrom = vi.fn((text: string) => {
    if (text.includes('bad')) throw new Error('no current context');
    return { text } as unknown as Client;
  });
  const clock = { now: () => new Date(nowMs), schedule: () => () => {} };
  const workloads = createWorkloadClusters({ client, clock, clientFrom });
  return { state, workloads, clientFrom, advance: (ms: number) => (nowMs += ms) };
}

const encoded = (text: string) => ({ value: Buffer.from(text).toString('base64') });

it('answers nothing while the Secret does not exist, and asks for it once a second', async () => {
  const { state, workloads, advance } = setup(undefined);
  for (let guest = 0; guest < 40; guest++) expect(await workloads.connect(ctx, cluster)).toBeUndefined();
  expect(state.reads).toBe(1);
  state.data = encoded('one');
  advance(1_000);
  expect(await workloads.connect(ctx, cluster)).toBeDefined();
});

it('keeps the client, looks at the Secret once a minute, and makes a new client only when it changed', async () => {
  const { state, workloads, clientFrom, advance } = setup(encoded('one'));
  const first = await workloads.connect(ctx, cluster);
  expect(await workloads.connect(ctx, cluster)).toBe(first);
  expect(state.reads).toBe(1);
  advance(60_000);
  expect(await workloads.connect(ctx, cluster)).toBe(first);
  expect(state.reads).toBe(2);
  state.data = encoded('two');
  state.resourceVersion = '2';
  advance(60_000);
  expect(await workloads.connect(ctx, cluster)).not.toBe(first);
  expect(clientFrom).toHaveBeenCalledTimes(2);
});

it('follows a watch on the Secret at once', async () => {
  const { state, workloads, clientFrom } = setup(encoded('one'));
  const first = await workloads.connect(ctx, cluster, '1');
  expect(await workloads.connect(ctx, cluster, '1')).toBe(first);
  Object.assign(state, { data: encoded('two'), resourceVersion: '10' });
  expect(await workloads.connect(ctx, cluster, '10')).not.toBe(first);
  await workloads.connect(ctx, cluster, '2'); // The watch of another is behind.
  expect([state.reads, clientFrom.mock.calls.length]).toEqual([2, 2]);
});

it('forgets the client of a cluster that nobody asks for any more', async () => {
  const { workloads, clientFrom, advance } = setup(encoded('one'));
  await workloads.connect(ctx, cluster);
  advance(11 * 60_000);
  await workloads.connect(ctx, cluster);
  expect(clientFrom).toHaveBeenCalledTimes(2);
});

it('looks again when the clock was set back', async () => {
  const { state, workloads, advance } = setup(encoded('one'));
  await workloads.connect(ctx, cluster);
  advance(-5 * 3_600_000);
  await workloads.connect(ctx, cluster);
  expect(state.reads).toBe(2);
});

it.each([
  ['no key', {}, /Secret ns\/c1-kubeconfig .*no data under the key "value".*Delete it/],
  ['malformed', encoded('bad: SECRET-CANARY'), /Secret ns\/c1-kubeconfig .*no current context/],
])('%s: names the Secret, the key and the way out, never the content', async (_name, data, want) => {
  const error = await setup(data)
    .workloads.connect(ctx, cluster)
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'TerminalError', reason: 'KubeconfigInvalid' });
  expect(String(error)).toMatch(want);
  expect(String(error)).not.toContain('CANARY');
});
