// SPDX-License-Identifier: Apache-2.0
// A preparation that really wrote to a host: what a probe says of it, and what a clean-up leaves.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isFile, writeFile } from '../../../preparation/shell.ts';
import { stepScript } from '../../../preparation/script.ts';
import type { PreparationStep } from '../../../preparation/step.ts';
import { completeSteps } from '../../../preparation/steps/complete.ts';
import { systemSteps } from '../../../preparation/steps/system.ts';
import { quietContext } from '../job/local-host.fixtures.ts';
import { type PrivateHost, startPrivateHost, whyNoPrivateHost } from '../private-host.fixtures.ts';
import { probeHost } from '../probe/probe.ts';
import { cleanJob } from './clean-job.ts';
import { finishClean } from './finish.ts';

const ctx = quietContext();
const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`Clean-up of a preparation is not tried: ${whyNot}.`);

const HASH = '0123456789abcdef';

const INPUT = {
  kubernetesVersion: 'v1.36.3',
  spec: {},
  secrets: { registries: {} },
  packages: [],
  network: { podCIDRs: [], serviceCIDRs: [], serviceDomain: 'cluster.local' },
  mustServe: [],
};

const HOSTS_TOML = {
  path: '/etc/containerd/certs.d/registry.k8s.io/hosts.toml',
  mode: 0o600,
  content: 'server = "https://mirror"\n[header]\nauthorization = "Basic c2VjcmV0"\n',
};
const CONFIG_TOML = { path: '/etc/containerd/config.toml', mode: 0o644, content: 'version = 3\n' };

/** Two steps that look after the same file, as the one that writes it and the one whose service reads it. */
const CONFIGURATION: readonly PreparationStep[] = [
  ...systemSteps(INPUT).filter(({ id }) => id === 'journald'),
  step('runtime_config', 'restart', `${isFile(CONFIG_TOML)}\n`, writeFile(CONFIG_TOML)),
  step('registries', 'none', `${isFile(HOSTS_TOML)}\n`, writeFile(HOSTS_TOML)),
  step('runtime_service', 'restart', `lay ${CONFIG_TOML.path}\n`, ':\n'),
];

const COMPLETE = completeSteps(INPUT);

/** A program, and packages that cannot be removed as long as /tmp/stuck is there. */
const SOFTWARE = step(
  'runtime',
  'restart',
  '[ -x /opt/tools/runc ]\n',
  'software_folder /opt/tools\nnote_installed file /opt/tools/runc\nnote_installed package conntrack\n: >/opt/tools/runc && chmod 755 /opt/tools/runc\n',
);

/** Stand-ins for a package manager: the folder with what it knows is not on this host. */
const PACKAGE_MANAGER = `
printf 'ID=debian\\n' >/etc/os-release
printf '#!/bin/sh\\n[ -e /opt/conntrack ] && echo installed 1.0\\n' >/usr/local/bin/dpkg-query
printf '#!/bin/sh\\n[ "$1" != --purge ] || { [ ! -e /tmp/stuck ] && rm -f /opt/conntrack; }\\n' >/usr/local/bin/dpkg
chmod 755 /usr/local/bin/dpkg-query /usr/local/bin/dpkg
: >/opt/conntrack
`;

function step(id: string, impact: PreparationStep['impact'], check: string, apply: string): PreparationStep {
  return { id, impact, deadlineSeconds: 60, check, apply };
}

