// SPDX-License-Identifier: Apache-2.0
// The frame of the TSHost controller and the states of a host that nobody has, pass by pass on fake hosts.
import { beforeEach, describe, expect, it } from 'vitest';
import { TSHostKind } from '../../api/kinds.ts';
import {
  CLEAN_ANNOTATION,
  FORCE_RELEASE_ANNOTATION,
  PAUSED_ANNOTATION,
  TSHOST_FINALIZER,
  WATCH_FILTER_LABEL,
} from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import { instanceIDOf } from '../../backends/host-inventory.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { NODE } from '../../test/fake-hosts.ts';
import { HostWorld } from '../../test/host-world.ts';

let world: HostWorld;
beforeEach(() => {
  world = new HostWorld();
});

const KEY = 'ns/h1';
const h1 = () => world.hosts.of(KEY);
const ready = () => world.condition('Ready');
const probes = () => world.hosts.count('probe');
const writes = () => world.api.writes.filter(({ kind }) => kind === TSHostKind.kind).length;
const eventReasons = () => world.events.map(({ reason }) => reason);

/** Passes that may fail, as the queue would make them. */
async function attempts(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await world.reconcile().catch(() => undefined);
}

async function annotate(annotation: string, value = ''): Promise<void> {
  world.editHost('h1', ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [annotation]: value };
  });
}

