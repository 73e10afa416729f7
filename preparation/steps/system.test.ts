// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPreparation } from '../../api/preparation.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type Kind,
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import { stepScript } from '../script.ts';
import type { PreparationStep } from '../step.ts';
import { inputOf } from './input.fixtures.ts';
import { systemSteps } from './system.ts';
import { timeSteps } from './time.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`System settings are not tried on a host of its own: ${whyNot}.`);

function stepOf(id: string, spec: HostPreparation = {}): PreparationStep {
  const step = [...systemSteps(inputOf(spec)), ...timeSteps(inputOf(spec))].find((one) => one.id === id);
  if (!step) throw new Error(`no step ${id}`);
  return step;
}

/** Answers what it says of units in /tmp/units, one a line with their state, and notes what it was told. */
const SYSTEMCTL = `mkdir -p /run/systemd/system; touch /tmp/units /tmp/told
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
for last; do :; done
case "$*" in
  'list-units --all --type=swap'*) awk '$1 ~ /swap$/ { print $1, $2 == "masked" ? "masked" : "loaded", "active" }' /tmp/units ;;
  list-unit-files*) awk '$1 ~ /service$/ && $1 ~ /zram/' /tmp/units ;;
  is-enabled*) awk -v args="$*" -v unit="$last" '$1 == unit { if (!index(args, "quiet")) print $2; found = 1; exit $2 != "enabled" } END { if (!found) exit 1 }' /tmp/units ;;
  'mask '*) echo "$*" >>/tmp/told; sed -i "s/^$last .*/$last masked/" /tmp/units; ln -s /dev/null "/etc/systemd/system/$last" ;;
  'cat '*) grep -q "^$last" /tmp/units ;;
  'is-active '*) grep -q "^$last.* running" /tmp/units ;;
  *) echo "$*" >>/tmp/told; [ ! -e /tmp/fails ] ;;
esac
END
chmod +x /usr/local/bin/systemctl
`;

