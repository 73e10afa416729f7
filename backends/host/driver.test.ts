// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TerminalError } from '../../runtime/errors.ts';
import type { BootstrapJob, HostAccess } from '../host-driver.ts';
import { createHostDriver, isForsaken, type SshHostDriver } from './driver.ts';
import { quietContext } from './job/local-host.fixtures.ts';
import { progressOf } from './job/progress.ts';
import { type PrivateHost, startPrivateHost, whyNoPrivateHost } from './private-host.fixtures.ts';
import type { SshPool } from './ssh/pool.ts';
import type { RemoteHost } from './ssh/remote-host.ts';

const ctx = quietContext();
const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`The driver is not tried on a host of its own: ${whyNot}.`);

const ID = 'tshost://default/host-1/0a1b2c3d';
const access: HostAccess = {
  ...{ key: 'default/host-1', address: '10.0.0.7', port: 22, user: 'root' },
  ...{ credentials: {}, hostKeys: [], trustOnFirstUse: false },
};

function poolOf(remote: RemoteHost): SshPool {
  const stats = { connections: 1, connecting: 0, sessions: 0, waiting: 0 };
  return { host: () => remote, disconnect() {}, stats: () => stats, close: async () => {} };
}

const DATA = `## template: jinja
#cloud-config

write_files:
- path: /run/kubeadm/kubeadm-join-config.yaml
  owner: root:root
  permissions: '0640'
  content: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: JoinConfiguration
    nodeRegistration:
      name: '{{ ds.meta_data.local_hostname }}'
- path: /run/cluster-api/placeholder
  content: x
- path: /etc/app/binary
  encoding: base64
  content: //79/A==
runcmd:
- "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml && echo success > /run/cluster-api/bootstrap-success.complete"
`;

const OTHER_PROVIDER_ID = `#cloud-config
write_files:
- path: /k
  content: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: JoinConfiguration
    nodeRegistration: {kubeletExtraArgs: [{name: provider-id, value: other}]}
`;

function jobOf(data: string, rest: Partial<BootstrapJob> = {}): BootstrapJob {
  return {
    id: 'bootstrap-1-0a1b2c3d',
    owner: { token: '0a1b2c3d', generation: 1 },
    providerID: ID,
    nodeAddress: '10.0.0.7',
    data: { format: 'cloud-config', value: Buffer.from(data) },
    ...rest,
  };
}

/** A host that answers by rote, and remembers what it was asked. */
function rote(answers: readonly string[]): { driver: SshHostDriver; scripts: string[] } {
  const scripts: string[] = [];
  const run: RemoteHost['run'] = async (_ctx, script) => {
    scripts.push(script);
    return { exitCode: 0, stdout: answers[scripts.length - 1] ?? '', stderr: '' };
  };
  return { driver: createHostDriver({ pool: poolOf({ run, seenKeys: {} }) }), scripts };
}

const NONE = 'none\nend of answer\n';

describe('a bootstrap', () => {
  it.each([
    ['Ignition', jobOf('{}', { data: { format: 'ignition', value: Buffer.from('{}') } }), /Ignition/],
    ['a module that is not known', jobOf('#cloud-config\npackages: [x]\n'), /packages/],
    [
      'a variable that nobody knows',
      jobOf('## template: jinja\n#cloud-config\nruncmd: [{{ ds.meta_data.nope }}]\n'),
      /nope/,
    ],
    ['another providerID', jobOf(OTHER_PROVIDER_ID), /provider-id/],
  ])('is refused before the host is touched: %s', async (_what, job, message) => {
    const { driver, scripts } = rote([NONE, 'host-1\n']);
    const refused = driver.bootstrap(ctx, access, job);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ reason: 'BootstrapDataUnsupported' });
    expect(scripts.slice(1)).toEqual(job.data.format === 'ignition' ? [] : ['uname -n\n']);
  });

  it('looks first: one that has begun needs no data', async () => {
    const { driver, scripts } = rote(['lock free\njournal done succeeded\nend of answer\n']);
    expect(await driver.bootstrap(ctx, access, jobOf('broken'))).toEqual({ state: 'succeeded' });
    expect(scripts).toHaveLength(1);
  });

  it('needs a name of the host', async () => {
    const { driver } = rote([NONE, '(none)\n']);
    await expect(driver.bootstrap(ctx, access, jobOf(DATA))).rejects.toBeInstanceOf(TerminalError);
  });

  it('is started again when a reboot has ended it', async () => {
    const { driver, scripts } = rote([
      'lock free\nplan 001 write_files write_files yes continue h\njournal begin\nend of answer\n',
      'host-1\n',
      'ts-provider: stopped\n',
      'ts-provider: started\n',
    ]);
    const progress = await driver.bootstrap(ctx, access, jobOf(DATA));
    expect(progress).toMatchObject({ state: 'running', stage: 'write_files' });
    expect(scripts).toHaveLength(4);
  });

  it.each([
    ['lock held\nplan 001 a a yes stop h\njournal begin\n', false],
    ['lock free\nplan 001 a a yes stop h\njournal begin\n', true],
    ['lock free\nplan 001 a a yes stop h\njournal done failed StepFailed a 1\n', false],
  ])('is forsaken when its lock is free and it has not ended: %j', (answer, expected) => {
    expect(isForsaken(progressOf(answer))).toBe(expected);
  });
});