describe('a new host', () => {
  it('is Available once a probe has found it clean, with what was measured, in one write of its status', async () => {
    world.addHost();
    const outcome = await world.reconcile();
    expect(outcome).toMatchObject({ kind: 'wait', reason: 'Available' });
    expect(world.status()).toMatchObject({
      state: 'Available',
      operationalStatus: 'OK',
      hostname: 'rack-a-07',
      bootID: 'boot-1',
      hardware: { cpus: 8, memory: '16Gi' },
      software: { kubeadm: 'v1.36.3' },
      observedGeneration: 1,
    });
    expect(world.status()).not.toHaveProperty('clockSkewSeconds');
    expect(ready()).toMatchObject({ status: 'True', reason: 'HostAvailable' });
    expect(world.condition('Reachable')).toMatchObject({ status: 'True', reason: 'HostReachable' });
    expect(world.condition('HostKeyVerified')).toMatchObject({ status: 'True', reason: 'HostKeyPinned' });
    expect(world.condition('Paused')).toMatchObject({ status: 'False' });
    expect([probes(), writes(), world.events.length]).toEqual([1, 1, 0]);
    expect(world.host()?.metadata.finalizers).toBeUndefined();
  });

  it('is Quarantined with a list of what is on it, and says so in an Event', async () => {
    world.addHost();
    h1().occupants = [...NODE];
    await world.reconcile();
    expect(world.status()).toMatchObject({
      state: 'Quarantined',
      occupants: ['/etc/kubernetes/kubelet.conf', 'kubelet (pid 812)'],
      error: { reason: 'HostDirty' },
    });
    expect(ready()).toMatchObject({ status: 'False', reason: 'HostDirty' });
    expect(ready()?.message).toMatch(/kubelet \(pid 812\).*annotation/);
    expect(eventReasons()).toEqual(['HostDirty']);
  });

  it('may be occupied when it is to be adopted', async () => {
    world.addHost('h1', { adopt: true });
    h1().occupants = [...NODE];
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    expect(world.status().occupants).toBeUndefined();
  });

  it('that is Quarantined for it becomes Available at once when somebody says that it is to be adopted', async () => {
    world.addHost();
    h1().occupants = [...NODE];
    await world.reconcile();
    expect(world.status().error?.message).toMatch(/ \(docs\/runbook\.md#hostdirty\)$/);
    world.editHost('h1', ({ spec }) => (spec.adopt = true));
    await world.reconcile();
    expect(world.status().state).toBe('Available');
    expect(world.status().error).toBeUndefined();
  });

  it('is never Available before a probe in this life, whatever an old status elsewhere said', async () => {
    world.addHost();
    await world.reconcile();
    h1().occupants = [...NODE];
    world.move();
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });

  it('is not touched while the annotation pauses it, while its label is another manager, or once it is gone', async () => {
    world.addHost('h1', { metadata: { annotations: { [PAUSED_ANNOTATION]: '' } } });
    world.addHost('h2', { metadata: { labels: { [WATCH_FILTER_LABEL]: 'other' } } });
    world.watchFilter = 'mine';
    await world.reconcile('h2');
    expect(world.host('h2')?.status).toBeUndefined();
    world.watchFilter = '';
    world.restart();
    await world.reconcile('h1');
    expect(world.condition('Paused')).toMatchObject({ status: 'True', reason: 'Paused' });
    await world.reconcile('gone');
    expect(world.hosts.calls).toEqual([]);
    expect(world.hosts.disconnected).toEqual(['ns/h2', 'ns/gone']);
  });
});

describe('an idle host', () => {
  beforeEach(async () => {
    world.addHost();
    await world.reconcile();
  });

  it('called again and again: no second probe before it is due, and not one write', async () => {
    const before = writes();
    for (let i = 0; i < 5; i++) await world.reconcile();
    expect([probes(), writes()]).toEqual([1, before]);
  });

  it('is looked at again after some ten minutes, and is not written to when nothing changed', async () => {
    const outcome = await world.reconcile();
    const ms = outcome.kind === 'wait' ? outcome.ms : 0;
    expect(ms).toBeGreaterThanOrEqual(480_000);
    expect(ms).toBeLessThanOrEqual(720_000);
    const before = writes();
    await world.clock.advance(ms);
    h1().facts = { ...h1().facts, clockSkewSeconds: 2.4 };
    await world.reconcile();
    expect([probes(), writes()]).toEqual([2, before]);
  });

  it.each([
    ['a reboot', { bootID: 'boot-2' }, { bootID: 'boot-2' }],
    ['a clock that is wrong', { clockSkewSeconds: -61.3 }, { clockSkewSeconds: -61 }],
  ])('%s is written down', async (_what, facts, status) => {
    h1().facts = { ...h1().facts, ...facts };
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.status()).toMatchObject(status);
  });

  it('that became dirty is Quarantined, and a later look that finds nothing does not free it', async () => {
    h1().occupants = [...NODE];
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
    h1().occupants = [];
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Quarantined', error: { reason: 'HostDirty' } });
    expect(world.status().error?.message).toMatch(/Nothing of a cluster was found/);
    expect(world.status().occupants).toBeUndefined();
  });

  it('in maintenance is not looked at; afterwards it is, at once', async () => {
    world.editHost('h1', ({ spec }) => (spec.maintenance = true));
    await world.clock.advance(7_200_000);
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    expect(world.status()).toMatchObject({ state: 'Available', operationalStatus: 'Maintenance' });
    expect(ready()).toMatchObject({ status: 'False', reason: 'HostInMaintenance' });
    expect(probes()).toBe(1);
    world.editHost('h1', ({ spec }) => delete spec.maintenance);
    await world.reconcile();
    expect(probes()).toBe(2);
    expect(world.status().operationalStatus).toBe('OK');
  });

  it('after a restart has its turn within one interval, and not at once', async () => {
    world.restart();
    const outcome = await world.reconcile();
    expect(probes()).toBe(1);
    expect(outcome.kind === 'wait' && outcome.ms <= 720_000).toBe(true);
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(probes()).toBe(2);
  });
});

describe('a host that does not answer', () => {
  it('is Unreachable from the third time on, and OK with the first answer; both are told once', async () => {
    world.addHost();
    h1().link = 'down';
    await attempts(2);
    expect(world.status()).toMatchObject({ state: 'Registering', operationalStatus: 'OK' });
    await expect(world.reconcile()).rejects.toThrow(TransientError);
    expect(world.status().operationalStatus).toBe('Unreachable');
    expect(world.condition('Reachable')).toMatchObject({ status: 'False', reason: 'HostUnreachable' });
    expect(ready()).toMatchObject({ status: 'False', reason: 'HostUnreachable' });
    expect(ready()?.message).toMatch(/h1.example.org:22 refused/);
    const before = writes();
    await attempts(5);
    expect(writes()).toBe(before);
    h1().link = 'up';
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Available', operationalStatus: 'OK' });
    expect(eventReasons()).toEqual(['HostUnreachable', 'HostReachable']);
  });

  it('two failures now and then are no news: no write but the first', async () => {
    world.addHost();
    await world.reconcile();
    const before = writes();
    h1().link = 'down';
    await world.clock.advance(720_000);
    await attempts(2);
    h1().link = 'up';
    await world.reconcile();
    expect(writes()).toBe(before);
    h1().link = 'down';
    await world.clock.advance(720_000);
    await attempts(2);
    expect(world.status().operationalStatus).toBe('OK');
  });

  it('stays Unreachable over a restart of ours until it answers, and is asked at once', async () => {
    world.addHost();
    await world.reconcile();
    h1().link = 'down';
    await world.clock.advance(720_000);
    await attempts(3);
    world.restart();
    await attempts(1);
    expect(world.status().operationalStatus).toBe('Unreachable');
    h1().link = 'up';
    world.restart();
    await world.reconcile();
    expect(world.status().operationalStatus).toBe('OK');
  });

  it('that hangs gives its worker back when the reconcile is told to end', async () => {
    world.addHost();
    h1().link = 'hanging';
    const abort = new AbortController();
    const pass = world.manager().reconcile('h1', abort.signal);
    await world.clock.settle();
    abort.abort();
    await expect(pass).rejects.toThrow('does not answer');
  });

  it('an API server that does not answer is not the host', async () => {
    world.addHost();
    await world.reconcile();
    const get = () => Promise.reject(new TransientError('no answer of the API server'));
    const manager = world.manager({ client: { ...world.api.client, get } });
    const before = writes();
    for (let i = 0; i < 5; i++) await expect(manager.reconcile()).rejects.toThrow('no answer');
    expect(world.status().operationalStatus).toBe('OK');
    expect(writes()).toBe(before);
  });

  it('an error that nobody knows says nothing about the host', async () => {
    world.addHost();
    await world.reconcile();
    h1().link = new Error('a bug');
    await world.clock.advance(720_000);
    const before = writes();
    await attempts(5);
    expect(world.status().operationalStatus).toBe('OK');
    expect(writes()).toBe(before);
  });
});

describe('what a person has to mend', () => {
  it.each(['HostKeyMismatch', 'CredentialsRefused', 'SudoRefused'])(
    '%s is in the status since it was found, and goes with the first log-in',
    async (reason) => {
      world.addHost();
      await world.reconcile();
      h1().link = new TerminalError(reason, 'do this');
      await world.clock.advance(720_000);
      await expect(world.reconcile()).rejects.toThrow(TerminalError);
      const { error, state, operationalStatus } = world.status();
      expect({ state, operationalStatus }).toEqual({ state: 'Available', operationalStatus: 'OK' });
      expect(error).toMatchObject({ reason, message: 'do this' });
      expect(ready()).toMatchObject({ status: 'False', reason, message: 'do this' });
      expect(world.condition('Reachable')).toMatchObject({ status: 'False', reason });
      expect(world.condition('HostKeyVerified')?.status).toBe(
        reason === 'HostKeyMismatch' ? 'False' : 'True',
      );
      await world.clock.advance(600_000);
      world.restart();
      await attempts(2);
      expect(world.status().error).toEqual(error);
      expect(eventReasons()).toEqual([reason]);
      h1().link = 'up';
      await world.reconcile();
      expect(world.status().error).toBeUndefined();
      expect(ready()?.status).toBe('True');
    },
  );

  it('credentials that are missing are looked for again soon, since no watch tells of Secrets', async () => {
    world.addHost();
    world.credentials({ passphrase: 'only' });
    const error: unknown = await world.reconcile().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransientError);
    expect((error as TransientError).retryAfterMs).toBe(30_000);
    expect(world.status().error).toMatchObject({ reason: 'CredentialsMissing' });
    expect(world.status().error?.message).toContain('Secret ns/ssh');
    await world.clock.advance(30_000);
    world.credentials({ 'ssh-privatekey': 'key' });
    await world.reconcile();
    expect(world.status().state).toBe('Available');
  });
});

