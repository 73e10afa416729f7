// SPDX-License-Identifier: Apache-2.0
// What the stock provider renders wrongly, or cannot render, and we can; and what only we refuse. Most are rows of intended.ts.
import type { KubeadmConfigSpec } from '../../../api/kubeadmconfig.ts';
import type { Scenario } from '../scenario.ts';
import { init, workerJoin } from './builders.ts';
import { TOKEN } from './specs.ts';

/** Fields that the stock provider puts into YAML without quotes. */
const UNQUOTED: Readonly<Record<string, KubeadmConfigSpec>> = {
  gecos: { users: [{ name: 'foo', gecos: 'Foo: the user' }] },
  'file-leading-space': { files: [{ path: '/x', content: '   indented\nnot\n' }] },
  'multi-line-password': {
    users: [{ name: 'foo', passwdFrom: { secret: { name: 'content', key: 'script' } } }],
  },
};

/** The same, where the result is YAML of another meaning. */
const MISREAD: Readonly<Record<string, KubeadmConfigSpec>> = {
  'user-number': { users: [{ name: '1000' }] },
  'user-comment': { users: [{ name: 'foo', gecos: 'a #b' }] },
  'ntp-bool': { ntp: { enabled: true, servers: ['off'] } },
};

/** More than an infrastructure may take in plain. */
const LARGE: KubeadmConfigSpec = {
  files: [1, 2, 3].map((number) => ({
    path: `/etc/large-${number}`,
    permissions: '0644',
    content: `${'a line of many\n'.repeat(600)}`,
  })),
};

/** What kubeadm or cloud-init refuses on the machine. */
const REFUSED: Readonly<Record<string, KubeadmConfigSpec>> = {
  'token-expires': {
    initConfiguration: { bootstrapTokens: [{ token: TOKEN, expires: '2030-01-01T00:00:00Z' }] },
  },
  'token-usages': {
    initConfiguration: { bootstrapTokens: [{ token: TOKEN, usages: ['signing'] }] },
  },
  'gzip-alone': { files: [{ path: '/x', encoding: 'gzip', content: 'not really packed\n' }] },
  sans: { clusterConfiguration: { apiServer: { certSANs: ['not a name'] } } },
};

export const odd: readonly Scenario[] = [
  ...Object.entries(REFUSED).map(([name, spec]) => init(`odd-refused-${name}`, spec, { expect: 'held' })),
  init('odd-large', LARGE, { infrastructure: 'TSMachine' }),
  workerJoin('odd-large', { ...LARGE, format: 'ignition' }, { infrastructure: 'TSMachine' }),
  ...Object.entries({ ...UNQUOTED, ...MISREAD }).map(([name, spec]) => init(`odd-${name}`, spec)),
  workerJoin(
    'odd-ignition-filesystem',
    {
      format: 'ignition',
      diskSetup: { filesystems: [{ device: '/dev/sdb', filesystem: 'zfs', label: 'x', overwrite: true }] },
    },
    { expect: 'held' },
  ),
  workerJoin(
    'odd-ignition-device',
    {
      format: 'ignition',
      diskSetup: { filesystems: [{ device: 'sdb', filesystem: 'ext4', label: 'x', overwrite: true }] },
    },
    { expect: 'held' },
  ),
];
