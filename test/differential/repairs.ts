// SPDX-License-Identifier: Apache-2.0
// Puts right in a random spec what the schema alone cannot say, so that no draw is wasted.
import { gzipSync } from 'node:zlib';
import type { Discovery } from '../../api/bootstrap/discovery.ts';
import type { DiskSetup, Filesystem, Partition } from '../../api/bootstrap/disk-setup.ts';
import type { JoinConfiguration } from '../../api/bootstrap/join-configuration.ts';
import type { File, User } from '../../api/bootstrap/machine-contents.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';

export interface Purpose {
  readonly purpose: 'init' | 'control-plane' | 'worker' | 'pool';
  readonly ignition: boolean;
  readonly minor: number;
  /** Makes tokens differ: they are Secrets of one workload cluster. */
  readonly index: number;
}

/** Changes the spec: what 6.11 asks for beyond the schema is then so, and what a purpose does not take is gone. */
export function repaired(spec: KubeadmConfigSpec, facts: Purpose): KubeadmConfigSpec {
  repairKubeadm(spec, facts);
  repairMachine(spec, facts.ignition);
  repairFormat(spec, facts.ignition);
  return spec;
}

function repairKubeadm(spec: KubeadmConfigSpec, facts: Purpose): void {
  repairInit(spec, facts);
  if (spec.joinConfiguration !== undefined) repairJoin(spec.joinConfiguration, facts);
  if (Object.keys(spec.joinConfiguration ?? {}).length === 0) delete spec.joinConfiguration;
}

function repairMachine(spec: KubeadmConfigSpec, ignition: boolean): void {
  for (const file of spec.files ?? []) repairFile(file, ignition);
  if (spec.files !== undefined) spec.files = uniqueBy(spec.files, ({ path }) => path);
  for (const user of spec.users ?? []) repairUser(user, ignition);
  if (spec.diskSetup !== undefined) repairDisks(spec.diskSetup, ignition);
}

/** The kubeadm that first knows ECDSA-P384. */
const P384_MINOR = 34;

function repairInit(
  { clusterConfiguration, initConfiguration }: KubeadmConfigSpec,
  { minor }: Purpose,
): void {
  if (clusterConfiguration?.etcd?.local !== undefined) delete clusterConfiguration.etcd.external;
  if (clusterConfiguration?.encryptionAlgorithm === 'ECDSA-P384' && minor < P384_MINOR)
    clusterConfiguration.encryptionAlgorithm = 'ECDSA-P256';
  // No kubeadm takes it.
  for (const token of initConfiguration?.bootstrapTokens ?? []) delete token.expires;
}

function repairJoin(join: JoinConfiguration, { purpose, index }: Purpose): void {
  if (purpose !== 'control-plane') delete join.controlPlane;
  // On init the stock provider looks for a token of that for ever; the corpus has that case.
  if (purpose === 'init') delete join.discovery;
  else repairDiscovery(join.discovery, index);
}

function repairDiscovery(discovery: Discovery | undefined, index: number): void {
  if (discovery === undefined) return;
  if (discovery.file !== undefined && discovery.bootstrapToken !== undefined)
    delete discovery[index % 2 === 0 ? 'file' : 'bootstrapToken'];
  const user = discovery.file?.kubeConfig?.user;
  if (user?.exec !== undefined) delete user.authProvider;
  repairToken(discovery.bootstrapToken, index);
}

function repairToken(discovery: Discovery['bootstrapToken'], index: number): void {
  if (discovery?.token === undefined) return;
  discovery.token = `gen${String(index).padStart(3, '0')}${discovery.token.slice(6)}`;
}

/** Content as its encoding says, and in one place. */
function repairFile(file: File, ignition: boolean): void {
  if (file.contentFrom !== undefined) delete file.content;
  // What is packed is no text, and has to be in base64.
  if (file.encoding === 'gzip') file.encoding = 'gzip+base64';
  if (file.content === undefined || (ignition && file.encoding !== 'base64')) delete file.encoding;
  // The stock provider refuses Ignition files without permissions.
  if (ignition) file.permissions ??= '0644';
  if (file.content !== undefined) file.content = encoded(file.content, file.encoding);
}

function encoded(content: string, encoding: File['encoding']): string {
  if (encoding === 'base64') return Buffer.from(content).toString('base64');
  return encoding === 'gzip+base64' ? gzipSync(content).toString('base64') : content;
}

function repairUser(user: User, ignition: boolean): void {
  if (user.passwdFrom !== undefined) delete user.passwd;
  if (ignition) delete user.inactive;
}

function repairDisks(disks: DiskSetup, ignition: boolean): void {
  for (const partition of disks.partitions ?? []) repairPartition(partition, ignition);
  for (const filesystem of disks.filesystems ?? []) repairFilesystem(filesystem, ignition);
  if (disks.partitions !== undefined) disks.partitions = uniqueBy(disks.partitions, ({ device }) => device);
  if (disks.filesystems !== undefined) disks.filesystems = uniqueBy(disks.filesystems, ({ label }) => label);
}

function repairPartition(partition: Partition, ignition: boolean): void {
  if (ignition) {
    delete partition.diskLayout;
    delete partition.tableType;
  }
  if (partition.diskLayout === undefined) partition.layout ??= true;
  else delete partition.layout;
  for (const one of partition.diskLayout ?? []) one.percentage = Math.min(one.percentage, 30);
}

function repairFilesystem(filesystem: Filesystem, ignition: boolean): void {
  filesystem.label ??= 'label';
  if (!ignition) return;
  delete filesystem.partition;
  delete filesystem.replaceFS;
  // The stock provider's rendering fails without it.
  filesystem.overwrite ??= false;
}

function repairFormat(spec: KubeadmConfigSpec, ignition: boolean): void {
  spec.format = ignition ? 'ignition' : 'cloud-config';
  if (!ignition) return void delete spec.ignition;
  delete spec.bootCommands;
  const mounts = spec.mounts?.map(([what = '', where = '', ...rest]) => [what, `/${where}`, ...rest]);
  if (mounts !== undefined) spec.mounts = uniqueBy(mounts, ([, where]) => where);
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => unknown): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