describe('trust on first use', () => {
  const trusting = (host: TSHost) => {
    host.spec.ssh.hostKeyPolicy = 'TrustOnFirstUse';
    delete host.spec.ssh.hostKeys;
  };

  it('pins the key that was seen first, says so in a condition and an Event, and never pins another', async () => {
    world.addHost();
    world.editHost('h1', trusting);
    await world.reconcile();
    expect(world.host()?.spec.ssh.hostKeys).toEqual([h1().key]);
    expect(world.condition('HostKeyVerified')).toMatchObject({
      status: 'False',
      reason: 'TrustedOnFirstUse',
    });
    expect(world.condition('HostKeyVerified')?.message).toMatch(/SHA256:.*Pinned/);
    expect(eventReasons()).toEqual(['TrustedOnFirstUse']);
    expect(ready()?.status).toBe('True');
    h1().key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAnother';
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.host()?.spec.ssh.hostKeys).not.toContain(h1().key);
  });

  it('is counted', async () => {
    world.addHost();
    world.addHost('h2');
    world.editHost('h1', trusting);
    await world.reconcile();
    await world.reconcile('h2');
    const text = await world.metrics.metrics();
    expect(text).toContain('ts_provider_hosts_trusted_on_first_use 1');
    expect(text).toContain('ts_provider_hosts{state="Available",operational_status="OK"} 2');
  });
});

