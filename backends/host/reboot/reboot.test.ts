// SPDX-License-Identifier: Apache-2.0
// On private hosts whose `reboot` only writes down that it was called: no test may come near the one of this computer.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { quietContext } from '../job/local-host.fixtures.ts';
import { type Kind, type PrivateHost, startPrivateHost, whyNoPrivateHost } from '../private-host.fixtures.ts';
import { reboot, releaseKubelet } from './reboot.ts';
import { rebootScript } from './script.ts';

const why = whyNoPrivateHost();
const ctx = quietContext();
const OWNER = { token: '0a1b2c3d', generation: 3 };
const DROPIN = '/etc/systemd/system/kubelet.service.d/00-ts-provider-hold.conf';

let host: PrivateHost;
afterEach(() => host?.close());

/** `boot-a` runs; with `systemd`, its programs only write down that they were called. */
async function start(kind: Kind, manager: 'systemd' | 'none' = 'none'): Promise<void> {
  host = await startPrivateHost(kind);
  host.sh(`
mkdir -p /usr/local/sbin /run /var/lib/kubelet /etc/systemd/system
for name in reboot systemctl systemd-run; do
  printf '#!/bin/sh\\necho "%s $*" >>/run/calls\\n' "$name" >/usr/local/sbin/$name
  chmod 755 /usr/local/sbin/$name
done
printf '#!/bin/sh\\n' >/usr/local/sbin/sync; chmod 755 /usr/local/sbin/sync
echo config >/var/lib/kubelet/config.yaml`);
  if (manager === 'systemd') host.sh('mkdir -p /run/systemd/system');
  boot('boot-a');
}

function boot(id: string): void {
  host.sh(`umount /proc/sys/kernel/random/boot_id 2>/dev/null
echo ${id} >/run/boot; mount --bind /run/boot /proc/sys/kernel/random/boot_id; rm -rf /run/ts-provider-reboot-*`);
}

const calls = () =>
  host
    .sh('cat /run/calls 2>/dev/null || true')
    .trim()
    .split('\n')
    .filter((line) => line !== '');
const ask = (holdKubelet = false, fromBootID = 'boot-a', owner = OWNER) =>
  reboot(ctx, host.remote, { owner, fromBootID, holdKubelet });
const exists = (path: string) => host.sh(`[ -e ${path} ] && echo yes || echo no`).trim() === 'yes';
const called = (line: RegExp | string) =>
  vi.waitFor(() => expect(calls()).toContainEqual(expect.stringMatching(line)), { timeout: 10_000 });

describe('the script', () => {
  it('never touches the trigger of the kernel where processes are numbered anew', () => {
    const script = rebootScript({ owner: OWNER, fromBootID: 'x', holdKubelet: true });
    const [before = ''] = script.split('>/proc/sysrq-trigger');
    expect(before).toContain('[ "$(readlink /proc/1/ns/pid)" = \'pid:[4026531836]\' ]');
  });
});

