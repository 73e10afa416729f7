// SPDX-License-Identifier: Apache-2.0
// The address that hosts share, with Debian's keepalived on real hosts. Their API servers are stand-ins: what is tried is who holds the
// address when, not Kubernetes.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanJob } from '../../backends/host/cleanup/clean-job.ts';
import type { VirtualIPConfig } from '../../backends/host-driver.ts';
import { contextOf } from '../../backends/host/inventory.fixtures.ts';
import { virtualIP } from '../../backends/host/keepalived/virtual-ip.ts';
import { REMOVE_KEEPALIVED, STOP_KEEPALIVED } from '../../backends/host/keepalived/removal.ts';
import { probeHost } from '../../backends/host/probe/probe.ts';
import type { RemoteHost } from '../../backends/host/ssh/remote-host.ts';
import { ROUTER } from '../../hack/hosts/network.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { systemClock } from '../../runtime/clock.ts';
import { TransientError } from '../../runtime/errors.ts';
import { type Seen, startApi, stopApi, watchAddress, whoAnswers } from './api-stand-in.ts';

const ctx = contextOf(systemClock);
const ADDRESS = '10.88.55.100';
const owner = { token: '0123abcd', generation: 2 };
const NAMES = ['host-1', 'host-2', 'host-3'];

let world: HostWorld;
beforeAll(async () => {
  world = await startHosts({ count: 3, plain: NAMES, behindBastion: [] });
});
afterAll(() => world?.close());

const hostOf = (name: string): TestHost => world.hosts.find((host) => host.name === name)!;

/** Without SSH: what is tried is the script. `edit` changes what the host is. */
function remoteOf(host: TestHost, edit = (script: string) => script): RemoteHost & { runs: number } {
  const remote = {
    runs: 0,
    seenKeys: {},
    run: async (_ctx: unknown, script: string) => {
      remote.runs += 1;
      const { code, stdout, stderr } = await host.exec(['/bin/sh', '-c', edit(script)]);
      return { exitCode: code, stdout, stderr };
    },
  };
  return remote;
}

function configFor(host: TestHost, peers: readonly string[], change: object = {}): VirtualIPConfig {
  const addresses = peers.map((name) => hostOf(name).address);
  const config = { address: ADDRESS, port: 6443, routerID: 100, password: 'pass1234', owner, start: true };
  return { ...config, own: host.address, peers: addresses, ...change };
}

/** As the controller asks: again while the package is being installed. */
async function tell(remote: RemoteHost, config: VirtualIPConfig): Promise<string> {
  for (;;) {
    try {
      return await virtualIP(ctx, remote, config);
    } catch (error) {
      if (!(error instanceof TransientError) || error.retryAfterMs === undefined) throw error;
      await sleep(error.retryAfterMs);
    }
  }
}

const share = (name: string, peers: readonly string[], change: object = {}) =>
  tell(remoteOf(hostOf(name)), configFor(hostOf(name), peers, change));

const others = (name: string) => NAMES.filter((one) => one !== name);

async function sh(host: TestHost, script: string): Promise<string> {
  return (await host.exec(['/bin/sh', '-c', script])).stdout;
}

/** Who has the address on an interface; one that is off or frozen has not. */
async function holders(names: readonly string[] = NAMES): Promise<string[]> {
  const has = async (name: string) => (await sh(hostOf(name), 'ip -o -4 addr show')).includes(` ${ADDRESS}/`);
  const found = await Promise.all(names.map(has));
  return names.filter((_, index) => found[index]);
}

async function eventually(what: string, ask: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  await waitUntil(ask, { what, timeoutMs, pollMs: 100 });
}

const heldBy = (...names: string[]) =>
  eventually(
    `${names.join() || 'nobody'} to hold the address`,
    async () => (await holders()).join() === names.join(),
  );

async function theHolder(): Promise<TestHost> {
  await eventually('one holder', async () => (await holders()).length === 1);
  return hostOf((await holders())[0]!);
}

/** As the bootstrap's own journal says it. */
const succeeded = (host: TestHost) =>
  sh(
    host,
    'd=/var/lib/ts-provider/jobs/bootstrap-2-0123abcd; mkdir -p $d; echo "done succeeded" >$d/journal',
  );

const keepalived = (host: TestHost) => sh(host, 'pgrep -x keepalived | tr "\\n" " "');

