// SPDX-License-Identifier: Apache-2.0
// The whole preparation from packages on systems of other families: the real dnf and zypper, on roots that say they are Rocky or SUSE.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import type { PreparationInput } from '../../preparation/input.ts';
import { prepare } from '../../preparation/plan.ts';
import { planScript } from '../../preparation/script.ts';
import { inputOf } from '../../preparation/steps/input.fixtures.ts';
import { becomeSystem, MAKE_REPOSITORIES, OLDER, SERVER } from './families/repositories.ts';

const TOOLS = ['dnf', 'zypper', 'rpmbuild', 'rpmsign', 'createrepo_c', 'gpg'];

const SYSTEMS = [
  ['rocky-9', 'rhel'],
  ['almalinux-9', 'rhel'],
  ['opensuse-leap-15.6', 'suse'],
  ['sles-15.6', 'suse'],
] as const;

const OS_RELEASES = join(import.meta.dirname, '..', '..', 'preparation', 'testdata', 'os-release');

const missing = TOOLS.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
const whyNot =
  whyNoPrivateHost() ??
  (missing.length > 0
    ? `missing are ${missing.join(', ')} (Debian: dnf zypper rpm createrepo-c gnupg)`
    : undefined);

console.log(
  [
    whyNot === undefined
      ? 'RHEL family, SUSE: dnf 4 and zypper of Debian run; systemd, SELinux and the programs in the packages do not'
      : `RHEL family, SUSE: nothing runs: ${whyNot}`,
    'Flatcar: does not run here, it is an image with its own kernel and no packages; its detection and its scripts are tested',
    'SELinux: does not run here, it is a part of the kernel that this computer has not got',
    'yum of RHEL 7: does not run here, and Kubernetes does not run on its kernel',
  ].join('\n'),
);