/** Stands in for kubeadm: keeps what it was given, and fails where the test says so. */
const KUBEADM = `#!/bin/sh
[ "$1" = join ] || exit 0
mkdir -p /etc/kubernetes
cp "$3" /etc/kubernetes/kubelet.conf
if [ -e /tmp/broken ]; then echo 'error: token abcdef.0123456789abcdef refused'; exit 7; fi
`;

describe.skipIf(whyNot !== undefined)('on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;
  let driver: SshHostDriver;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    driver = createHostDriver({ pool: poolOf(host.remote) });
    host.sh(`mkdir -p /run/mount
cat >/usr/local/bin/kubeadm <<'END'
${KUBEADM}END
chmod 755 /usr/local/bin/kubeadm`);
  });

  afterEach(() => host.close());

  async function settled(work: () => ReturnType<SshHostDriver['bootstrap']>) {
    await expect.poll(async () => (await work()).state, { timeout: 30_000 }).not.toBe('running');
    return await work();
  }

  it('makes a node of it, and a clean host of the node', async () => {
    const before = host.snapshot();
    expect((await driver.probe(ctx, access)).occupants).toEqual([]);
    expect(await driver.progress(ctx, access, jobOf(DATA).id)).toEqual({ state: 'none' });
    expect(await settled(() => driver.bootstrap(ctx, access, jobOf(DATA)))).toEqual({ state: 'succeeded' });
    expect(await driver.progress(ctx, access, jobOf(DATA).id)).toEqual({ state: 'succeeded' });
    expect(host.sh('cat /etc/kubernetes/kubelet.conf')).toMatch(
      /name: 'test-host'\n +kubeletExtraArgs:\n +- name: provider-id\n +value: tshost:\/\/default\/host-1\/0a1b2c3d\n$/,
    );
    expect(host.sh('od -An -tx1 /etc/app/binary').trim()).toBe('ff fe fd fc');
    expect(host.sh('getent hosts test-host')).toMatch(/^10\.0\.0\.7\s+test-host/);
    const report = await driver.probe(ctx, access);
    expect(report.owner).toEqual({ token: '0a1b2c3d', generation: 1 });
    expect(report.occupants.map(({ what }) => what)).toEqual([
      '/etc/hosts (a line of ts-provider)',
      '/etc/kubernetes/kubelet.conf',
      '/run/cluster-api',
      '/run/kubeadm',
      '/var/lib/ts-provider',
    ]);
    const later = jobOf(DATA, { id: 'bootstrap-2-ffffffff', owner: { token: 'ffffffff', generation: 2 } });
    await expect(driver.bootstrap(ctx, access, later)).rejects.toMatchObject({
      reason: 'HostClaimedElsewhere',
    });

    expect(await settled(() => driver.clean(ctx, access, 'clean-1-1'))).toEqual({ state: 'succeeded' });
    await driver.finishClean(ctx, access);
    expect((await driver.probe(ctx, access)).occupants).toEqual([]);
    expect(host.snapshot()).toEqual(before);
    expect(await driver.progress(ctx, access, 'clean-1-1')).toEqual({ state: 'none' });
  });

  it('tells why a bootstrap failed, without its secrets, and cleans after it', async () => {
    host.sh('touch /tmp/broken');
    const before = host.snapshot();
    const failed = await settled(() => driver.bootstrap(ctx, access, jobOf(DATA)));
    expect(failed).toMatchObject({ state: 'failed', stage: 'runcmd' });
    expect(JSON.stringify(failed)).toMatch(/token \*\*\* refused/);
    expect(await settled(() => driver.clean(ctx, access, 'clean-1-1'))).toEqual({ state: 'succeeded' });
    await driver.finishClean(ctx, access);
    expect(host.snapshot()).toEqual(before);
  });
});
