// SPDX-License-Identifier: Apache-2.0
import { InputError } from '../input-error.ts';
import type { MachineContents, ResolvedUser } from '../machine-contents.ts';
import { type IgnitionConfig, type PasswdUser, type SystemdUnit, unlessEmpty } from './config-v2.ts';
import { disks, filesystems } from './disks.ts';
import { machineFiles } from './files.ts';
import { KUBEADM_CONFIG, KUBEADM_SCRIPT } from './kubeadm-script.ts';
import { mountUnit } from './mount-unit.ts';

/** What every machine gets, before additionalConfig. Throws InputError for what Ignition cannot do (KB 6.10). */
export function machineConfig(contents: MachineContents): IgnitionConfig {
  if (contents.bootCommands.length > 0) {
    const wayOut = 'write a systemd unit in additionalConfig';
    throw new InputError('spec.bootCommands', `Ignition runs on the first boot only: ${wayOut}`);
  }
  return {
    ignition: { append: [], certificateAuthorities: [], timeouts: {} },
    networkd: { units: [] },
    passwd: { users: contents.users.map(user), groups: [] },
    storage: {
      disks: disks(contents.diskSetup),
      raid: [],
      filesystems: filesystems(contents.diskSetup),
      files: machineFiles(contents),
      directories: [],
      links: [],
    },
    systemd: { units: units(contents) },
  };
}

function user(given: ResolvedUser, index: number): PasswdUser {
  if (given.inactive === true) {
    throw new InputError(
      `spec.users[${index}].inactive`,
      'Ignition cannot make an account inactive: leave it out',
    );
  }
  const groups = (given.groups ?? '').split(',').map((group) => group.trim());
  return {
    name: given.name,
    gecos: unlessEmpty(given.gecos),
    groups: unlessEmpty(groups.filter((group) => group !== '')),
    homeDir: unlessEmpty(given.homeDir),
    shell: unlessEmpty(given.shell),
    passwordHash: unlessEmpty(given.passwd),
    primaryGroup: unlessEmpty(given.primaryGroup),
    sshAuthorizedKeys: unlessEmpty(given.sshAuthorizedKeys),
  };
}

function units({ ntp, mounts, diskSetup }: MachineContents): SystemdUnit[] {
  return [
    { name: 'kubeadm.service', enabled: true, contents: KUBEADM_SERVICE },
    ...(ntp?.enabled === true ? [{ name: 'ntpd.service', enabled: true }] : []),
    ...mounts.map((mount, index) => mountUnit(mount, diskSetup?.filesystems ?? [], `spec.mounts[${index}]`)),
  ];
}

const KUBEADM_SERVICE = [
  '[Unit]',
  'Description=kubeadm',
  '# The script moves the file away: only the first boot has it.',
  `ConditionPathExists=${KUBEADM_CONFIG}`,
  'After=network.target',
  '[Service]',
  'Type=oneshot',
  `ExecStart=/bin/bash ${KUBEADM_SCRIPT}`,
  '[Install]',
  'WantedBy=multi-user.target',
  '',
].join('\n');