describe('the first host', () => {
  const host = () => hostOf('host-1');

  it('has keepalived installed and configured, and holds nothing before it may start', async () => {
    const began = Date.now();
    await share('host-1', [], { start: false });
    console.log(`installed and configured in ${Date.now() - began} ms`);
    expect(await keepalived(host())).toBe('');
  });

  it.each([
    { name: 'of the host itself', address: () => host().address, expected: /a host's own/ },
    { name: 'of the router', address: () => ROUTER, expected: /is in use already, by the network card/ },
  ])('does not take an address that is not free: $name', async ({ address, expected }) => {
    await expect(share('host-1', [], { address: address() })).rejects.toThrow(expected);
    expect(await sh(host(), 'cat /etc/keepalived/keepalived.conf')).toContain(ADDRESS);
  });

  it('holds the address before there is an API server, since its bootstrap needs it', async () => {
    const began = Date.now();
    const hash = await share('host-1', []);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    await heldBy('host-1');
    console.log(`started and held after ${Date.now() - began} ms`);
  });

  it('is not disturbed by being told the same again', async () => {
    const [before, remote] = [await keepalived(host()), remoteOf(host())];
    const began = Date.now();
    await virtualIP(ctx, remote, configFor(host(), []));
    console.log(`nothing to do: ${Date.now() - began} ms`);
    expect(remote.runs).toBe(1);
    expect(await keepalived(host())).toBe(before);
    const log = await sh(host(), 'journalctl -u keepalived -o cat --no-pager --since -2s');
    expect(log).not.toContain('Reload');
  });

  it('keeps its password to itself', async () => {
    expect(await sh(host(), 'stat -c %a-%U /etc/keepalived/keepalived.conf')).toBe('600-root\n');
  });

  it('is not a node with a bootstrap behind it for that, and the address is not its own', async () => {
    const { occupants, facts } = await probeHost(ctx, remoteOf(host()));
    expect(occupants.filter(({ early }) => early !== true).map(({ what }) => what)).toEqual([
      '/var/lib/ts-provider',
    ]);
    expect(occupants.filter(({ running }) => running).map(({ what }) => what)).toEqual([
      `address ${ADDRESS}`,
      'keepalived holds, or waits for, the address of a control plane',
    ]);
    expect(JSON.stringify(facts.hardware.nics)).not.toContain(ADDRESS);
  });

  it('of another owner is not touched', async () => {
    const other = { token: '89abcdef', generation: 3 };
    await expect(share('host-1', [], { owner: other })).rejects.toMatchObject({
      reason: 'HostClaimedElsewhere',
    });
  });

  it('gives the address up when its bootstrap is over and it has no API server', async () => {
    await succeeded(host());
    await heldBy();
  });

  it('has it as long as its API server is ready', async () => {
    await startApi(host());
    await heldBy('host-1');
    expect(await whoAnswers(ADDRESS)).toBe('host-1');
  });

  it('gets it back after a reboot when its API server does, and not before', async () => {
    await host().crash();
    await host().boot();
    await sleep(6_000);
    expect(await holders()).toEqual([]);
    const seen = await watchAddress(ADDRESS, 7_000, () => startApi(host()));
    console.log(`reboot: the address answers ${seen.movedMs} ms after the API server`);
    expect(seen.last).toBe('host-1');
  });
});

describe('three hosts', () => {
  beforeAll(async () => {
    for (const [index, name] of NAMES.entries()) {
      if (index > 0) await share(name, NAMES.slice(0, index), { start: false });
      for (const one of NAMES.slice(0, index))
        await share(
          one,
          NAMES.slice(0, index + 1).filter((n) => n !== one),
        );
      await share(name, NAMES.slice(0, index));
      await startApi(hostOf(name));
      await succeeded(hostOf(name));
    }
  });

  const told: string[] = [];
  const note = (what: string, { gapMs, movedMs }: Seen) =>
    void told.push(`${what.padEnd(28)} moved after ${movedMs ?? '-'} ms, longest gap ${gapMs} ms`);
  afterAll(() => console.log(told.join('\n')));

  it('have one holder while they come', async () => {
    expect(await holders()).toEqual(['host-1']);
  });

  it('do not lose the address while each is told that the others changed', async () => {
    const before = await theHolder();
    const seen = await watchAddress(ADDRESS, 9_000, async () => {
      for (const name of NAMES) {
        await share(name, others(name).slice(0, 1));
        await share(name, others(name));
      }
    });
    note('told six times', seen);
    expect(seen.gapMs).toBeLessThan(1_000);
    expect((await theHolder()).name).toBe(before.name);
  });

  const mend = (host: TestHost) => startApi(host);
  it.each<{
    what: string;
    trouble: (host: TestHost) => Promise<unknown>;
    mend: (host: TestHost) => Promise<unknown>;
  }>([
    { what: 'its API server dies', trouble: (host) => stopApi(host), mend },
    {
      what: 'its API server hangs',
      trouble: (host) => stopApi(host, { hang: true }),
      mend: async (host) => {
        await stopApi(host);
        await startApi(host);
      },
    },
    {
      what: 'the power is cut',
      trouble: (host) => host.crash(),
      mend: async (host) => {
        await host.boot();
        await startApi(host);
      },
    },
    { what: 'it hangs', trouble: (host) => host.freeze(), mend: (host) => host.thaw() },
    { what: 'the cable is pulled', trouble: (host) => host.cutLink(), mend: (host) => host.mendLink() },
  ])('move the address within five seconds when $what', async ({ what, trouble, mend }) => {
    const holder = await theHolder();
    const seen = await watchAddress(ADDRESS, 9_000, () => trouble(holder));
    note(what, seen);
    expect(seen.movedMs).toBeLessThan(5_000);
    expect(seen.gapMs).toBeLessThan(5_000);
    const back = await watchAddress(ADDRESS, 7_000, () => mend(holder));
    note(`  ... and is mended`, back);
    expect(back.gapMs).toBeLessThan(2_000);
    expect(await holders()).toHaveLength(1);
  });

  it('have one holder again when keepalived was killed', async () => {
    const holder = await theHolder();
    await holder.exec(['pkill', '-KILL', '-x', 'keepalived']);
    await sleep(4_000);
    await heldBy((await theHolder()).name);
    expect(await keepalived(holder)).not.toBe('');
  });

  it('keep the address while none of them is better off, and not for ever', async () => {
    const holder = await theHolder();
    await Promise.all(world.hosts.map((host) => stopApi(host)));
    await sleep(6_000);
    expect(await holders()).toEqual([holder.name]);
    await eventually('the address to be given up', async () => (await holders()).length === 0, 25_000);
    await Promise.all(world.hosts.map((host) => startApi(host)));
    await theHolder();
  });

  it('do not get back the one that was given up without proof', async () => {
    const gone = await theHolder();
    await gone.crash();
    await eventually('another holder', async () => (await holders(others(gone.name))).length === 1);
    const [first, second] = others(gone.name) as [string, string];
    await share(first, [second]);
    await share(second, [first]);
    await gone.boot();
    for (let second = 0; second < 10; second++) {
      await sleep(1_000);
      expect(await holders([gone.name])).toEqual([]);
    }
    await startApi(gone);
    for (const name of NAMES) await share(name, others(name));
    await theHolder();
  });
});

describe('a host that is cleaned', () => {
  it('hands the address over first, and nothing of it stays', async () => {
    const holder = await theHolder();
    const [first, ...rest] = cleanJob('clean-2-1').steps;
    const seen = await watchAddress(ADDRESS, 4_000, () => sh(holder, first!.script));
    console.log(`clean-up: moved after ${seen.movedMs} ms, longest gap ${seen.gapMs} ms`);
    expect(seen.movedMs).toBeLessThan(2_500);
    await stopApi(holder);
    for (const { script } of rest) await sh(holder, script);
    await sh(holder, 'rm -rf /var/lib/ts-provider /run/api-stand-in');
    expect((await probeHost(ctx, remoteOf(holder))).occupants).toEqual([]);
    expect(await holder.traces()).toEqual([]);
  });

  it('and after the last one nobody has the address', async () => {
    for (const name of NAMES) {
      const script = `(${STOP_KEEPALIVED}) && (${REMOVE_KEEPALIVED})`;
      expect((await hostOf(name).exec(['/bin/sh', '-c', script])).code).toBe(0);
    }
    expect(await holders()).toEqual([]);
    expect(await whoAnswers(ADDRESS)).toBe('');
  });

  it('gets back what it had: a keepalived of its own that is not ours', async () => {
    const host = hostOf('host-2');
    await sh(host, 'rm -rf /var/lib/ts-provider; apt-get --quiet --yes install keepalived');
    await sh(host, 'echo "# mine" >/etc/keepalived/keepalived.conf');
    const looks = 'cd /etc; ls -R keepalived systemd/system; cat keepalived/keepalived.conf; ls /usr/libexec';
    const before = await sh(host, looks);
    await share('host-2', []);
    expect(await sh(host, looks)).not.toBe(before);
    await sh(host, STOP_KEEPALIVED);
    await sh(host, REMOVE_KEEPALIVED);
    expect(await sh(host, looks)).toBe(before);
  });
});

it('is the same without systemd', async () => {
  const host = hostOf('host-3');
  await host.exec(['/bin/sh', '-c', 'rm -rf /var/lib/ts-provider; systemctl mask keepalived']);
  const edit = (script: string) => script.replaceAll('[ -d /run/systemd/system ]', 'false');
  await tell(remoteOf(host, edit), configFor(host, []));
  await eventually('it to hold the address', async () => (await holders(['host-3'])).length === 1);
  await tell(remoteOf(host, edit), configFor(host, ['host-1']));
  expect(await sh(host, 'cat /etc/keepalived/keepalived.conf')).toContain(hostOf('host-1').address);
  const remove = `(${edit(STOP_KEEPALIVED)}) && (${edit(REMOVE_KEEPALIVED)})`;
  expect((await host.exec(['/bin/sh', '-c', remove])).code).toBe(0);
  expect(await holders(['host-3'])).toEqual([]);
});
