// SPDX-License-Identifier: Apache-2.0
// A preparation that is killed at every step, or loses its host to a power cut there, goes on; what it makes is the same, and once is enough.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../backends/host/job/job.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { SITE_VERSIONS, VERSIONS } from '../../hack/stack/versions.ts';
import { differences, filesOf } from './file-system.ts';
import { preparationInput, preparationJob, start, untilDone } from './preparation-job.ts';
import { type SiteServers, startSiteServers } from './site-servers.ts';

let world: HostWorld;
let servers: SiteServers;
const directory = temporaryDirectory('resume');
/** What was on each host before, without dates. */
let before: string[][];

beforeAll(async () => {
  world = await startHosts({ count: 3, bare: ['host-1', 'host-2', 'host-3'], behindBastion: [] });
  servers = await startSiteServers(directory.path, { images: 'files' });
  before = await Promise.all(world.hosts.map((host) => filesOf(host, { withDates: false })));
});

afterAll(async () => {
  await servers?.stop();
  await world?.close();
  directory.remove();
});

const job = () => preparationJob(preparationInput(servers, SITE_VERSIONS.previousKubernetes));

/** What differs from host to host, and what tells in which order packages were installed, or that a host was started anew. */
const OF_ONE_HOST = [
  /^. \S+  ?\/(etc\/machine-id|var\/lib\/dbus\/machine-id)/,
  /\/var\/lib\/dpkg\/(status|available|diversions|statoverride|lock|triggers)/,
  /\/var\/lib\/ts-provider\/owner/,
];

/** What a preparation has made of a host: lines of differences to what it was. */
async function madeOf(index: number): Promise<string[]> {
  const now = await filesOf(world.hosts[index]!, { withDates: false });
  return differences(before[index]!, now).filter(
    (line) => !OF_ONE_HOST.some((pattern) => pattern.test(line)),
  );
}

/** Waits on the host itself, without a pause, so that hardly anything of the step is done. Prints the step that runs at the end. */
const UNTIL_STARTED = `journal=/var/lib/ts-provider/jobs/$1/journal
until grep -q "^start $2 " "$journal"; do :; done
sleep "$3"
grep -q "^end $2 " "$journal" || echo "$2"`;

/** False when the step had ended before. */
async function untilInside(host: TestHost, { id }: Job, step: string, seconds: number): Promise<boolean> {
  const { stdout } = await host.exec(['sh', '-c', UNTIL_STARTED, 'sh', id, step, String(seconds)]);
  return stdout.trim() === step;
}

/** The runner alone, whose step goes on; or all that it has started as well. */
async function killRunner(host: TestHost, { id }: Job, who: 'main' | 'all'): Promise<void> {
  await host.exec(['systemctl', 'kill', '--signal=KILL', `--kill-whom=${who}`, `ts-provider-${id}.service`]);
}

/** Into each step so many seconds: at once, and in the middle of what takes long. */
const MOMENTS = [0, 0.3, 1.2];

describe('a preparation', () => {
  it('that nobody disturbs makes a bare host ready', async () => {
    const [host] = world.hosts as [TestHost];
    await start(host, job());
    await untilDone(host, job());
    expect((await madeOf(0)).length).toBeGreaterThan(100);
    const { stdout } = await host.exec(['cat', '/var/lib/ts-provider/preparation/complete']);
    expect(stdout).toMatch(/^[0-9a-f]{16} v/);
  });

  it('the second time changes nothing on the disk, not even a date', async () => {
    const [host] = world.hosts as [TestHost];
    const files = await filesOf(host);
    const again = preparationJob(preparationInput(servers, SITE_VERSIONS.previousKubernetes), 2);
    await start(host, again);
    await untilDone(host, again);
    expect(differences(files, await filesOf(host))).toEqual([]);
  });

  it('whose runner is killed in every step goes on, and makes the same', async () => {
    const host = world.hosts[1]!;
    let kills = 0;
    for (const { id } of job().steps) {
      for (const [index, seconds] of MOMENTS.entries()) {
        await start(host, job());
        if (!(await untilInside(host, job(), id, seconds))) break;
        await killRunner(host, job(), index === 1 ? 'main' : 'all');
        kills += 1;
      }
    }
    await start(host, job());
    await untilDone(host, job());
    process.stdout.write(`killed ${kills} times in ${job().steps.length} steps\n`);
    expect(kills).toBeGreaterThanOrEqual(job().steps.length / 2);
    expect(differences(await madeOf(0), await madeOf(1))).toEqual([]);
  });

  it('whose host loses its power in every step goes on, and makes the same', async () => {
    const host = world.hosts[2]!;
    let cuts = 0;
    for (const { id } of job().steps) {
      await start(host, job());
      if (!(await untilInside(host, job(), id, 0))) continue;
      await host.crash();
      await host.boot();
      cuts += 1;
    }
    await start(host, job());
    await untilDone(host, job());
    process.stdout.write(`${cuts} power cuts in ${job().steps.length} steps\n`);
    expect(cuts).toBeGreaterThanOrEqual(job().steps.length / 2);
    expect(differences(await madeOf(0), await madeOf(2))).toEqual([]);
  });

  it('for another version changes exactly what belongs to the version', async () => {
    const [host] = world.hosts as [TestHost];
    const newer = preparationJob(preparationInput(servers, VERSIONS.kubernetes), 3);
    await start(host, newer);
    await untilDone(host, newer);
    const { stdout } = await host.exec([
      'sh',
      '-c',
      'for p in kubelet kubeadm kubectl; do /usr/local/bin/$p --version 2>/dev/null || /usr/local/bin/$p version --client; done',
    ]);
    expect([...new Set(stdout.match(/v1\.\d+\.\d+/g))]).toEqual([VERSIONS.kubernetes]);
  });
});
