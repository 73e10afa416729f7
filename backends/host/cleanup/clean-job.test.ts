// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { interpret } from '../cloud-config/interpret.ts';
import { quietContext } from '../job/local-host.fixtures.ts';
import { planOf } from '../job/job.ts';
import { startJob } from '../job/start-job.ts';
import { type PrivateHost, startPrivateHost, whyNoPrivateHost } from '../private-host.fixtures.ts';
import { probeHost } from '../probe/probe.ts';
import { cleanJob } from './clean-job.ts';
import { finishClean } from './finish.ts';

const ctx = quietContext();
const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`Clean-up is not tried on a host of its own: ${whyNot}.`);

const CLEAN = cleanJob('clean-1-1');

async function clean(host: PrivateHost): Promise<Record<string, { code: number | undefined; said: string }>> {
  const ended: Record<string, { code: number | undefined; said: string }> = {};
  for (const step of CLEAN.steps) {
    const { exitCode, stdout, stderr } = await host.remote.run(ctx, step.script);
    ended[step.id] = { code: exitCode, said: stdout + stderr };
  }
  return ended;
}

async function occupants(host: PrivateHost): Promise<string[]> {
  return (await probeHost(ctx, host.remote)).occupants.map(
    ({ kind, what, running }) => `${running ? '! ' : ''}${kind} ${what.replace(/pid \d+/, 'pid')}`,
  );
}

/** Files that begin with the names of programs that there are: what runs is a shell that sleeps. */
const START = `
mkdir -p /usr/local/programs
start() { # name, arguments
  [ -e "/usr/local/programs/$1" ] || cp /bin/sh "/usr/local/programs/$1"
  program=$1
  shift
  setsid "/usr/local/programs/$program" -c 'sleep 1000; :' "$@" >/dev/null 2>&1 </dev/null &
}
`;

/** What lives on the host with a cluster beside it, and must not notice that the cluster goes. */
const NEIGHBOURS = `${START}
mkdir -p /var/lib/kubelet /etc/cni/net.d /var/lib/docker/containers/a /home/alice /opt/cni/bin /var/lib/etcdctl /var/lib/containerd /run/mount
echo '{}' >/etc/cni/net.d/99-mine.conf
echo data >/var/lib/docker/containers/a/config
echo diary >'/home/alice/my diary'
echo 'text/plain' >/tmp/kube-notes
start containerd-shim-runc-v2 -namespace moby -id a
start postgres
ip link add docker0 type bridge
ip link add veth1234567 type veth peer name c1
ip link add veth0a1b2c3d type veth peer name c2
ip link set veth1234567 master docker0
ip link set veth0a1b2c3d master docker0
ip link add mine0 type bridge
ip netns add mine
iptables -A INPUT -p tcp --dport 22 -m comment --comment 'do not -j KUBE-FIREWALL me' -j ACCEPT
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
nft add table inet mine
nft add chain inet mine input '{ type filter hook input priority 0; policy accept; }'
nft add rule inet mine input tcp dport 80 accept
nft add table ip kube-proxy-of-mine
iptables-legacy -A INPUT -p tcp --dport 2222 -j ACCEPT
`;