describe.skipIf(whyNot !== undefined).each<Kind>(['system', 'busybox'])(
  'on a host with the programs of %s',
  { timeout: 60_000 },
  (kind) => {
    let host: PrivateHost;

    beforeEach(async () => {
      host = await startPrivateHost(kind);
    });
    afterEach(() => host?.close());

    async function run(step: PreparationStep): Promise<{ code: number | undefined; said: string }> {
      const { exitCode, stdout, stderr } = await host.remote.run(
        quietContext(),
        stepScript(step, '0123456789abcdef'),
      );
      return { code: exitCode, said: stdout + stderr };
    }

    async function changesNothingTheSecondTime(step: PreparationStep): Promise<void> {
      expect(await run(step)).toEqual({ code: 0, said: `${step.id}: applied\n` });
      const before = host.snapshot();
      expect(await run(step)).toEqual({ code: 0, said: `${step.id}: in place\n` });
      expect(host.snapshot()).toEqual(before);
    }

    it('takes swap out of fstab, and keeps the rest as it was', async () => {
      host.sh(
        "printf 'UUID=1 / ext4 defaults 0 1\\n/swap  none\\tswap sw 0 0\\n#/old none swap sw 0 0\\n' >/etc/fstab; chmod 640 /etc/fstab",
      );
      await changesNothingTheSecondTime(stepOf('swap'));
      expect(host.sh('cat /etc/fstab; stat -c %a /etc/fstab')).toBe(
        'UUID=1 / ext4 defaults 0 1\n# /swap  none\tswap sw 0 0 # no swap: ts-provider\n#/old none swap sw 0 0\n640\n',
      );
      expect(host.sh('cat /var/lib/ts-provider/before/etc/fstab')).toContain('\n/swap  none');
    });

    it('masks units of swap, also of swap in compressed memory', async () => {
      if (kind === 'busybox') return;
      host.sh(
        `${SYSTEMCTL}printf 'dev-zram0.swap generated\\nzramswap.service enabled\\nold.swap masked\\n' >/tmp/units`,
      );
      await changesNothingTheSecondTime(stepOf('swap'));
      expect(host.sh('cat /tmp/told')).toBe(
        'stop dev-zram0.swap\nmask dev-zram0.swap\nstop zramswap.service\nmask zramswap.service\n',
      );
      expect(host.sh('grep swap /var/lib/ts-provider/manifest')).toContain(
        'created-file /etc/systemd/system/dev-zram0.swap',
      );
    });

    it('says where swap is that cannot be turned off', async () => {
      host.sh(
        "printf 'Filename Type Size Used Priority\\n/dev/vdb partition 1 0 -2\\n' >/tmp/swaps; mount --bind /tmp/swaps /proc/swaps",
      );
      const { code, said } = await run(stepOf('swap'));
      expect(code).toBe(70);
      expect(said).toMatch(/error: swap stays on: \/dev\/vdb: in a container/);
    });

    it('sets what Kubernetes needs and what was asked for, and nothing else', async () => {
      host.sh(
        'echo 0 >/proc/sys/net/ipv4/ip_forward; mount -t tmpfs none /proc/sys/net/ipv6 2>/dev/null || true',
      );
      await changesNothingTheSecondTime(
        stepOf('sysctl', {
          sysctls: { 'net.ipv4.ip_forward': '0', 'net.ipv4.ip_local_port_range': '20000 60000' },
        }),
      );
      expect(host.sh('cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_local_port_range')).toBe(
        '1\n20000\t60000\n',
      );
      expect(host.sh('sed 1d /etc/sysctl.d/99-ts-provider.conf')).toBe(
        [
          'net.bridge.bridge-nf-call-ip6tables = 1',
          'net.bridge.bridge-nf-call-iptables = 1',
          'net.ipv4.ip_forward = 1',
          'net.ipv4.ip_local_port_range = 20000 60000',
          '',
        ].join('\n'),
      );
    });

    it('names a setting that this kernel has not got', async () => {
      const { code, said } = await run(stepOf('sysctl', { sysctls: { 'net.ipv4.no_such_thing': '1' } }));
      expect(code).toBe(70);
      expect(said).toContain('error: this kernel has no setting net.ipv4.no_such_thing');
    });

    it('takes modules that are there as they are, and names one that cannot be loaded', async () => {
      await changesNothingTheSecondTime(stepOf('modules'));
      expect(host.sh('cat /etc/modules-load.d/ts-provider.conf')).toContain('overlay\nbr_netfilter\n');
      host.sh(
        "printf 'nodev\\text4\\n' >/tmp/systems; mount --bind /tmp/systems /proc/filesystems; rm -f /bin/modprobe /sbin/modprobe /usr/sbin/modprobe",
      );
      const { code, said } = await run(stepOf('modules'));
      expect(code).toBe(70);
      expect(said).toContain(
        'the kernel module overlay is not loaded, and modprobe is not there: install kmod',
      );
    });
  },
);

