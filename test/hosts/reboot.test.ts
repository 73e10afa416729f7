// SPDX-License-Identifier: Apache-2.0
// A real systemd with a real kubelet and containerd, rebooted by the driver over SSH although what runs there hangs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createHostDriver, type SshHostDriver } from '../../backends/host/driver.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import { createSshPool } from '../../backends/host/ssh/pool.ts';
import type { HostAccess, JobProgress, RebootAnswer } from '../../backends/host-driver.ts';
import { ECHO_IMAGE } from '../../hack/hosts/images.ts';
import { type HostWorld, startHosts, type TestHost } from '../../hack/hosts/world.ts';
import { pause, waitUntil } from '../../hack/stack/process.ts';
import { systemClock } from '../../runtime/clock.ts';

const ctx = quietContext();
const owner = { token: '0a1b2c3d', generation: 1 };
let world: HostWorld;
let host: TestHost;
let driver: SshHostDriver;
let access: HostAccess;

beforeAll(async () => {
  world = await startHosts({ count: 1, behindBastion: [] });
  [host] = world.hosts as [TestHost];
  driver = createHostDriver({ pool: createSshPool({ clock: systemClock }) });
  access = {
    ...{ key: `default/${host.name}`, address: host.address, port: host.sshPort, user: 'root' },
    ...{ credentials: { privateKey: world.privateKey }, hostKeys: [host.hostKey], trustOnFirstUse: false },
  };
  await standaloneKubelet();
}, 120_000);

afterAll(async () => {
  await driver?.close();
  await world?.close();
});

async function run(command: string, input = ''): Promise<string> {
  const { code, stdout, stderr } = await host.exec(['/bin/sh', '-c', command], { input });
  if (code !== 0) throw new Error(`${command}: ${code}: ${stderr}${stdout}`);
  return stdout.trim();
}

/** A kubelet without a cluster, and a pod of its own. */
async function standaloneKubelet(): Promise<void> {
  const config = {
    ...{ apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' },
    ...{ cgroupDriver: 'cgroupfs', failCgroupV1: false, failSwapOn: false },
    staticPodPath: '/etc/kubernetes/manifests',
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
  };
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'echo' } },
    spec: { hostNetwork: true, containers: [{ name: 'echo', image: ECHO_IMAGE }] },
  };
  await run('mkdir -p /etc/kubernetes/manifests && echo KUBELET_KUBECONFIG_ARGS= >/etc/default/kubelet');
  await run('cat >/etc/kubernetes/manifests/echo.yaml', stringify(pod));
  await run('cat >/var/lib/kubelet/config.yaml', stringify(config));
  await run('systemctl restart kubelet');
  await podRuns();
}

const processes = (name: string) => run(`pgrep -cx ${name} || true`).then(Number);
const podRuns = () =>
  waitUntil(async () => (await processes('echo')) === 1, { what: 'the pod to run', timeoutMs: 60_000 });
const kubeletRuns = () =>
  waitUntil(async () => (await run('systemctl is-active kubelet || true')) === 'active', {
    what: 'the kubelet to run',
    timeoutMs: 30_000,
  });
const bootID = async () => (await driver.probe(ctx, access)).facts.bootID;

/** Asks until the boot is over, as the TSHost controller does; answers how long that took. */
async function endBoot(holdKubelet: boolean): Promise<{ answer: RebootAnswer; seconds: number }> {
  const request = { owner, fromBootID: await bootID(), holdKubelet };
  const startedMs = Date.now();
  let answer: RebootAnswer = 'asked';
  const over = async () => {
    answer = await driver
      .reboot({ ...ctx, signal: AbortSignal.timeout(5_000) }, access, request)
      .catch(() => 'asked');
    return answer !== 'asked';
  };
  await waitUntil(over, { what: 'the host to leave its boot', timeoutMs: 120_000, pollMs: 500 });
  return { answer, seconds: (Date.now() - startedMs) / 1_000 };
}

describe('a host that is asked to reboot', () => {
  it('leaves its boot, and has its pods back', { timeout: 120_000 }, async () => {
    const before = await bootID();
    const { answer, seconds } = await endBoot(false);
    expect(answer).toBe('done');
    expect(await bootID()).not.toBe(before);
    await podRuns();
    console.log(`a healthy host: ${seconds} s from the request to another boot`);
  });

  it(
    'with a kubelet that is frozen, whose pods do not come back before it is let go',
    { timeout: 240_000 },
    async () => {
      await kubeletRuns();
      await run('kill -STOP "$(pgrep -x kubelet)"');
      const { answer, seconds } = await endBoot(true);
      expect(answer).toBe('held');
      console.log(`a frozen kubelet: ${seconds} s`);
      await pause(12_000); // systemd would have started it again after ten.
      expect([await processes('kubelet'), await processes('echo')]).toEqual([0, 0]);
      expect(await run('systemctl show kubelet --property=ConditionResult')).toBe('ConditionResult=no');
      await driver.releaseKubelet(ctx, access, owner);
      await kubeletRuns();
      await podRuns();
      expect(await run('ls /etc/systemd/system/kubelet.service.d 2>&1 || true')).toMatch(/No such file/);
    },
  );

  it('without a containerd', { timeout: 240_000 }, async () => {
    await run('systemctl mask --runtime containerd && kill -KILL "$(pgrep -x containerd)"');
    const { answer, seconds } = await endBoot(true);
    expect(answer).toBe('held');
    console.log(`a killed containerd: ${seconds} s`);
    await driver.releaseKubelet(ctx, access, owner);
    await podRuns();
  });

  it('is clean afterwards, also when its kubelet is still held', { timeout: 240_000 }, async () => {
    await endBoot(true);
    const clean = () => driver.clean(ctx, access, 'clean-1-1', owner);
    let progress: JobProgress = await clean();
    const ended = async () => (progress = await clean()).state !== 'running';
    await waitUntil(ended, { what: 'the clean-up to end', timeoutMs: 120_000, pollMs: 500 });
    expect(progress).toEqual({ state: 'succeeded' });
    await driver.finishClean(ctx, access, owner);
    await run('rm -f /etc/default/kubelet');
    expect((await driver.probe(ctx, access)).occupants).toEqual([]);
    expect((await host.traces()).filter((line) => !line.includes('/run/xtables.lock'))).toEqual([]);
  });
});
