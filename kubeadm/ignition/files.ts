// SPDX-License-Identifier: Apache-2.0
// Every file of a machine, in the order in which they are written.
import type { NTP } from '../../api/bootstrap/machine-contents.ts';
import { InputError } from '../input-error.ts';
import type { MachineContents, ResolvedFile, ResolvedUser } from '../machine-contents.ts';
import { checkAbsolutePath } from './checks.ts';
import type { IgnitionFile, Owner } from './config-v2.ts';
import { dataURL } from './data-url.ts';
import { KUBEADM_CONFIG, KUBEADM_SCRIPT, kubeadmScript } from './kubeadm-script.ts';

/** Mode of a file that does not ask for one, as in cloud-init. */
const DEFAULT_MODE = 0o644;

/** Throws InputError. */
export function machineFiles(contents: MachineContents): IgnitionFile[] {
  return [
    ...sudoers(contents.users),
    ...sshServer(contents.users),
    ...contents.files.map(writtenFile),
    rootFile(KUBEADM_SCRIPT, 0o700, kubeadmScript(contents)),
    rootFile(KUBEADM_CONFIG, 0o600, documents(contents.kubeadmConfig)),
    ...timeServers(contents.ntp),
  ];
}

function rootFile(path: string, mode: number, text: string): IgnitionFile {
  return { filesystem: 'root', path, mode, contents: { source: dataURL(text), verification: {} } };
}

function sudoers(users: readonly ResolvedUser[]): IgnitionFile[] {
  return users
    .filter(({ sudo }) => sudo)
    .map(({ name, sudo }) => rootFile(`/etc/sudoers.d/${name}`, 0o600, `${name} ${sudo}\n`));
}

/** Flatcar's own sshd_config, but that the users with an unlocked password may log in with it. */
function sshServer(users: readonly ResolvedUser[]): IgnitionFile[] {
  const names = users.filter(({ lockPassword }) => lockPassword === false).map(({ name }) => name);
  if (names.length === 0) return [];
  const text = [
    'Subsystem sftp internal-sftp',
    'ClientAliveInterval 180',
    'UseDNS no',
    'UsePAM yes',
    '# PAM prints both.',
    'PrintLastLog no',
    'PrintMotd no',
    '',
    `Match User ${names.join(',')}`,
    '  PasswordAuthentication yes',
    '',
  ].join('\n');
  return [rootFile('/etc/ssh/sshd_config', 0o600, text)];
}

/** The servers, and the access rules that keep others from using the machine as one. */
function timeServers(ntp: NTP | undefined): IgnitionFile[] {
  const servers = ntp?.servers ?? [];
  if (ntp?.enabled !== true || servers.length === 0) return [];
  const text = [
    ...servers.map((server) => `server ${server}`),
    '',
    '# Anybody may ask for the time, slowly; only this machine may ask for more.',
    'restrict default nomodify nopeer noquery notrap limited kod',
    'restrict 127.0.0.1',
    'restrict [::1]',
    '',
  ].join('\n');
  return [rootFile('/etc/ntp.conf', 0o644, text)];
}

function documents(kubeadmConfig: string): string {
  const text = kubeadmConfig.startsWith('---\n') ? kubeadmConfig : `---\n${kubeadmConfig}`;
  return text.endsWith('\n') ? text : `${text}\n`;
}

function writtenFile(file: ResolvedFile): IgnitionFile {
  const { path, owner = '', append } = file;
  // Certificates are in the same list, so that an index would not be the one of spec.files.
  const refuse = (problem: string) => new InputError('spec.files', `file ${path}: ${problem}`);
  const relative = checkAbsolutePath(path);
  if (relative !== undefined) throw refuse(`path ${relative}`);
  const [user = '', group = ''] = owner.split(':').map((name) => name.trim());
  return {
    filesystem: 'root',
    path,
    append: append === true ? true : undefined,
    mode: mode(file, refuse),
    user: ownerOf(user),
    group: ownerOf(group),
    contents: { source: dataURL(decoded(file, refuse)), verification: {} },
  };
}

type Refuse = (problem: string) => InputError;

function mode({ permissions, append }: ResolvedFile, refuse: Refuse): number | undefined {
  // Appending to a file of the image keeps its mode unless told otherwise.
  if (!permissions) return append === true ? undefined : DEFAULT_MODE;
  const digits = /^(?:0o)?([0-7]{1,5})$/.exec(permissions)?.[1];
  const value = Number.parseInt(digits ?? '', 8);
  if (!(value <= 0o7777)) throw refuse('permissions must be octal digits, such as 0640');
  return value;
}

/** Numbers are ids: no name consists of digits only. */
function ownerOf(name: string): Owner | undefined {
  if (name === '') return undefined;
  return /^\d+$/.test(name) ? { id: Number(name) } : { name };
}

function decoded({ content, encoding }: ResolvedFile, refuse: Refuse): string | Uint8Array {
  if (encoding === undefined) return textFile(content);
  if (encoding !== 'base64') {
    throw refuse(`encoding ${encoding} is not possible with Ignition: use base64, or none`);
  }
  const digits = content.replaceAll(/\s/g, '');
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) {
    throw refuse('content is not base64, though encoding says so');
  }
  return Buffer.from(digits, 'base64');
}

/** A text ends with a line break: the stock provider adds one too. Content in base64 is written as it is. */
function textFile(content: string): string {
  return content === '' || content.endsWith('\n') ? content : `${content}\n`;
}
