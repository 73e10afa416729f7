// SPDX-License-Identifier: Apache-2.0
// Bootstrap data in, steps out, in the order of cloud-init's modules. Nothing touches a host here: what cannot be done is refused by
// name before anything begins.
import type { Step } from '../job/job.ts';
import { bootcmdSteps, runcmdSteps } from './commands.ts';
import { aliasesOf } from './device-name.ts';
import { diskSteps } from './disks.ts';
import { requireCloudConfig, textOf } from './document-text.ts';
import { fieldsOf } from './fields.ts';
import { hostnameSteps } from './hostname.ts';
import { type InstanceMetadata, renderJinja } from './jinja.ts';
import { mountsSteps } from './mounts.ts';
import { ntpSteps } from './ntp.ts';
import { secretsOf } from './secrets.ts';
import { passwordSteps, sshSteps } from './ssh.ts';
import { groupsOf, usersOf } from './users.ts';
import { usersSteps } from './users-script.ts';
import { filesOf, writeFilesSteps } from './write-files.ts';
import { readDocument } from './yaml-document.ts';

export type { InstanceMetadata } from './jinja.ts';
export { InterpretError } from './interpret-error.ts';

/** Every key that a document may have. */
export const SUPPORTED_KEYS: readonly string[] = [
  ...['bootcmd', 'write_files', 'device_aliases', 'disk_setup', 'fs_setup', 'mounts', 'mount_default_fields'],
  ...[
    'hostname',
    'fqdn',
    'prefer_fqdn_over_hostname',
    'preserve_hostname',
    'manage_etc_hosts',
    'groups',
    'users',
  ],
  ...['ssh_authorized_keys', 'disable_root', 'ssh_pwauth', 'ntp', 'runcmd'],
];

/** Content that a file gets instead of its own. Throws what {@link interpret} throws on. */
export type TransformFile = (file: {
  readonly path: string;
  readonly content: string | Buffer;
}) => string | Buffer;

/** What a document comes to. */
export interface Interpretation {
  readonly steps: Step[];
  /** To be redacted from what is told of them. */
  readonly secrets: string[];
}

/**
 * Reads a cloud-config document (plain or gzip) as cloud-init 22.4.2 on Debian would, on a host without a metadata service. Throws
 * InterpretError with the path of what is not supported. A failed module keeps none of the later ones from running.
 */
export function interpret(
  data: string | Buffer,
  metadata: InstanceMetadata,
  transformFile: TransformFile = (file) => file.content,
): Interpretation {
  const text = renderJinja(typeof data === 'string' ? data : textOf(data), metadata);
  requireCloudConfig(text);
  const config = readDocument(text);
  const fields = fieldsOf({ path: '', value: config }, SUPPORTED_KEYS);
  const aliases = aliasesOf(fields.get('device_aliases'));
  const files = filesOf(fields.get('write_files')).map((file) => ({ ...file, content: transformFile(file) }));
  const users = usersOf(fields.get('users'));
  const steps = [
    ...bootcmdSteps(fields.get('bootcmd'), metadata.instance_id),
    ...writeFilesSteps(files, 'first'),
    ...diskSteps(fields.get('disk_setup'), fields.get('fs_setup'), aliases),
    ...mountsSteps(fields.get('mounts'), fields.get('mount_default_fields'), aliases),
    ...hostnameSteps(config, metadata),
    ...usersSteps(groupsOf(fields.get('groups')), users),
    ...sshSteps(fields.get('ssh_authorized_keys'), fields.get('disable_root')),
    ...passwordSteps(fields.get('ssh_pwauth')),
    ...ntpSteps(fields.get('ntp')),
    ...writeFilesSteps(files, 'deferred'),
    ...runcmdSteps(fields.get('runcmd')),
  ];
  return { steps, secrets: secretsOf(text, files, users) };
}