describe.skipIf(whyNot !== undefined).each(SYSTEMS)('%s, prepared from packages', (system, family) => {
  let host: PrivateHost;

  beforeAll(async () => {
    host = await startPrivateHost('system');
    host.sh(MAKE_REPOSITORIES);
    host.sh(becomeSystem(readFileSync(join(OS_RELEASES, system), 'utf8'), family));
  });
  afterAll(() => host?.close());

  beforeEach(() => {
    host.sh(`${HANDS_OFF}; rm -rf /var/lib/ts-provider /etc/containerd; rm -f /etc/pki/rpm-gpg/ts-provider-* /etc/yum.repos.d/ts-provider-* /etc/zypp/repos.d/ts-provider-*
      rpm -e --nodeps $(rpm -qa --qf '%{NAME}\\n' | grep -v -e gpg-pubkey -e filesystem) >/dev/null 2>&1 || true`);
  });

  const HANDS_OFF =
    family === 'suse'
      ? 'zypper --non-interactive removelock kubelet kubeadm kubectl >/dev/null 2>&1 || true'
      : ':';

  async function run(
    kubernetesVersion: string,
    spec: PreparationInput['spec'] = {},
  ): Promise<{ code: number | undefined; said: string }> {
    const packages = { kubernetes: { baseURL: SERVER }, containerRuntime: { baseURL: SERVER } };
    const preparation = prepare(inputOf({ source: { packages }, ...spec }, { kubernetesVersion }));
    // systemd is not the first process here, which preflight would say.
    const steps = preparation.steps.filter(({ id }) => id !== 'preflight');
    const { exitCode, stdout, stderr } = await host.remote.run(
      quietContext(),
      planScript({ steps, hash: preparation.hash }),
    );
    return { code: exitCode, said: stdout + stderr };
  }

  /** Without the logs of those who were only asked. */
  const snapshot = (): string[] =>
    host.snapshot().filter((line) => !/var\/log\/(dnf|hawkey|zypper|zypp)/.test(line));
  const versions = (): string =>
    host.sh("rpm -q --qf '%{VERSION}\\n' kubelet kubeadm kubectl | sort -u; kubelet --version");
  const complete = (): string =>
    host.sh('cut -d " " -f 2 /var/lib/ts-provider/preparation/complete 2>/dev/null || true').trim();

  it('has exactly the version that was asked for, and changes nothing the second time', async () => {
    const first = await run('v1.36.3');
    expect(first.said).toMatch(/complete: applied\n$/);
    expect(first.code).toBe(0);
    expect(versions()).toBe('1.36.3\nKubernetes v1.36.3\n');
    expect(complete()).toBe('v1.36.3');
    const before = snapshot();
    const second = await run('v1.36.3');
    expect(second.code).toBe(0);
    expect(second.said.split('\n').filter((line) => line !== '' && !line.endsWith(': in place'))).toEqual([]);
    expect(snapshot()).toEqual(before);
  });

  it('keeps it when everything is updated, and goes down and up when that is asked for', async () => {
    const first = await run('v1.36.3');
    expect(first.code, first.said).toBe(0);
    host.sh(
      family === 'rhel'
        ? 'dnf -y -q upgrade >/dev/null 2>&1'
        : 'zypper --non-interactive update >/dev/null 2>&1',
    );
    expect(versions()).toBe('1.36.3\nKubernetes v1.36.3\n');
    expect((await run(`v${OLDER}`)).code).toBe(0);
    expect(versions()).toBe(`${OLDER}\nKubernetes v${OLDER}\n`);
    expect(complete()).toBe(`v${OLDER}`);
    expect((await run('v1.36.4')).code).toBe(0);
    expect(versions()).toBe('1.36.4\nKubernetes v1.36.4\n');
  });

  it('writes down what it installed, and nothing that was there before', async () => {
    host.sh(
      family === 'rhel'
        ? 'dnf -y -q install socat >/dev/null 2>&1'
        : 'zypper --non-interactive install socat >/dev/null 2>&1',
    );
    await run('v1.36.3');
    const installed = host
      .sh("sed -n 's/^package //p' /var/lib/ts-provider/preparation/installed")
      .split('\n');
    expect(installed).toEqual(expect.arrayContaining(['kubelet', 'kubeadm', 'kubectl', 'conntrack-tools']));
    expect(installed).not.toContain('socat');
  });

  it('says which version is not there, and which is', async () => {
    const { code, said } = await run('v1.36.9');
    expect(code, said).toBe(77);
    expect(said).toMatch(/error: .*kubelet.*1\.36\.9/);
    expect(said).toContain('1.36.3');
    expect(complete()).toBe('');
  });

  it('trusts no repository whose key is missing or another one', async () => {
    host.sh('mv /srv/web/v1.36/rpm/repodata/repomd.xml.key /srv/key-away');
    const none = await run('v1.36.3');
    host.sh('mv /srv/key-away /srv/web/v1.36/rpm/repodata/repomd.xml.key');
    expect(none.code).toBe(76);
    expect(none.said).toMatch(/error: .*v1\.36\/rpm\/: its key is not at .*repomd\.xml\.key/);

    const source = { baseURL: SERVER, key: host.sh('cat /srv/other.asc') };
    const packages = { kubernetes: source, containerRuntime: source };
    // What rpm has trusted once, it trusts for every repository.
    host.sh(`rpm -e --allmatches gpg-pubkey 2>/dev/null || true; rm -rf /var/cache/dnf /var/cache/zypp`);
    const other = await run('v1.36.3', { source: { packages } });
    host.sh('rpm --import /srv/key.asc');
    expect(other.code).toBe(76);
    expect(other.said).toContain('the key of the repository is missing or wrong');
    expect(host.sh('rpm -q kubelet || true')).toContain('not installed');
  });

  it('says which server does not answer', async () => {
    const packages = {
      kubernetes: { baseURL: 'http://127.0.0.1:8098', key: host.sh('cat /srv/key.asc') },
      containerRuntime: { baseURL: SERVER },
    };
    const { code, said } = await run('v1.36.3', { source: { packages } });
    expect(code, said).toBe(72);
    expect(said).toContain('127.0.0.1:8098');
  });
});
