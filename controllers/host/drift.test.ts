// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { APPROVE_REPAIR_ANNOTATION } from '../../api/labels.ts';
import type { HostPreparation } from '../../api/preparation.ts';
import type { Drift } from '../../backends/host-driver.ts';
import { HostWorld } from '../../test/host-world.ts';

const KEY = 'ns/h1';
const SYSCTL: Drift = { step: 'sysctl', impact: 'none', path: '/etc/sysctl.d/99-ts-provider.conf' };
const CONFIG: Drift = { step: 'runtime_config', impact: 'restart', path: '/etc/containerd/config.toml' };

let world: HostWorld;
beforeEach(async () => {
  world = new HostWorld();
  world.addHost();
  await world.reconcile();
});

const host = () => world.hosts.of(KEY);
const prepared = () => {
  const { status = '', reason = '', message = '' } = world.condition('Prepared') ?? {};
  return `${status} ${reason}: ${message}`;
};
const repairs = () => world.hosts.launches.filter(({ kind }) => kind === 'repair');
/** What the message asks for. */
const approval = () => /approve-repair: "([0-9a-f]{12})"/.exec(prepared())?.[1] ?? 'none';

async function provision(preparation: HostPreparation = {}): Promise<void> {
  world.addMachine('m1', { preparation });
  world.claim();
  for (let job = 0; job < 2; job++) {
    await world.reconcile();
    host().finish();
  }
  await world.reconcile();
  expect(world.status().state).toBe('Provisioned');
}

/** The next look at the host finds this. */
async function drift(...drifted: Drift[]): Promise<void> {
  host().preparation = { ...host().preparation!, drifted };
  await world.clock.advance(720_000);
  await world.reconcile();
}

function approve(value: string): void {
  world.editHost('h1', ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [APPROVE_REPAIR_ANNOTATION]: value };
  });
}

