// SPDX-License-Identifier: Apache-2.0
// format: ignition in each purpose, and Container Linux Configs that are merged in.
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, poolJoin, workerJoin } from './builders.ts';
import { rich } from './specs.ts';

const ADDITIONAL: Readonly<Record<string, string>> = {
  'unit-drop-in': `systemd:
  units:
    - name: kubeadm.service
      enabled: true
      dropins:
        - name: 10-flatcar.conf
          contents: |
            [Unit]
            Requires=containerd.service
            After=containerd.service
`,
  'new-unit': `systemd:
  units:
    - name: hello.service
      enabled: true
      contents: |
        [Service]
        ExecStart=/bin/true

        [Install]
        WantedBy=multi-user.target
    - name: masked.service
      mask: true
`,
  files: `storage:
  files:
    - path: /etc/extra
      filesystem: root
      mode: 0644
      contents:
        inline: |
          extra
  directories:
    - path: /opt/extra
      filesystem: root
      mode: 0755
`,
  users: `passwd:
  users:
    - name: core
      ssh_authorized_keys:
        - ssh-ed25519 CCCC core
      groups:
        - docker
`,
};

/** `strict` makes an error of it. */
const WITH_UNKNOWN_KEY = `systemd:
  units:
    - name: x.service
      enabled: true
      nonsense: true
`;

const additional = (additionalConfig: string, strict?: boolean) => ({
  containerLinuxConfig: { additionalConfig, ...(strict !== undefined && { strict }) },
});

export const ignition: readonly Scenario[] = [
  init('ignition-nothing', { format: 'ignition' }),
  controlPlaneJoin('ignition-nothing', { format: 'ignition' }),
  poolJoin('ignition-nothing', { format: 'ignition' }),
  ...[28, 31, 37].map((minor) =>
    init(`ignition-rich-${minor}`, { ...rich(), format: 'ignition' }, { version: `v1.${minor}.0` }),
  ),
  workerJoin('ignition-rich', { ...rich(), format: 'ignition' }),
  ...Object.entries(ADDITIONAL).flatMap(([name, text]) => [
    workerJoin(`ignition-additional-${name}`, { format: 'ignition', ignition: additional(text) }),
    init(`ignition-additional-${name}-strict`, { format: 'ignition', ignition: additional(text, true) }),
  ]),
  workerJoin('ignition-additional-lenient', {
    format: 'ignition',
    ignition: additional(WITH_UNKNOWN_KEY, false),
  }),
  workerJoin(
    'ignition-additional-strict-error',
    { format: 'ignition', ignition: additional(WITH_UNKNOWN_KEY, true) },
    { expect: 'held' },
  ),
  workerJoin('ignition-strict-alone', {
    format: 'ignition',
    ignition: { containerLinuxConfig: { strict: true } },
  }),
];