/** As kubeadm, kubelet, kube-proxy, containerd and a few network plugins leave it. */
const CLUSTER = `${START}
mkdir -p /etc/kubernetes/pki/etcd /etc/kubernetes/manifests /var/lib/kubelet/pki '/var/lib/kubelet/pods/1/volumes/a b' /var/lib/etcd/member/snap \\
  /var/lib/cni/networks/cbr0 /run/cluster-api /run/kubeadm /tmp/kubeadm-init-dryrun1 /var/log/pods/a /var/log/containers /var/lib/calico /run/flannel \\
  /usr/libexec/kubernetes/kubelet-plugins/volume/exec /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/abc
for file in admin.conf kubelet.conf pki/ca.key pki/etcd/ca.crt manifests/etcd.yaml encryption.yaml .hidden; do echo secret >/etc/kubernetes/$file; done
for file in config.yaml pki/kubelet.crt pods/1/state; do echo data >/var/lib/kubelet/$file; done
echo data >/var/lib/etcd/member/snap/db
echo x >/var/lib/cni/networks/cbr0/10.244.0.2
echo '{}' >/etc/cni/net.d/10-flannel.conflist
echo success >/run/cluster-api/bootstrap-success.complete
echo x >/run/kubeadm/kubeadm.yaml
echo node >/var/lib/calico/nodename
echo log >/var/log/pods/a/0.log
ln -s /var/log/pods/a/0.log /var/log/containers/a.log
mount -t tmpfs tmpfs '/var/lib/kubelet/pods/1/volumes/a b'
echo token >'/var/lib/kubelet/pods/1/volumes/a b/token'
mount --bind /var/lib/docker '/var/lib/kubelet/pods/1/volumes'
mount -t tmpfs tmpfs '/var/lib/kubelet/pods/1/volumes/containers'
start kubelet --config=/var/lib/kubelet/config.yaml
start kube-apiserver
start kube-controller-manager
start etcd --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
start containerd-shim-runc-v2 -namespace k8s.io -id b
ip link add cni0 type bridge
ip link add veth11223344 type veth peer name p1
ip link set veth11223344 master cni0
ip link add veth55667788 type veth peer name p2
ip link add kube-ipvs0 type bridge
ip link add cali0123456789a type veth peer name p3
ip netns add cni-0f
for tables in iptables iptables-legacy; do
  for table in nat filter mangle; do
    $tables -t $table -N KUBE-KUBELET-CANARY
  done
  $tables -t nat -N KUBE-SERVICES
  $tables -t nat -N 'CNI-0123456789abcdef01234567'
  $tables -t nat -A KUBE-SERVICES -m comment --comment 'a "quoted" word' -j CNI-0123456789abcdef01234567
  $tables -t nat -A PREROUTING -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES
  $tables -t nat -A POSTROUTING -s 10.244.0.2/32 -m comment --comment 'name: "cbr0" id: "x"' -j CNI-0123456789abcdef01234567
done
nft add table ip kube-proxy
nft add chain ip kube-proxy services
nft add table inet cni_plugins_masquerade
echo '10.1.2.3 test-host # added by ts-provider' >>/etc/hosts
`;