describe.skipIf(why !== undefined)(`reboot${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  it.each(['system', 'busybox'] as const)('%s: asked twice, told once', async (kind) => {
    await start(kind);
    expect(await ask()).toBe('asked');
    expect(await ask()).toBe('asked');
    await called(/^reboot/);
    expect(calls()).toEqual(['reboot']);
  });

  it('begins anew where an earlier call was cut off before it had begun', async () => {
    await start('busybox');
    host.sh('mkdir /run/ts-provider-reboot-boot-a');
    expect(await ask()).toBe('asked');
    await called(/^reboot/);
  });

  it.each(['system', 'busybox'] as const)('%s: a boot that is over is not ended again', async (kind) => {
    await start(kind);
    expect(await ask(true, 'boot-of-last-week')).toBe('done');
    expect(calls()).toEqual([]);
    expect(exists('/var/lib/kubelet/config.yaml')).toBe(true);
  });

  it('a host of another owner refuses', async () => {
    await start('busybox');
    host.sh('mkdir -p /var/lib/ts-provider; echo "ffffffff 9" >/var/lib/ts-provider/owner');
    await expect(ask()).rejects.toMatchObject({ reason: 'HostClaimedElsewhere' });
    await expect(releaseKubelet(ctx, host.remote, OWNER)).rejects.toMatchObject({
      reason: 'HostClaimedElsewhere',
    });
    expect(calls()).toEqual([]);
  });

  it('a host that does not tell its boot is not rebooted', async () => {
    await start('busybox');
    boot('');
    await expect(ask()).rejects.toMatchObject({ reason: 'HostUnsuitable' });
  });

  it('systemd: climbs in a unit that outlives the others', async () => {
    await start('busybox', 'systemd');
    expect(await ask()).toBe('asked');
    await called(
      /^systemd-run .*DefaultDependencies=no \/bin\/sh \/run\/ts-provider-reboot-boot-a\/ladder unit$/,
    );
  });

  it('systemd that does not answer: climbs by itself', async () => {
    await start('busybox', 'systemd');
    host.sh("printf '#!/bin/sh\\nexit 1\\n' >/usr/local/sbin/systemd-run");
    expect(await ask()).toBe('asked');
    await called(/^systemctl .*reboot$/);
  });
});

describe.skipIf(why !== undefined)(`a held kubelet${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  it.each(['systemd', 'none'] as const)('%s: is held over the boot, and let go', async (manager) => {
    await start('busybox', manager);
    await ask(true);
    const isHeld = () => (manager === 'systemd' ? exists(DROPIN) : !exists('/var/lib/kubelet/config.yaml'));
    expect(isHeld()).toBe(true);
    boot('boot-b');
    expect(await ask(true)).toBe('held');
    expect(await ask(false)).toBe('done');
    await releaseKubelet(ctx, host.remote, OWNER);
    expect(isHeld()).toBe(false);
    expect(host.sh('cat /var/lib/kubelet/config.yaml')).toBe('config\n');
    expect(host.sh('ls /var/lib/kubelet').trim()).toBe('config.yaml');
    expect(await ask(true)).toBe('done');
    if (manager === 'systemd') await called(/^systemctl start --no-block kubelet$/);
  });

  it('is not held by what was made in the boot that is there', async () => {
    await start('busybox', 'systemd');
    await ask(true);
    expect(await ask(true, 'another')).toBe('done');
  });

  it('is held once, also when it is asked for twice, and the clean-up knows of it', async () => {
    await start('busybox', 'systemd');
    await ask(true);
    const before = host.sh(`cat ${DROPIN}`);
    boot('boot-b');
    await ask(true, 'boot-b');
    expect(host.sh(`cat ${DROPIN}`)).toBe(before);
    expect(before).toContain(`ConditionPathExists=!${DROPIN}\n`);
    expect(host.sh('cat /var/lib/ts-provider/manifest').trim().split('\n')).toEqual([
      'created-folder /etc/systemd/system/kubelet.service.d',
      `created-file ${DROPIN}`,
      `created-file ${DROPIN}.new`,
    ]);
  });

  it('is let go by a second call when the first was cut off in the middle', async () => {
    await start('busybox', 'systemd');
    await ask(true);
    host.sh(`: >/run/ts-provider-release-kubelet; rm ${DROPIN}`);
    await releaseKubelet(ctx, host.remote, OWNER);
    await called(/^systemctl start --no-block kubelet$/);
    expect(exists('/run/ts-provider-release-kubelet')).toBe(false);
  });

  it('that nothing holds is left alone', async () => {
    await start('busybox', 'systemd');
    await releaseKubelet(ctx, host.remote, OWNER);
    expect(calls()).toEqual([]);
  });

  it('that cannot be held: nothing is rebooted', async () => {
    await start('busybox', 'systemd');
    host.sh('rm -rf /etc/systemd; echo x >/etc/systemd');
    await expect(ask(true)).rejects.toThrow(TransientError);
    expect(calls()).toEqual([]);
  });
});