describe.skipIf(whyNot !== undefined)('services, on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh(SYSTEMCTL);
  });
  afterEach(() => host?.close());

  async function run(step: PreparationStep): Promise<{ code: number | undefined; said: string }> {
    const { exitCode, stdout, stderr } = await host.remote.run(
      quietContext(),
      stepScript(step, '0123456789abcdef'),
    );
    return { code: exitCode, said: stdout + stderr };
  }

  it('bounds the journal, and owes the restart until it has been made', async () => {
    host.sh('echo "systemd-journald static" >/tmp/units; touch /tmp/fails');
    const step = stepOf('journald', { journalMaxUse: '300M' });
    expect((await run(step)).said).toContain('error: systemctl try-restart systemd-journald');
    expect(host.sh('cat /etc/systemd/journald.conf.d/ts-provider.conf')).toContain('SystemMaxUse=300M\n');
    host.sh('rm /tmp/fails; : >/tmp/told');
    expect(await run(step)).toEqual({ code: 0, said: 'journald: applied\n' });
    expect(await run(step)).toEqual({ code: 0, said: 'journald: in place\n' });
    expect(host.sh('cat /tmp/told')).toBe('try-restart systemd-journald\n');
  });

  it.each([
    { program: 'chronyd', setup: 'mkdir -p /etc/chrony', unit: 'chrony', file: '/etc/chrony/chrony.conf' },
    { program: 'chronyd', setup: 'rm -rf /etc/chrony', unit: 'chronyd', file: '/etc/chrony.conf' },
    { program: 'ntpd', setup: 'mkdir -p /etc/ntpsec', unit: 'ntpsec', file: '/etc/ntpsec/ntp.conf' },
  ])('gives time servers to $program in $file', async ({ program, setup, unit, file }) => {
    host.sh(
      `rm -f /usr/lib/systemd/systemd-timesyncd; ${setup}; ln -s /bin/true /usr/local/bin/${program}; echo "${unit} enabled running" >/tmp/units`,
    );
    const step = stepOf('time', { timeServers: ['a.example', '10.0.0.1'] });
    expect(await run(step)).toEqual({ code: 0, said: 'time: applied\n' });
    expect(await run(step)).toEqual({ code: 0, said: 'time: in place\n' });
    expect(host.sh(`cat ${file}`)).toContain('server a.example iburst\nserver 10.0.0.1 iburst\n');
    expect(host.sh('cat /tmp/told')).toBe(`restart ${unit}\n`);
  });

  it('leaves a time service alone that runs, when no servers are asked for', async () => {
    host.sh('ln -s /bin/true /usr/local/bin/chronyd; echo "chronyd enabled running" >/tmp/units');
    expect(await run(stepOf('time'))).toEqual({ code: 0, said: 'time: in place\n' });
  });

  it('does without a time service that cannot be had, unless servers are asked for', async () => {
    host.sh('rm -f /usr/lib/systemd/systemd-timesyncd /usr/sbin/chronyd /usr/sbin/ntpd');
    const offline = { source: { artifacts: { baseURL: 'http://a.example' } } };
    const asked = await run(stepOf('time', { ...offline, timeServers: ['a.example'] }));
    expect(asked).toMatchObject({ code: 77 });
    expect(asked.said).toContain('the artifacts have to bring the package chrony');
    expect((await run(stepOf('time', offline))).code).toBe(0);
    expect(await run(stepOf('time', offline))).toEqual({ code: 0, said: 'time: in place\n' });
  });

  it('lets the clock of a container be', async () => {
    host.sh('touch /run/systemd/container');
    expect(await run(stepOf('time', { timeServers: ['a.example'] }))).toEqual({
      code: 0,
      said: 'time: in place\n',
    });
  });
});

describe('names of kernel settings', () => {
  it.each(['../../etc/passwd', 'net..x', 'a b', 'x\n/etc/shadow', '', '/proc', "a'b", 'a$(b)', 'a`b`'])(
    '%j is none',
    (name) => {
      expect(() => systemSteps(inputOf({ sysctls: { [name]: '1' } }))).toThrow(
        /is not the name of a kernel setting/,
      );
    },
  );

  it('may have dots in their parts, as sysctl reads them', () => {
    const { apply } = stepOf('sysctl', { sysctls: { 'net/ipv4/conf/eth0.100/arp_filter': '1' } });
    expect(apply).toContain('set_to net/ipv4/conf/eth0.100/arp_filter 1');
  });

  it('are those of IPv6 as well where the cluster has it', () => {
    const input = inputOf({});
    const both = { ...input, network: { ...input.network, podCIDRs: ['10.0.0.0/16', 'fd00::/48'] } };
    const sysctl = systemSteps(both).find(({ id }) => id === 'sysctl');
    expect(sysctl?.apply).toContain('set_to net/ipv6/conf/all/forwarding 1');
    expect(stepOf('sysctl').apply).not.toContain('ipv6');
  });
});