describe.skipIf(whyNot !== undefined)('a host that was prepared', { timeout: 60_000 }, () => {
  let host: PrivateHost;
  let before: string[];
  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh('mkdir -p /etc/containerd && echo "version = 2" >/etc/containerd/config.toml; : >/etc/fstab');
    before = host.snapshot();
  });
  afterEach(() => host.close());

  async function prepare(steps: readonly PreparationStep[]): Promise<void> {
    for (const one of steps) {
      const { exitCode, stderr } = await host.remote.run(ctx, stepScript(one, HASH));
      expect(`${one.id} ${exitCode} ${stderr}`).toBe(`${one.id} 0 `);
    }
  }

  async function clean(): Promise<void> {
    for (const { script } of cleanJob('clean-1-1').steps) await host.remote.run(ctx, script);
    await finishClean(ctx, host.remote);
  }

  const report = async () => (await probeHost(ctx, host.remote)).preparation;
  const occupants = async () => (await probeHost(ctx, host.remote)).occupants.map(({ what }) => what);
  /** Of what an installed kubelet would say, which is not on this host. */
  const ofFiles = (drifted: readonly { path: string; step: string; impact: string }[] = []) =>
    drifted.filter(({ path }) => path.startsWith('/')).map((one) => `${one.step} ${one.impact} ${one.path}`);

  it('says so, with the hash and the version, and that nothing has drifted', async () => {
    expect(await report()).toBeUndefined();
    await prepare(CONFIGURATION);
    expect(await report()).toMatchObject({ hash: HASH, version: '', complete: false });
    await prepare(COMPLETE);
    expect(await report()).toMatchObject({ hash: HASH, version: 'v1.36.3', complete: true });
    expect(ofFiles((await report())?.drifted)).toEqual([]);
  });

  it('says of which steps a file is that was changed, or taken away', async () => {
    await prepare([...CONFIGURATION, ...COMPLETE]);
    host.sh(`echo '# mine' >>${CONFIG_TOML.path}; rm ${HOSTS_TOML.path}`);
    expect(ofFiles((await report())?.drifted)).toEqual([
      `registries none ${HOSTS_TOML.path}`,
      `runtime_config restart ${CONFIG_TOML.path}`,
      `runtime_service restart ${CONFIG_TOML.path}`,
    ]);
    const repair = [...CONFIGURATION, ...COMPLETE].filter(({ id }) => /registries|runtime|complete/.test(id));
    await prepare(repair);
    expect(ofFiles((await report())?.drifted)).toEqual([]);
    expect((await report())?.complete).toBe(true);
  });

  it('is as it was after a clean-up, but for its software', async () => {
    host.sh(PACKAGE_MANAGER);
    before = host.snapshot();
    await prepare([SOFTWARE, ...CONFIGURATION, ...COMPLETE]);
    await clean();
    // What is not there makes it fail.
    host.sh('ls /opt/conntrack /opt/tools/runc && rm -r /opt/tools');
    expect(host.snapshot()).toEqual(before);
    expect(await occupants()).toEqual([]);
  });

  it('is not cleaned under a package manager that apt has given a session of its own', async () => {
    host.sh(`cd /tmp; printf '#!/bin/sh\nsleep 2; : >/tmp/configured\n' >dpkg
      printf '#!/bin/sh\nsetsid /tmp/dpkg 9>&-\n' >apt-get; chmod 755 dpkg apt-get
      job=/var/lib/ts-provider/jobs/prepare-1-1-01234567; mkdir -p "$job"; echo begin >"$job/journal"
      exec 9>>"$job/lock"; /tmp/apt-get </dev/null >/dev/null 2>&1 & sleep 0.3`);
    const fence = cleanJob('clean-1-1').steps.find(({ id }) => id === 'fence')!;
    expect((await host.remote.run(ctx, fence.script)).exitCode).toBe(0);
    host.sh('[ -e /tmp/configured ]');
  });

  it('keeps no software of a preparation that did not come to its end', async () => {
    await prepare([SOFTWARE, ...CONFIGURATION]);
    host.sh(PACKAGE_MANAGER);
    await clean();
    host.sh('[ ! -e /opt/tools ] && [ ! -e /opt/conntrack ]');
    expect(await occupants()).toEqual([]);
    expect(await report()).toBeUndefined();
  });

  it('stays out of the pool while such software cannot be removed, and another clean-up removes it', async () => {
    await prepare([SOFTWARE]);
    host.sh(`${PACKAGE_MANAGER}: >/tmp/stuck`);
    await clean();
    expect(await occupants()).toEqual([
      '/var/lib/ts-provider',
      '/var/lib/ts-provider/preparation/installed (software of a preparation that did not come to its end)',
    ]);
    host.sh('[ ! -e /var/lib/ts-provider/owner ] && rm /tmp/stuck');
    await clean();
    expect(await occupants()).toEqual([]);
  });
});
