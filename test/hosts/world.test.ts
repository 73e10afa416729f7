// SPDX-License-Identifier: Apache-2.0
// The world that the other stories of this folder play in: are these machines that one could take for real ones?
import { readdirSync, readFileSync } from 'node:fs';
import { arch } from 'node:os';
import ssh2, { type ConnectConfig } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { ECHO_IMAGE } from '../../hack/hosts/images.ts';
import { podNetwork } from '../../hack/hosts/pod-network.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { VERSIONS } from '../../hack/stack/versions.ts';

let world: HostWorld;
let first: TestHost;
let second: TestHost;

beforeAll(async () => {
  world = await startHosts({ count: 2, behindBastion: ['host-2'] });
  [first, second] = world.hosts as [TestHost, TestHost];
}, 120_000);

afterAll(() => world?.close());

/** Standard output; throws with standard error when the command fails. */
async function run(host: TestHost, command: string, input?: string): Promise<string> {
  const options = { timeoutMs: 120_000, ...(input === undefined ? {} : { input }) };
  const { code, stdout, stderr } = await host.exec(['/bin/sh', '-c', command], options);
  if (code !== 0) throw new Error(`${host.name}: ${command}: ${code}: ${stderr}${stdout}`);
  return stdout.trim();
}

/** Connects, or fails with what the library says; the host must be the one that the world says. */
async function connect(
  to: Pick<TestHost, 'hostKey'>,
  config: ConnectConfig & { privateKey: string },
): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  client.on('error', () => undefined); // It may tell of more than one, and the first is enough.
  const expected = to.hostKey.split(' ')[1];
  const hostVerifier = (key: Buffer) => key.toString('base64') === expected;
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    client.connect({ readyTimeout: 5_000, ...config, hostVerifier });
  });
  return client;
}

async function say(client: ssh2.Client, command: string, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error !== undefined) return reject(error);
      let text = '';
      channel.on('data', (data: Buffer) => (text += String(data)));
      channel.on('close', () => resolve(text.trim()));
      channel.end(input);
    });
  });
}

describe('a host', () => {
  const direct = (username: string, privateKey: string) => ({
    host: first.address,
    port: first.sshPort,
    username,
    privateKey,
  });

  it('is clean when it is fresh', async () => {
    expect(await first.traces()).toEqual([]);
  });

  it('lets root in by key, under its own host key', async () => {
    const client = await connect(first, direct('root', world.privateKey));
    expect(await say(client, 'id -un; hostname')).toBe('root\nhost-1');
    client.end();
    await expect(connect({ hostKey: second.hostKey }, direct('root', world.privateKey))).rejects.toThrow();
    await expect(connect(first, direct('root', world.operator.privateKey))).rejects.toThrow(/auth/);
  });

  it('wants a password of the operator who uses sudo', async () => {
    const { user, privateKey, sudoPassword } = world.operator;
    const client = await connect(first, direct(user, privateKey));
    expect(await say(client, 'sudo -n id -un 2>&1')).toMatch(/password is required/);
    expect(await say(client, 'sudo -S -p "" id -un', `${sudoPassword}\n`)).toBe('root');
    client.end();
  });

  it('behind the bastion is reached through it and not directly', async () => {
    const target = { port: second.sshPort, username: 'root', privateKey: world.privateKey };
    await expect(connect(second, { ...target, host: second.address })).rejects.toThrow();
    const { address, port, user, privateKey } = world.bastion;
    const bastion = await connect(world.bastion, { host: address, port, username: user, privateKey });
    const sock = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
      bastion.forwardOut('127.0.0.1', 0, second.address, second.sshPort, (error, channel) =>
        error === undefined ? resolve(channel) : reject(error),
      );
    });
    const client = await connect(second, { ...target, sock });
    expect(await say(client, 'hostname')).toBe('host-2');
    client.end();
    bastion.end();
  });

  it('installs HAProxy from its distribution without a network', async () => {
    await run(second, 'apt-get install -y haproxy');
    expect(await run(second, 'systemctl is-active haproxy')).toBe('active');
    expect(await second.traces()).toContain('package haproxy');
    await run(second, 'apt-get purge -y --autoremove haproxy; rm -rf /var/lib/haproxy');
    await run(second, 'sed -i "/^haproxy:/d" /etc/passwd /etc/group /etc/shadow /etc/gshadow');
  });
});

describe('troubles of a host', () => {
  const connected = () =>
    connect(first, {
      host: first.address,
      username: 'root',
      privateKey: world.privateKey,
      readyTimeout: 1_000,
    }).then((client) => client.end());

  it.each(['all', 'ssh'] as const)('a cut link (%s) hangs until it is mended', async (what) => {
    await first.cutLink({ what });
    await expect(connected()).rejects.toThrow();
    await first.mendLink();
    await expect.poll(() => connected().then(() => 'up'), { timeout: 10_000 }).toBe('up');
  });

  it('a frozen one takes connections and does not answer', async () => {
    await first.freeze();
    await expect(connected()).rejects.toThrow(/[Tt]imed out/);
    await first.thaw();
    await connected();
  });

  it('a crash keeps the disk and loses what runs, and its boot id', async () => {
    const bootID = await run(first, 'touch /root/kept /run/lost; cat /proc/sys/kernel/random/boot_id');
    await first.crash();
    await expect(first.exec(['true'])).rejects.toThrow('host-1 is off');
    await first.boot();
    expect(await run(first, 'cat /proc/sys/kernel/random/boot_id')).not.toBe(bootID);
    expect(await first.traces()).toEqual(['file /root/kept']);
    await run(first, 'rm /root/kept');
  });

  it('comes back by itself when it reboots', async () => {
    await run(second, 'touch /run/before; systemctl reboot');
    const back = async () => (await second.exec(['sh', '-c', 'test ! -e /run/before'])).code === 0;
    await waitUntil(back, { what: 'host-2 to come back', timeoutMs: 30_000 });
    await waitUntil(async () => (await run(second, 'systemctl is-system-running || true')) === 'running', {
      what: 'host-2 to be up',
      timeoutMs: 30_000,
    });
  });
});