describe('deleting a TSHost', () => {
  it('that is free: it goes at once, and nothing asks the host', async () => {
    world.addHost();
    await world.reconcile();
    world.editHost('h1', ({ metadata }) => (metadata.finalizers = [TSHOST_FINALIZER]));
    world.api.remove(TSHostKind, { namespace: 'ns', name: 'h1' });
    expect(await world.reconcile()).toEqual({ kind: 'done' });
    expect(world.host()).toBeUndefined();
    expect(probes()).toBe(1);
    expect(world.hosts.disconnected).toEqual([KEY]);
  });

  it('that somebody has: it stays, and says for whom', async () => {
    world.addHost();
    world.addMachine();
    world.claim();
    world.api.remove(TSHostKind, { namespace: 'ns', name: 'h1' });
    await world.reconcile();
    expect(world.host()?.metadata.finalizers).toEqual([TSHOST_FINALIZER]);
    expect(ready()).toMatchObject({ status: 'False', reason: 'Deleting' });
    expect(ready()?.message).toContain('TSMachine ns/m1');
  });

  it('a claimed host whose finalizer somebody took gets it back', async () => {
    world.addHost();
    world.addMachine();
    world.claim();
    world.editHost('h1', ({ metadata }) => delete metadata.finalizers);
    await world.reconcile();
    expect(world.host()?.metadata.finalizers).toEqual([TSHOST_FINALIZER]);
  });
});