describe.skipIf(whyNot !== undefined)('a clean-up, on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  afterEach(() => host?.close());

  describe('with the programs of this computer', () => {
    beforeEach(async () => {
      host = await startPrivateHost('system');
    });

    it('takes away all of a cluster and nothing else, and a second one changes nothing', async () => {
      host.sh(NEIGHBOURS);
      const before = host.snapshot();
      expect(await occupants(host)).toEqual([]);
      host.sh(CLUSTER);
      expect(await occupants(host)).toEqual([
        '! process containerd-shim (k8s.io) (pid)',
        '! process etcd (pid)',
        '! process kube-apiserver (pid)',
        '! process kube-controller-manager (pid)',
        '! process kubelet (pid)',
        'container container abc of namespace k8s.io',
        ...[
          ...['/etc/cni/net.d/10-flannel.conflist', '/etc/hosts (a line of ts-provider)'],
          ...['.hidden', 'admin.conf', 'encryption.yaml', 'kubelet.conf', 'manifests', 'pki'].map(
            (name) => `/etc/kubernetes/${name}`,
          ),
          ...['/run/cluster-api', '/run/flannel', '/run/kubeadm', '/var/lib/calico', '/var/lib/cni'],
          ...['/var/lib/etcd', '/var/lib/kubelet', '/var/log/containers', '/var/log/pods'],
        ].map((path) => `file ${path}`),
        'mount /var/lib/kubelet/pods/1/volumes',
        'mount /var/lib/kubelet/pods/1/volumes/a b',
        'mount /var/lib/kubelet/pods/1/volumes/containers',
        'network link cali0123456789a',
        'network link cni0',
        'network link kube-ipvs0',
        'network link veth11223344',
        'network link veth55667788',
        'network network namespace cni-0f',
      ]);
      const ended = await clean(host);
      expect(
        Object.values(ended).map(({ code }) => code),
        JSON.stringify(ended),
      ).toEqual(CLEAN.steps.map(() => 0));
      expect(host.snapshot()).toEqual(before);
      expect(await occupants(host)).toEqual([]);
      expect(host.sh("pgrep -c 'containerd-shim|postgres'").trim()).toBe('2');
      await clean(host);
      expect(host.snapshot()).toEqual(before);
    });

    it('finds rules where nothing runs any more, and sets that nobody else made', async () => {
      host.sh(NEIGHBOURS);
      host.sh(CLUSTER);
      host.sh("pkill -KILL 'kube|etcd'; sleep 0.2");
      const found = (await occupants(host)).filter((line) => line.startsWith('rule'));
      expect(found).toEqual([
        'rule iptables chain CNI-0123456789abcdef01234567',
        'rule iptables chain KUBE-KUBELET-CANARY',
        'rule iptables chain KUBE-SERVICES',
        'rule nft chain CNI-0123456789abcdef01234567 in table ip nat',
        'rule nft chain KUBE-KUBELET-CANARY in table ip filter',
        'rule nft chain KUBE-KUBELET-CANARY in table ip mangle',
        'rule nft chain KUBE-KUBELET-CANARY in table ip nat',
        'rule nft chain KUBE-SERVICES in table ip nat',
        'rule nft table inet cni_plugins_masquerade',
        'rule nft table ip kube-proxy',
      ]);
    });

    it('says what it cannot look at, rather than that it is clean', async () => {
      host.sh(`cp /bin/true /usr/local/bin/kubelet; mkdir -p /run/containerd; rm -f /usr/sbin/nft /usr/sbin/*tables*
        perl -e 'use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Local => "/run/containerd/containerd.sock", Listen => 1); sleep 1000' >/dev/null 2>&1 </dev/null &
        while [ ! -S /run/containerd/containerd.sock ]; do sleep 0.1; done`);
      expect(await occupants(host)).toEqual([
        'container containers of Kubernetes cannot be looked at: containerd does not answer: see whether its service is healthy',
        'rule rules of netfilter cannot be looked at: neither nft nor iptables is there: install nftables',
      ]);
    });

    it('says which of its programs is missing, rather than that the host is clean', async () => {
      host.sh('mount --bind /dev/null "$(readlink -f "$(command -v find)")"');
      expect(await occupants(host)).toContain(
        'file the host cannot be looked at: find is not there: install it',
      );
    });

    it('does not call a host fenced that a reboot would make a node again', async () => {
      host.sh(
        'mkdir -p /etc/kubernetes && mount -t tmpfs none /etc/kubernetes && : >/etc/kubernetes/kubelet.conf',
      );
      host.sh('mount -o remount,ro /etc/kubernetes');
      const ended = await clean(host);
      expect(ended['fence']?.code).toBe(1);
      expect(ended['fence']?.said).toContain(
        'a reboot would bring the node back: /etc/kubernetes/kubelet.conf',
      );
    });

    it('does not empty what is still mounted below', async () => {
      host.sh('mkdir -p /var/lib/kubelet/pods/a /var/lib/data && echo diary >/var/lib/data/diary');
      host.sh('mount --bind /var/lib/data /var/lib/kubelet/pods/a');
      host.sh('mount --bind /dev/null "$(readlink -f "$(command -v umount)")"');
      await clean(host);
      expect(host.sh('cat /var/lib/data/diary')).toBe('diary\n');
    });

    it('finds who listens on ports of Kubernetes, under whatever name', async () => {
      host.sh(`listen() {
          perl -e 'use IO::Socket::INET; $s = IO::Socket::INET->new(Listen => 1, LocalAddr => $ARGV[0], LocalPort => $ARGV[1]) or die; sleep 1000' $1 $2 >/dev/null 2>&1 </dev/null &
        }
        listen 0.0.0.0 6443; listen 127.0.0.1 10250; listen 0.0.0.0 8080
        while ! { grep -q :192B /proc/net/tcp && grep -q :280A /proc/net/tcp; }; do sleep 0.1; done`);
      expect(await occupants(host)).toEqual(['! port *:6443', '! port 127.0.0.1:10250']);
    });

    it('lets a kubelet be that waits for its configuration, as packages leave it, and no other', async () => {
      host.sh(`${START}mkdir -p /var/lib/kubelet; start kubelet --config=/var/lib/kubelet/config.yaml`);
      expect(await occupants(host)).toEqual([]);
      host.sh('touch /var/lib/kubelet/config.yaml');
      expect(await occupants(host)).toContain('! process kubelet (pid)');
    });

    it("leaves an etcd alone that is somebody else's, with its data, and does not call the host clean", async () => {
      host.sh(
        `${START}mkdir -p /var/lib/etcd/default; echo data >/var/lib/etcd/default/db; start etcd --name mine`,
      );
      const ended = await clean(host);
      expect(ended['fence']?.code).toBe(0);
      expect(host.sh('cat /var/lib/etcd/default/db')).toBe('data\n');
      expect(await occupants(host)).toEqual(['! process etcd (pid)', 'file /var/lib/etcd']);
    });

    it('follows kubeadm to other folders, and takes there what has its names', async () => {
      host.sh(`mkdir -p /srv/pki/etcd /srv/data/member/snap /etc/kubernetes/manifests /var/lib/kubelet /var/lib/ts-provider
        for file in ca.crt ca.key apiserver-etcd-client.key front-proxy-ca.crt sa.pub etcd/server.key mine.crt apiserver; do echo x >/srv/pki/$file; done
        echo x >/srv/data/member/snap/db
        printf '    - --client-ca-file=/srv/pki/ca.crt\\n' >/etc/kubernetes/manifests/kube-apiserver.yaml
        printf '    - --data-dir=/srv/data\\n' >/etc/kubernetes/manifests/etcd.yaml
        printf '    clientCAFile: /srv/pki/ca.crt\\n' >/var/lib/kubelet/config.yaml`);
      // The first try is cut off behind its fence.
      await host.remote.run(ctx, CLEAN.steps.find(({ id }) => id === 'fence')!.script);
      await clean(host);
      expect(host.sh('find /srv | sort')).toBe('/srv\n/srv/pki\n/srv/pki/apiserver\n/srv/pki/mine.crt\n');
    });

    it('leaves folders that a package has brought', async () => {
      host.sh(`mkdir -p /etc/kubernetes/manifests /var/lib/dpkg/info
        printf 'Package: kubelet\\nStatus: install ok installed\\nArchitecture: all\\nVersion: 1\\nMaintainer: a\\nDescription: b\\n' >/var/lib/dpkg/status
        printf '/.\\n/etc\\n/etc/kubernetes\\n/etc/kubernetes/manifests\\n' >/var/lib/dpkg/info/kubelet.list
        echo x >/etc/kubernetes/manifests/etcd.yaml`);
      await clean(host);
      expect(host.sh('find /etc/kubernetes')).toBe('/etc/kubernetes\n/etc/kubernetes/manifests\n');
    });

    it('does not empty what a link leads to outside of the folders for data', async () => {
      host.sh(
        'mkdir -p /srv/etcd; echo data >/srv/etcd/db; ln -s /srv/etcd /var/lib/etcd; mkdir /precious; echo x >/precious/x; ln -s /precious /var/lib/kubelet',
      );
      await clean(host);
      expect(host.sh('ls /srv/etcd; cat /precious/x')).toBe('x\n');
    });

    it('ends a job that goes on, with what it started, before anything else', async () => {
      const steps = 'sleep 1000 & echo $! >/tmp/child; sleep 1000\n';
      const job = { ...CLEAN, id: 'bootstrap-1', steps: [{ ...CLEAN.steps[0]!, script: steps }] };
      await startJob(ctx, host.remote, job);
      host.sh('while [ ! -s /tmp/child ]; do sleep 0.1; done');
      await expect(finishClean(ctx, host.remote)).rejects.toThrow(/while the job bootstrap-1 runs/);
      expect((await clean(host))['fence']).toEqual({ code: 0, said: '' });
      expect(host.sh('pgrep -c sleep || true').trim()).toBe('1');
      await finishClean(ctx, host.remote);
      expect(host.sh('ls /var/lib')).toBe('');
      await finishClean(ctx, host.remote);
    });

    it('puts back what the bootstrap data changed', async () => {
      host.sh(
        'mkdir -p /etc/app; echo old >/etc/app/kept; chmod 600 /etc/app/kept; echo old-name >/etc/hostname; hostname old-name',
      );
      const before = withoutBackups(host.snapshot());
      const { steps } = interpret(BOOTSTRAP_DATA, METADATA);
      for (const step of steps) await host.remote.run(ctx, step.script);
      expect(host.sh('cat /etc/app/kept /srv/made/by/us/file; id -un ops; uname -n')).toBe(
        'old\nmore\nnew\nops\nnew-name\n',
      );
      await clean(host);
      await finishClean(ctx, host.remote);
      expect(withoutBackups(host.snapshot())).toEqual(before);
      expect(host.sh('ls /srv')).toBe('');
    });
  });

  describe.skipIf(!existsSync('/bin/busybox'))('with nothing but busybox (Debian: busybox)', () => {
    beforeEach(async () => {
      host = await startPrivateHost('busybox');
    });

    it('works as well', async () => {
      host.sh('mkdir -p /var/lib/docker /run/mount; echo data >/var/lib/docker/x');
      const before = host.snapshot();
      host.sh(`mkdir -p /etc/kubernetes/pki /var/lib/kubelet/pods/v /var/lib/cni/networks /run/netns /var/log/containers
        echo x >/etc/kubernetes/pki/ca.key; echo x >/var/lib/kubelet/config.yaml
        ln -s /nowhere /var/log/containers/a.log
        mount -t tmpfs tmpfs /var/lib/kubelet/pods/v
        ip link add cni0 type bridge
        cp /bin/busybox /bin/busybox-kubelet; touch /run/netns/cni-1
        echo '10.1.2.3 test-host # added by ts-provider' >>/etc/hosts`);
      expect(await occupants(host)).toEqual([
        'file /etc/hosts (a line of ts-provider)',
        'file /etc/kubernetes/pki',
        'file /var/lib/kubelet',
        'file /var/log/containers',
        'mount /var/lib/kubelet/pods/v',
        'network link cni0',
        'network network namespace cni-1',
      ]);
      const ended = await clean(host);
      expect(
        Object.values(ended).map(({ code }) => code),
        JSON.stringify(ended),
      ).toEqual(CLEAN.steps.map(() => 0));
      host.sh('rmdir /var/lib/kubelet; rm -f /bin/busybox-kubelet');
      expect(host.snapshot()).toEqual(before);
      expect(await occupants(host)).toEqual([]);
    });
  });
});