describe('kubeadm by hand', () => {
  const kubectl = (args: string, input?: string) =>
    run(first, `kubectl --kubeconfig=/etc/kubernetes/admin.conf ${args}`, input);

  /** What a KubeadmConfig would do before kubeadm. */
  async function bringPodNetwork(host: TestHost): Promise<void> {
    const { files, preKubeadmCommands } = podNetwork();
    for (const { path, content } of files)
      await run(host, `mkdir -p "$(dirname ${path})" && cat >${path}`, content);
    for (const command of preKubeadmCommands) await run(host, command);
  }

  it('makes a cluster of both whose Nodes are Ready', { timeout: 180_000 }, async () => {
    await Promise.all([first, second].map(bringPodNetwork));
    await run(first, 'cat >/root/init.yaml', initConfiguration());
    await run(first, 'kubeadm init --config=/root/init.yaml');
    const join = await run(first, 'kubeadm token create --print-join-command');
    await run(second, `${join} --ignore-preflight-errors=SystemVerification`);
    const jsonPath = '-o jsonpath=\'{.items[*].status.conditions[?(@.type=="Ready")].status}\'';
    const ready = async () => (await kubectl(`get nodes ${jsonPath}`)) === 'True True';
    await waitUntil(ready, { what: 'two Nodes to be Ready', timeoutMs: 60_000, pollMs: 500 });
  });

  it(
    'serves a Deployment through a Service, by name and from the other node',
    { timeout: 120_000 },
    async () => {
      await kubectl('taint node host-1 node-role.kubernetes.io/control-plane-');
      await kubectl('apply --filename=-', echo());
      await kubectl('rollout status deployment/echo --timeout=60s');
      await kubectl('-n kube-system rollout status deployment/coredns --timeout=60s');
      const pods = (await kubectl("get pods -l app=echo -o jsonpath='{.items[*].metadata.name}'")).split(' ');
      const nodes = await kubectl("get pods -l app=echo -o jsonpath='{.items[*].spec.nodeName}'");
      expect(nodes.split(' ').sort()).toEqual(['host-1', 'host-2']);
      const answers = new Set<string>();
      const asked = async () => {
        answers.add(await kubectl(`exec ${pods[0]} -- /echo get http://echo.default.svc.cluster.local/`));
        return answers.size === 2;
      };
      await waitUntil(asked, { what: 'both pods to answer', timeoutMs: 60_000 });
      expect([...answers].sort()).toEqual([...pods].sort());
      expect(await kubectl(`exec ${pods[1]} -- /echo env`)).toContain(`HOSTNAME=${pods[1]}`);
      expect(await kubectl(`logs ${pods[1]}`)).toMatch(/^serving on :8080/);
    },
  );

  it('leaves traces that are seen', async () => {
    const traces = await second.traces();
    const kinds = [
      'process /usr/bin/kubelet',
      'process /usr/local/bin/kube-proxy',
      'port tcp *:10250 kubelet',
      'mount /var/lib/kubelet/pods/',
      'link cni0',
      'rule nft nat KUBE-SERVICES',
      'file /var/lib/kubelet/config.yaml',
      'file /etc/kubernetes',
      'file /etc/cni',
      'file /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/',
    ];
    expect(kinds.filter((kind) => !traces.some((trace) => trace.startsWith(kind)))).toEqual([]);
  });
});

it('closing leaves nothing', async () => {
  await world.close();
  expect(readdirSync(process.env['TS_PROVIDER_HOSTS_DIR'] ?? '')).toEqual([]);
  expect(readdirSync('/run/netns')).toEqual([]);
  expect(readFileSync('/proc/net/dev', 'utf8')).not.toMatch(/hosts0|cable/);
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  expect(others.length).toBeLessThan(30);
});

function initConfiguration(): string {
  const kubeadm = 'kubeadm.k8s.io/v1beta4';
  const init = {
    apiVersion: kubeadm,
    kind: 'InitConfiguration',
    nodeRegistration: { ignorePreflightErrors: ['SystemVerification'] },
  };
  const cluster = {
    apiVersion: kubeadm,
    kind: 'ClusterConfiguration',
    kubernetesVersion: VERSIONS.kubernetes,
  };
  const kubelet = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
  };
  const proxy = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    conntrack: { maxPerCore: 0, min: 0 },
  };
  return [init, cluster, kubelet, proxy].map((document) => stringify(document)).join('---\n');
}

function echo(): string {
  const labels = { app: 'echo' };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: { matchLabels: labels },
  };
  const pod = {
    nodeSelector: { 'kubernetes.io/arch': arch() === 'x64' ? 'amd64' : arch() },
    topologySpreadConstraints: [spread],
    containers: [{ name: 'echo', image: ECHO_IMAGE }],
  };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'echo' },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'echo' },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
  };
  return [deployment, service].map((document) => stringify(document)).join('---\n');
}