describe('a host in use', () => {
  it('says that it is as it was prepared, and nothing is done', async () => {
    await provision();
    expect(prepared()).toBe('True Prepared: For Kubernetes v1.36.3');
    await drift();
    expect(prepared()).toBe('True Prepared: For Kubernetes v1.36.3');
    expect(repairs()).toEqual([]);
  });

  it('says of which registries certificates are not verified', async () => {
    await provision();
    host().preparation = { ...host().preparation!, unverified: ['https://mirror:5000'] };
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.status().preparation?.unverifiedRegistries).toEqual(['https://mirror:5000']);
    expect(prepared()).toBe(
      'True Prepared: For Kubernetes v1.36.3; certificates are not verified of https://mirror:5000',
    );
  });

  it('that was not prepared says nothing', async () => {
    world.addMachine();
    world.claim();
    await world.reconcile();
    host().finish();
    await world.reconcile();
    expect(world.status().state).toBe('Provisioned');
    expect(world.condition('Prepared')).toBeUndefined();
  });

  it('is repaired by itself where that disturbs nobody', async () => {
    await provision();
    await drift(SYSCTL);
    expect(prepared()).toBe(
      'False Drifted: Not as the preparation left it: sysctl (none): /etc/sysctl.d/99-ts-provider.conf; being repaired',
    );
    expect(world.status()).toMatchObject({
      state: 'Provisioned',
      operation: { kind: 'Repair', attempt: 1 },
      preparation: { drift: ['sysctl (none): /etc/sysctl.d/99-ts-provider.conf'] },
    });
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
    expect(repairs()[0]?.jobID).toMatch(/^repair-1-1-[0-9a-f]{8}$/);
    expect(host().prepared?.only).toEqual(['sysctl']);
    expect(prepared()).toBe('False Repairing: Repairing: start');
    expect(world.condition('Ready')?.status).toBe('True');
    host().finish();
    await world.reconcile();
    expect(prepared()).toBe('True Prepared: For Kubernetes v1.36.3');
    expect(world.status().operation).toBeUndefined();
    expect(world.status().preparation).not.toHaveProperty('drift');
    expect(world.violations()).toEqual([]);
  });

  it('is repaired as often as it drifts, each time by a job of its own', async () => {
    await provision();
    for (let count = 1; count <= 4; count++) {
      await drift(SYSCTL);
      await world.reconcile();
      expect(repairs()).toHaveLength(count);
      host().finish();
      await world.reconcile();
      expect(prepared()).toMatch(/^True/);
    }
    expect([...host().jobs.keys()].filter((id) => id.startsWith('repair'))).toHaveLength(1);
  });

  it('is left alone where a repair would disturb pods, until a person approves exactly this', async () => {
    await provision();
    await drift(CONFIG);
    expect(prepared()).toContain(
      'runtime_config (restart): /etc/containerd/config.toml; to have it repaired set',
    );
    await world.reconcile();
    expect(repairs()).toEqual([]);
    const value = approval();

    approve('0123456789ab');
    await world.reconcile();
    expect(repairs()).toEqual([]);
    expect(world.host()?.metadata.annotations ?? {}).not.toHaveProperty([APPROVE_REPAIR_ANNOTATION]);

    approve(value);
    await world.reconcile();
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
    expect(host().prepared?.only).toEqual(['runtime_config']);
    host().finish();
    await world.reconcile();
    expect(prepared()).toMatch(/^True/);
    expect(world.host()?.metadata.annotations ?? {}).not.toHaveProperty([APPROVE_REPAIR_ANNOTATION]);
  });

  it('what is approved does not hold for what drifted since', async () => {
    await provision();
    await drift(CONFIG);
    const value = approval();
    host().preparation = {
      ...host().preparation!,
      drifted: [CONFIG, { step: 'kubernetes', impact: 'disruptive', path: 'kubelet v1.36.4, not v1.36.3' }],
    };
    approve(value);
    await world.reconcile();
    await world.reconcile();
    expect(repairs()).toEqual([]);
    expect(prepared()).toContain('kubelet v1.36.4');
  });

  it('repairs what is harmless, and asks for the rest', async () => {
    await provision();
    await drift(SYSCTL, CONFIG);
    await world.reconcile();
    expect(host().prepared?.only).toEqual(['sysctl']);
    host().finish();
    host().preparation = { ...host().preparation!, drifted: [CONFIG] };
    await world.reconcile();
    expect(prepared()).toMatch(/^False Drifted: .*config\.toml; to have it repaired set/);
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
  });

  it('is not repaired when it would be prepared otherwise now', async () => {
    await provision();
    host().preparation = { ...host().preparation!, hash: 'ffffffffffffffff' };
    await drift(SYSCTL);
    expect(prepared()).toMatch(/^False Drifted: .*; not repaired, since hosts are prepared otherwise now/);
    await world.reconcile();
    expect(repairs()).toEqual([]);
  });

  it('is not repaired by itself where its machine says so', async () => {
    await provision({ repair: 'Never' });
    await drift(SYSCTL);
    await world.reconcile();
    expect(repairs()).toEqual([]);
    approve(approval());
    await world.reconcile();
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
  });

  it.each<{ name: string; given: () => void }>([
    { name: 'the Cluster is paused', given: () => world.cluster({ paused: true }) },
    {
      name: 'the host is in maintenance',
      given: () => world.editHost('h1', ({ spec }) => void (spec.maintenance = true)),
    },
  ])('$name: nothing begins', async ({ given }) => {
    await provision();
    given();
    await drift(SYSCTL);
    await world.reconcile();
    expect(repairs()).toEqual([]);
  });

  it('is repaired once although the manager died right after it had begun', async () => {
    await provision();
    await drift(SYSCTL);
    world.hosts.after = ({ verb }) => {
      if (verb === 'prepare') throw new Error('killed');
    };
    await world.reconcile().catch(() => {});
    world.hosts.after = () => {};
    world.restart();
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
    host().finish();
    await world.reconcile();
    expect(prepared()).toMatch(/^True/);
  });

  it('tells why a repair failed, and tries again with the next look', async () => {
    await provision();
    await drift(SYSCTL);
    await world.reconcile();
    host().preparationFailure = { exitCode: 73, stage: 'sysctl', message: 'it broke' };
    host().finish('failed');
    await world.reconcile();
    expect(prepared()).toMatch(
      /^False ChecksumMismatch: The repair failed: Stage sysctl failed with exit code 73/,
    );
    expect(world.status().error).toBeUndefined();
    await world.reconcile();
    expect(repairs()).toHaveLength(1);
    await drift(SYSCTL);
    await world.reconcile();
    expect(repairs()).toHaveLength(2);
    host().preparationFailure = {};
    host().finish();
    await world.reconcile();
    expect(prepared()).toMatch(/^True/);
  });

  it('finishes a repair that a reboot ended', async () => {
    await provision();
    await drift(SYSCTL);
    await world.reconcile();
    host().interrupt();
    await world.reconcile();
    expect(host().running?.[1].progress).not.toHaveProperty('stopped');
    expect(repairs()).toHaveLength(1);
  });

  it('is given back in the middle of a repair', async () => {
    await provision();
    await drift(SYSCTL);
    await world.reconcile();
    world.release();
    await world.reconcile();
    await world.reconcile();
    expect(world.hosts.launches.at(-1)?.kind).toBe('clean');
    expect(world.violations()).toEqual([]);
  });
});
