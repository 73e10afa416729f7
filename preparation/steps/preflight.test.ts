// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import type { HostPreparation } from '../../api/preparation.ts';
import type { PreparationInput } from '../input.ts';
import { stepScript } from '../script.ts';
import { CONTROL_PLANE_PORTS, inputOf } from './input.fixtures.ts';
import { preflightSteps } from './preflight.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`Preflight is not tried on a host of its own: ${whyNot}.`);

/** This computer may have any kind of cgroups. */
const ELSEWHERE: HostPreparation = { ignorePreflight: ['Cgroups'] };

/** A server on a port; `-u` of UDP, which never answers. */
const LISTEN = `listen() {
  perl -e 'use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[1], Proto => $ARGV[0], $ARGV[0] eq "tcp" ? (Listen => 1) : ()) or die; open(F, ">", "/tmp/listens"); sleep 1000' "$1" "$2" >/dev/null 2>&1 </dev/null &
  while [ ! -e /tmp/listens ]; do sleep 0.1; done
}
`;

describe.skipIf(whyNot !== undefined)('preflight, on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh('mkdir -p /run/systemd/system; echo "127.0.1.1 test-host" >>/etc/hosts');
  });
  afterEach(() => host?.close());

  async function look(
    spec: HostPreparation = ELSEWHERE,
    changes: Partial<PreparationInput> = {},
  ): Promise<{ code: number | undefined; said: string }> {
    const [step] = preflightSteps(inputOf(spec, changes));
    const { exitCode, stderr } = await host.remote.run(quietContext(), stepScript(step!, '0123456789abcdef'));
    return { code: exitCode, said: stderr };
  }

  it('lets a machine pass that has what is needed, and writes nothing', async () => {
    const before = host.snapshot();
    expect(await look()).toEqual({ code: 0, said: '' });
    expect(host.snapshot()).toEqual(before);
  });

  it('names who holds a port', async () => {
    host.sh(`${LISTEN}listen tcp 10250`);
    const { code, said } = await look();
    expect(code).toBe(71);
    expect(said).toMatch(
      /^error: Ports: taken are 10250 by perl \(process \d+\): .*ignorePreflight: \[Ports\]/,
    );
    expect((await look({ ignorePreflight: ['Cgroups', 'Ports'] })).code).toBe(0);
  });

  it('says all that is wrong at once', async () => {
    host.sh(`${LISTEN}listen tcp 10256
      mkdir -p /etc/kubernetes; : >/etc/kubernetes/kubelet.conf
      hostname localhost; rmdir /run/systemd/system`);
    const { code, said } = await look();
    expect(code).toBe(71);
    expect(said.trim().split('\n')).toHaveLength(1);
    expect(said).toMatch(
      /Systemd: .*; HostName: .*'localhost'.*; Ports: .*; Leftovers: .*\/etc\/kubernetes\/kubelet\.conf/,
    );
    expect(said).toContain('[HostName, Ports, Leftovers]');
  });

  it('waits a second for a name server that does not answer, and says which', async () => {
    host.sh(`${LISTEN}listen udp 53
      echo '127.0.0.1 localhost' >/etc/hosts; echo 'nameserver 127.0.0.1' >/etc/resolv.conf
      echo 'hosts: files dns' >/etc/nsswitch.conf`);
    const { code, said } = await look();
    expect(code).toBe(71);
    expect(said).toContain("HostName: no answer for 'test-host' within a second from 127.0.0.1");
    expect(said).toContain("put '10.0.0.7 test-host' into /etc/hosts");
  });

  it('does not mind a name that is not known: it gets a line of ours', async () => {
    host.sh(`echo '127.0.0.1 localhost' >/etc/hosts; echo 'nameserver 127.0.0.1' >/etc/resolv.conf
      echo 'hosts: files dns' >/etc/nsswitch.conf`);
    expect((await look()).code).toBe(0);
  });

  it('asks a host for room before it has filled some of it, and not in a later try', async () => {
    host.sh('mkdir -p /var/lib/containerd; mount -t tmpfs -o size=300m none /var/lib/containerd');
    expect((await look()).code).toBe(74);
    const begun = (hash: string) =>
      host.sh(
        `mkdir -p /var/lib/ts-provider/preparation; echo ${hash} >/var/lib/ts-provider/preparation/incomplete`,
      );
    begun('fedcba9876543210');
    expect((await look()).code).toBe(74);
    begun('0123456789abcdef');
    expect(await look()).toEqual({ code: 0, said: '' });
  });

  it('calls a full disk by its own reason, unless something else is wrong as well', async () => {
    host.sh('mkdir -p /var/lib/containerd; mount -t tmpfs -o size=300m none /var/lib/containerd');
    const { code, said } = await look();
    expect(code).toBe(74);
    expect(said).toMatch(/Disk: \/var\/lib\/containerd has 300 MiB free, 2048 MiB are needed/);
    host.sh('mkdir -p /etc/kubernetes; : >/etc/kubernetes/kubelet.conf');
    expect((await look()).code).toBe(71);
  });

  it('adds up what one file system must hold', async () => {
    host.sh(
      'mount -t tmpfs -o size=2200m none /usr/local; mkdir /usr/local/data; ln -s /usr/local/data /var/lib/containerd',
    );
    const { said } = await look({ ...ELSEWHERE, source: { artifacts: { baseURL: 'http://a.example' } } });
    expect(said).toContain('/usr/local has 2200 MiB free, 2560 MiB are needed');
  });

  it('refuses an old kernel and little memory, by what the version and the role need', async () => {
    host.sh(`printf '#!/bin/sh\\n[ "$1" != -r ] || { echo 4.19.3-generic; exit; }\\nexec /bin/uname "$@"\\n' >/usr/local/bin/uname
      chmod +x /usr/local/bin/uname
      echo 'MemTotal: 1500000 kB' >/tmp/meminfo; mount --bind /tmp/meminfo /proc/meminfo`);
    const worker = await look();
    expect(worker.said).toMatch(
      /Kernel: 4\.19\.3-generic is older than 5\.4, the least for Kubernetes v1\.36\.3/,
    );
    expect(worker.said).not.toContain('Memory');
    const control = await look(ELSEWHERE, { mustServe: CONTROL_PLANE_PORTS, kubernetesVersion: 'v1.34.2' });
    expect(control.said).toContain('Memory: 1464 MiB, 1700 MiB are needed');
    expect(control.said).not.toContain('Kernel');
  });

  it('looks at the kind of cgroups, and what they offer', async () => {
    host.sh('mount -t tmpfs none /sys/fs/cgroup');
    expect((await look({})).said).toMatch(
      /Cgroups: cgroup v1 is mounted, which the kubelet of v1\.36\.3 refuses/,
    );
    expect((await look({}, { kubernetesVersion: 'v1.34.2' })).code).toBe(0);
    host.sh('echo "cpu cpuset io pids" >/sys/fs/cgroup/cgroup.controllers');
    expect((await look({})).said).toContain('Cgroups: the kernel does not offer memory');
  });

  it.each([
    [
      'lets nobody in',
      'Status: active\nDefault: deny (incoming), allow (outgoing)\n22/tcp ALLOW IN Anywhere\n',
      'ufw is active and lets nobody in at 6443, 2379, 2380, 10250',
    ],
    [
      'has some open',
      'Status: active\n6443/tcp ALLOW IN Anywhere\n2379:2380/tcp ALLOW IN 10.0.0.0/8\n10250/udp ALLOW IN Anywhere\n',
      'lets nobody in at 10250:',
    ],
    ['lets a network in everywhere', 'Status: active\nAnywhere ALLOW IN 10.0.0.0/8\n', ''],
    ['is off', 'Status: inactive\n', ''],
  ])('a firewall that %s', async (_, status, expected) => {
    host.sh(
      `printf '#!/bin/sh\\ncat /tmp/status\\n' >/usr/local/bin/ufw; chmod +x /usr/local/bin/ufw; printf %s '${status}' >/tmp/status`,
    );
    const { code, said } = await look(ELSEWHERE, { mustServe: CONTROL_PLANE_PORTS });
    expect(code).toBe(expected === '' ? 0 : 71);
    expect(said).toContain(expected);
  });

  it('reads the zones of firewalld, their services and ports', async () => {
    host.sh(`cat >/usr/local/bin/firewall-cmd <<'END'
#!/bin/sh
case "$*" in
  --state) echo running ;;
  --get-active-zones) printf 'public\\n  interfaces: eth0\\n' ;;
  *--get-target*) echo default ;;
  *--list-services) echo 'ssh etcd' ;;
  --info-service=etcd) printf 'etcd\\n  ports: 2379/tcp 2380/tcp\\n' ;;
  --info-service=ssh) printf 'ssh\\n  ports: 22/tcp\\n' ;;
  *--list-ports) echo '6443/tcp 30000-32767/tcp' ;;
esac
END
      chmod +x /usr/local/bin/firewall-cmd`);
    const { said } = await look(ELSEWHERE, { mustServe: CONTROL_PLANE_PORTS });
    expect(said).toContain('firewalld is active and lets nobody in at 10250:');
  });

  it('refuses a system of no family, which nothing makes it ignore', async () => {
    host.sh("rm -f /etc/os-release; printf 'ID=alpine\\n' >/etc/os-release");
    const { code, said } = await look({
      ignorePreflight: ['Cgroups', 'Disk', 'Firewall', 'HostName', 'Kernel', 'Leftovers', 'Memory', 'Ports'],
    });
    expect(code).toBe(71);
    expect(said).toMatch(/^error: OperatingSystem: 'alpine' is of no family/);
    expect(said).not.toContain('ignorePreflight');
  });
});