describe('where a host belongs that has a claim and no status, as after a move', () => {
  beforeEach(() => {
    world.addHost();
    world.addMachine();
  });
  const job = (token = 'token-m1') => `bootstrap-1-${instanceIDOf(token)}`;
  const owner = { token: instanceIDOf('token-m1'), generation: 1 };

  it.each([
    ['its bootstrap has succeeded', () => h1().finish(), 'Provisioned'],
    ['its bootstrap runs', () => {}, 'Bootstrapping'],
    ['its bootstrap has failed', () => h1().finish('failed'), 'Bootstrapping'],
    [
      'the journal is lost, and the host says whose Node it is',
      () => {
        h1().finish();
        h1().jobs.clear();
      },
      'Provisioned',
    ],
  ])('%s: %s', async (_what, arrange, state) => {
    world.claim();
    await attempts(2);
    expect([...h1().jobs.keys()]).toEqual([job()]);
    arrange();
    world.move();
    await world.reconcile();
    expect(world.status().state).toBe(state);
    expect(h1().owner).toEqual(owner);
    expect(world.violations()).toEqual([]);
    expect(world.hosts.launches).toHaveLength(1);
  });

  it('nothing has begun: Claimed, and no step before the machine agrees', async () => {
    world.claim('h1', 'm1', { agree: false });
    await world.reconcile();
    expect(world.status().state).toBe('Claimed');
    expect(world.hosts.launches).toEqual([]);
  });

  it('does not answer: no state at all rather than a wrong one', async () => {
    world.claim();
    h1().link = 'down';
    await attempts(4);
    expect(world.status().state).toBeUndefined();
    expect(world.status().operationalStatus).toBe('Unreachable');
  });
});

describe('a claim that is gone while the status still tells of it', () => {
  it.each(['Claimed', 'Bootstrapping', 'Provisioned'] as const)('%s: is looked at anew', async (state) => {
    world.addHost('h1', { claim: { generation: 3, previous: '0a1b2c3d' }, status: { state } });
    h1().occupants = [...NODE];
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });
});

describe('force-release', () => {
  const providerID = () => world.machine()?.spec.providerID ?? '';
  beforeEach(async () => {
    world.addHost();
    world.addMachine();
    world.claim();
    await attempts(2);
    h1().finish();
    await attempts(2);
    world.events.length = 0;
  });

  it.each([
    ['the providerID', () => providerID()],
    ['its last part', () => instanceIDOf('token-m1')],
  ])('of the present machine, by %s: free, Quarantined, told, and not cleaned', async (_what, value) => {
    h1().link = 'down';
    await annotate(FORCE_RELEASE_ANNOTATION, value());
    await world.reconcile();
    const host = world.host();
    expect(host?.spec.claim).toEqual({ generation: 1, previous: instanceIDOf('token-m1') });
    expect(host?.metadata.finalizers).toBeUndefined();
    expect(host?.metadata.annotations).not.toHaveProperty(FORCE_RELEASE_ANNOTATION);
    expect(host?.status).toMatchObject({ state: 'Quarantined', error: { reason: 'ForceReleased' } });
    expect(host?.status?.operation).toBeUndefined();
    expect(world.events).toMatchObject([{ type: 'Warning', reason: 'ForceReleased' }]);
    expect(world.events[0]?.note).toContain('TSMachine ns/m1');
    h1().link = 'up';
    h1().occupants = [];
    await world.clock.advance(720_000);
    await world.reconcile();
    expect(world.status()).toMatchObject({ state: 'Quarantined', error: { reason: 'ForceReleased' } });
    expect(world.hosts.launches.filter(({ kind }) => kind === 'clean')).toEqual([]);
  });

  it.each(['', 'yes', 'tshost://ns/h1/00000000', '00000000'])(
    'that names another machine ("%s"): refused with an Event, and taken off',
    async (value) => {
      await annotate(FORCE_RELEASE_ANNOTATION, value);
      await world.reconcile();
      expect(world.host()?.spec.claim).toMatchObject({ for: 'Machine' });
      expect(world.host()?.metadata.annotations).not.toHaveProperty(FORCE_RELEASE_ANNOTATION);
      expect(world.events).toMatchObject([{ type: 'Warning', reason: 'ForceReleaseRefused' }]);
      expect(world.events[0]?.note).toContain(providerID());
    },
  );

  it('of a host whose TSHost is being deleted: the object goes', async () => {
    world.api.remove(TSHostKind, { namespace: 'ns', name: 'h1' });
    await annotate(FORCE_RELEASE_ANNOTATION, providerID());
    await world.reconcile();
    expect(world.host()).toBeUndefined();
    expect(world.events.map(({ reason }) => reason)).toEqual(['ForceReleased']);
  });

  it('with credentials that are gone: still works', async () => {
    world.credentials({});
    await annotate(FORCE_RELEASE_ANNOTATION, providerID());
    await world.reconcile();
    expect(world.status().state).toBe('Quarantined');
  });

  it('a write that is refused has not happened: nothing is told, the next pass does it', async () => {
    await annotate(FORCE_RELEASE_ANNOTATION, providerID());
    world.api.beforeWrite = () => {
      throw new TransientError('no answer');
    };
    await expect(world.reconcile()).rejects.toThrow('no answer');
    expect(world.events).toEqual([]);
    world.api.beforeWrite = () => {};
    await world.reconcile();
    expect(eventReasons()).toEqual(['ForceReleased']);
  });

  it('crashed between its two writes: never Available unless proven clean', async () => {
    await annotate(FORCE_RELEASE_ANNOTATION, providerID());
    world.api.afterWrite = () => {
      throw new Error('killed');
    };
    await expect(world.reconcile()).rejects.toThrow('killed');
    world.api.afterWrite = () => {};
    world.restart();
    await attempts(3);
    expect(world.host()?.spec.claim?.for).toBeUndefined();
    expect(world.status().state).toBe('Quarantined');
  });
});

