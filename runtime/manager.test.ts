// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { ApiClient } from './client.ts';
import { TransientError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { createInformers } from './informer.ts';
import type { LeaderElector } from './leader-election.ts';
import { createLogger } from './logger.ts';
import { createManager, type ManagerOptions } from './manager.ts';
import { aborted, type Runnable } from './runnable.ts';

/** Lets everything run that needs no more time. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A manager whose parts note when they start and stop. */
function setup(overrides: Partial<ManagerOptions> = {}) {
  const seen: string[] = [];
  const lines: string[] = [];
  let lose: (why: string) => void = () => undefined;
  const runnable = (name: string): Runnable => ({
    name,
    async run(signal) {
      seen.push(`+${name}`);
      await aborted(signal);
      await settle();
      seen.push(`-${name}`);
    },
  });
  const elector: LeaderElector = {
    async acquire(_signal, onLost) {
      lose = onLost;
      seen.push('+lease');
      return true;
    },
    isLeader: () => true,
    release: async () => void seen.push('-lease'),
  };
  const manager = createManager({
    log: createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } }),
    exit: (code) => void seen.push(`exit ${code}`),
    listeners: [{ start: async () => void seen.push('+http'), stop: async () => void seen.push('-http') }],
    informers: {
      start: () => void seen.push('+informers'),
      waitForSync: async () => void seen.push('synced'),
      stop: async () => void seen.push('-informers'),
    },
    elector,
    background: [runnable('ticker')],
    controllers: [runnable('machine'), runnable('cluster')],
    ...overrides,
  });
  return { manager, seen, lines, elector, runnable, lose: (why: string) => lose(why) };
}

const STARTED = ['+http', '+informers', 'synced', '+lease', '+ticker', '+machine', '+cluster'];

describe('run', () => {
  it('starts in order and stops in order', async () => {
    const { manager, seen } = setup();
    const running = manager.run();
    await settle();
    expect(seen).toEqual(STARTED);
    manager.stop();
    manager.stop();
    await running;
    expect(seen.slice(STARTED.length)).toEqual([
      '-machine',
      '-cluster',
      '-ticker',
      '-informers',
      '-lease',
      '-http',
    ]);
  });

  it('without an elector leads at once', async () => {
    const seen: string[] = [];
    const manager = createManager({
      log: createLogger({ level: 'silent' }),
      exit: () => undefined,
      listeners: [],
      informers: { start: () => undefined, waitForSync: async () => undefined, stop: async () => undefined },
      controllers: [{ name: 'machine', run: async (signal) => (seen.push('run'), aborted(signal)) }],
    });
    const running = manager.run();
    await settle();
    expect(seen).toEqual(['run']);
    manager.stop();
    await running;
  });

  it('may be stopped while caches sync: nothing later was started, everything earlier is stopped', async () => {
    const { manager, seen } = setup({
      informers: {
        start: () => undefined,
        waitForSync: (signal) => aborted(signal),
        stop: async () => void seen.push('-informers'),
      },
    });
    const running = manager.run();
    await settle();
    manager.stop();
    await running;
    expect(seen).toEqual(['+http', '-informers', '-lease', '-http']);
  });

  it('may be stopped while real informers wait for a server that does not answer', async () => {
    const snapshot = async (_kind: unknown, _options: unknown, signal: AbortSignal) => {
      await aborted(signal);
      throw new TransientError('aborted');
    };
    const client = { snapshot } as unknown as ApiClient;
    const log = createLogger({ level: 'silent' });
    const informers = createInformers({ client, log, clock: new FakeClock() });
    informers.add({ apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true });
    const { manager, seen } = setup({ informers });
    const running = manager.run();
    await settle();
    manager.stop();
    await running;
    expect(seen).toEqual(['+http', '-lease', '-http']);
  });

  it('may be stopped while it waits for the lease', async () => {
    const { manager, seen } = setup({
      elector: {
        acquire: async (signal) => (await aborted(signal), false),
        isLeader: () => false,
        release: async () => undefined,
      },
    });
    const running = manager.run();
    await settle();
    manager.stop();
    await running;
    expect(seen).toEqual(['+http', '+informers', 'synced', '-informers', '-http']);
  });

  it('rejects when a listener cannot start, and stops those that did', async () => {
    const seen: string[] = [];
    const { manager, seen: others } = setup({
      listeners: [
        { start: async () => void seen.push('+first'), stop: async () => void seen.push('-first') },
        {
          start: () => Promise.reject(new Error('address in use')),
          stop: async () => void seen.push('-second'),
        },
      ],
    });
    await expect(manager.run()).rejects.toThrow('address in use');
    expect(seen).toEqual(['+first', '-first']);
    expect(others).not.toContain('+informers');
  });

  it('stops everything when one part fails, and rejects with its error', async () => {
    const { manager, seen, lines } = setup({
      background: [{ name: 'broken', run: () => Promise.reject(new Error('disk is full')) }],
    });
    await expect(manager.run()).rejects.toThrow('disk is full');
    expect(seen.slice(-5)).toEqual(['-machine', '-cluster', '-informers', '-lease', '-http']);
    expect(lines.join('')).toContain('"runnable":"broken"');
  });

  it('goes on when a part ends by itself', async () => {
    const { manager, seen } = setup({ background: [{ name: 'once', run: async () => undefined }] });
    const running = manager.run();
    await settle();
    expect(seen).toContain('+machine');
    manager.stop();
    await running;
  });

  it('stops the rest although one step of the stop fails', async () => {
    const { manager, seen } = setup({
      informers: {
        start: () => undefined,
        waitForSync: async () => undefined,
        stop: () => Promise.reject(new Error('stuck')),
      },
    });
    const running = manager.run();
    await settle();
    manager.stop();
    await expect(running).rejects.toThrow('stuck');
    expect(seen.slice(-2)).toEqual(['-lease', '-http']);
  });
});

describe('lease', () => {
  it('lost ends the process at once, without a drain', async () => {
    const harness = setup();
    const running = harness.manager.run();
    await settle();
    harness.lose('b holds it now');
    expect(harness.seen.slice(STARTED.length)).toEqual(['exit 1']);
    expect(harness.lines.filter((line) => line.includes('Lost the lease'))).toHaveLength(1);
    harness.manager.stop();
    await running;
  });

  it('is left to expire when work would not end', async () => {
    const { manager, seen } = setup({
      controllers: [
        {
          name: 'stubborn',
          async run(signal) {
            await aborted(signal);
            throw new Error('controller stubborn: still reconciling ns/a');
          },
        },
      ],
    });
    const running = manager.run();
    await settle();
    manager.stop();
    await expect(running).rejects.toThrow('still reconciling ns/a');
    expect(seen).not.toContain('-lease');
    expect(seen.at(-1)).toBe('-http');
  });
});
