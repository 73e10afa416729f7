// SPDX-License-Identifier: Apache-2.0
// The TSHost controller reboots because an annotation says so. The fake host keeps the record of what was done.
import { beforeEach, describe, expect, it } from 'vitest';
import { HOLD_KUBELET_ANNOTATION, REBOOT_ANNOTATION } from '../../api/labels.ts';
import { HostWorld } from '../../test/host-world.ts';

let world: HostWorld;

beforeEach(async () => {
  world = new HostWorld();
  world.addHost();
  world.addMachine();
  await world.reconcile();
  world.claim();
  for (let count = 0; count < 10 && world.status().state !== 'Provisioned'; count++) {
    await world.reconcile();
    if (host().running !== undefined) host().finish();
  }
  expect(world.status()).toMatchObject({ state: 'Provisioned', bootID: 'boot-1' });
});

const host = () => world.hosts.of('ns/h1');
const annotations = () => world.host()?.metadata.annotations ?? {};
const ready = () => world.condition('Ready');

function ask(hold?: string, boot = 'boot-1'): void {
  world.editHost('h1', ({ metadata }) => {
    metadata.annotations = {
      [REBOOT_ANNOTATION]: boot,
      ...(hold !== undefined && { [HOLD_KUBELET_ANNOTATION]: hold }),
    };
  });
}

async function passes(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await world.reconcile().catch(() => {});
}

describe('a reboot', () => {
  it('is asked for once, and its end is the new boot in the status', async () => {
    ask();
    expect(await world.reconcile()).toMatchObject({ kind: 'wait', ms: 3_000 });
    expect(ready()).toMatchObject({ status: 'False', reason: 'Rebooting' });
    await world.reconcile();
    expect([world.status().bootID, annotations()[REBOOT_ANNOTATION]]).toEqual(['boot-1+', 'boot-1']);
    await world.reconcile();
    expect(annotations()).toEqual({});
    expect(ready()).toMatchObject({ status: 'True', reason: 'HostInUse' });
    await passes();
    expect(host().facts.bootID).toBe('boot-1+');
  });

  it('of a boot that is over ends no other one', async () => {
    ask(undefined, 'boot-0');
    await passes();
    expect(host().facts.bootID).toBe('boot-1');
    expect(annotations()).toEqual({});
  });

  it('is survived by no answer for a while', async () => {
    ask();
    await world.reconcile();
    host().link = 'down';
    await passes(6);
    expect(world.status()).toMatchObject({ state: 'Provisioned', operationalStatus: 'OK' });
    expect(world.events.map(({ reason }) => reason)).not.toContain('HostUnreachable');
    host().link = 'up';
    await passes(2);
    expect(annotations()).toEqual({});
  });

  it('that never ends leaves an unreachable host: others wait for it no longer', async () => {
    ask();
    host().link = 'down';
    await passes(99);
    expect(world.status().operationalStatus).toBe('OK');
    await passes(1);
    expect(world.status().operationalStatus).toBe('Unreachable');
    host().link = 'up';
    await passes();
    expect([world.status().operationalStatus, annotations(), host().facts.bootID]).toEqual([
      'OK',
      {},
      'boot-1+',
    ]);
  });

  it('that nobody wants any more leaves an unreachable host, and that is told', async () => {
    ask();
    host().link = 'down';
    await passes(4);
    world.editHost('h1', ({ metadata }) => delete metadata.annotations?.[REBOOT_ANNOTATION]);
    await world.clock.advance(3_600_000);
    await passes(4);
    expect(world.status().operationalStatus).toBe('Unreachable');
  });

  it.each<[string, () => void]>([
    ['in maintenance', () => world.editHost('h1', ({ spec }) => (spec.maintenance = true))],
    ['of a paused Cluster', () => world.cluster({ paused: true })],
  ])('is not begun on a host %s', async (_name, arrange) => {
    ask();
    arrange();
    await passes();
    expect(world.hosts.count('reboot')).toBe(0);
    expect(annotations()[REBOOT_ANNOTATION]).toBe('boot-1');
  });

  it('is not begun when the API server says something else by then', async () => {
    ask();
    const stale = world.cache();
    const copy = world.host();
    world.editHost('h1', ({ metadata }) => delete metadata.annotations?.[REBOOT_ANNOTATION]);
    const manager = world.manager({
      cache: {
        ...stale,
        get: (kind, name) => (kind.kind === 'TSHost' ? (copy as never) : stale.get(kind, name)),
      },
    });
    await expect(manager.reconcile()).rejects.toMatchObject({ code: 409 });
    expect(world.hosts.count('reboot')).toBe(0);
  });

  it('is not what the next machine gets', async () => {
    world.release();
    ask('hold');
    for (let count = 0; count < 12 && world.status().state !== 'Available'; count++) {
      await passes(1);
      if (host().running !== undefined) host().finish();
      await world.clock.advance(1_100);
    }
    expect(world.status().state).toBe('Available');
    expect(annotations()).toEqual({});
    expect(world.hosts.count('reboot')).toBe(0);
  });
});

describe('a kubelet', () => {
  it('is held over the boot until that is released', async () => {
    ask('hold');
    await passes(3);
    expect(annotations()).toEqual({ [HOLD_KUBELET_ANNOTATION]: 'held' });
    await passes();
    expect(host().isKubeletHeld).toBe(true);
    world.editHost('h1', ({ metadata }) => (metadata.annotations = { [HOLD_KUBELET_ANNOTATION]: 'release' }));
    await passes(1);
    expect([host().isKubeletHeld, annotations()]).toEqual([false, {}]);
    await passes();
    expect(world.hosts.count('releaseKubelet')).toBe(1);
  });

  it('of a host that had rebooted by itself is not said to be held', async () => {
    host().reboot();
    ask('hold');
    await passes();
    expect([annotations(), host().isKubeletHeld, host().facts.bootID]).toEqual([{}, false, 'boot-1+']);
  });

  it('is released although the release was asked for before the reboot was over', async () => {
    ask('hold');
    await passes(1);
    world.editHost('h1', ({ metadata }) => (metadata.annotations = { [HOLD_KUBELET_ANNOTATION]: 'release' }));
    await passes();
    expect([annotations(), host().isKubeletHeld]).toEqual([{}, false]);
  });
});

it('a manager that dies behind every effect: one reboot, one answer', async () => {
  for (let at = 1; at <= 12; at++) {
    ask('hold', host().facts.bootID);
    const before = host().facts.bootID;
    let effects = 0;
    const die = () => {
      if (++effects === at) throw new Error('killed');
    };
    [world.api.afterWrite, world.hosts.after] = [die, die];
    for (let pass = 0; pass < 8; pass++) {
      await world.reconcile().catch(() => world.restart());
    }
    [world.api.afterWrite, world.hosts.after] = [() => {}, () => {}];
    expect([at, host().facts.bootID, annotations()]).toEqual([
      at,
      `${before}+`,
      { [HOLD_KUBELET_ANNOTATION]: 'held' },
    ]);
    expect(world.status().bootID).toBe(`${before}+`);
  }
});