describe('a Quarantined host that is to be cleaned', () => {
  beforeEach(async () => {
    world.addHost();
    h1().occupants = [...NODE];
    await world.reconcile();
    await annotate(CLEAN_ANNOTATION);
  });

  it('is cleaned, looked at, and Available; the annotation is taken off', async () => {
    await attempts(3);
    expect(world.hosts.launches).toMatchObject([{ kind: 'clean' }]);
    h1().finish();
    await attempts(2);
    expect(world.status().state).toBe('Available');
    expect(world.host()?.metadata.annotations ?? {}).not.toHaveProperty(CLEAN_ANNOTATION);
    expect(world.violations()).toEqual([]);
  });

  it('waits while it is in maintenance', async () => {
    world.editHost('h1', ({ spec }) => (spec.maintenance = true));
    await attempts(3);
    expect(world.hosts.launches).toEqual([]);
    expect(world.status().state).toBe('Quarantined');
    expect(world.host()?.metadata.annotations).toHaveProperty(CLEAN_ANNOTATION);
  });

  it('is left alone by whoever works from an old copy: the pass ends without a word', async () => {
    const { client } = world.api;
    const stale = world.host();
    world.addMachine();
    world.claim();
    const cache = { ...world.cache(), get: () => structuredClone(stale) };
    const behind = world.manager({ cache: cache as ReturnType<HostWorld['cache']>, client });
    const before = writes();
    await expect(behind.reconcile()).rejects.toMatchObject({ code: 409 });
    expect(writes()).toBe(before);
    expect(world.hosts.launches).toEqual([]);
  });
});

describe('killed at any write or call on the way from new to Available', () => {
  it.each([0, 1, 2])('after write %i', async (fatal) => {
    world.addHost();
    let count = 0;
    world.api.afterWrite = () => {
      if (count++ === fatal) throw new Error('killed');
    };
    await attempts(1);
    world.restart();
    await attempts(2);
    expect(world.status().state).toBe('Available');
  });

  it('after the probe', async () => {
    world.addHost();
    world.hosts.after = () => {
      world.hosts.after = () => {};
      throw new Error('killed');
    };
    await attempts(1);
    world.restart();
    await attempts(1);
    expect(world.status().state).toBe('Available');
  });
});