/** useradd keeps copies of what it changes. */
function withoutBackups(snapshot: readonly string[]): string[] {
  return snapshot.filter((line) => !/etc\/(passwd|shadow|group|gshadow|subuid|subgid)-/.test(line));
}

const METADATA = { instance_id: 'i', local_hostname: 'old-name', hostname: 'old-name', provider_id: 'p' };

const BOOTSTRAP_DATA = `#cloud-config
hostname: new-name
write_files:
- {path: /etc/app/kept, content: "more\\n", append: true}
- {path: /srv/made/by/us/file, content: "new\\n"}
- {path: /etc/systemd/system/kubelet.service.d/20-ours.conf, content: "x"}
users:
- {name: ops, groups: [admins], shell: /bin/sh, ssh_authorized_keys: [ssh-ed25519 AAAA x]}
`;

it('is a job that any host takes', () => {
  expect(() => planOf(CLEAN.steps)).not.toThrow();
  expect(CLEAN.owner).toBeUndefined();
  expect(CLEAN.steps.every(({ repeatable }) => repeatable)).toBe(true);
  // The address of a control plane moves before anything stops that answers behind it.
  const order = CLEAN.steps.map(({ id, onFailure }) => `${id} ${onFailure}`);
  expect(order.slice(0, 2)).toEqual(['virtual-ip continue', 'fence stop']);
});
