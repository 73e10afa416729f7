// SPDX-License-Identifier: Apache-2.0
// `terraform output -json` in the shape that KubeOne reads: kubeone_hosts and kubeone_static_workers.
import { UsageError } from '../manifests.ts';
import { type EndpointEntry, type HostEntry, objectName, portOf } from './entry.ts';

/** The members of a group of hosts that we read; lists go by position. */
interface Group {
  readonly public_address?: readonly string[];
  readonly private_address?: readonly string[];
  readonly hostnames?: readonly string[];
  readonly ssh_user?: string;
  readonly ssh_port?: number | string;
  readonly ssh_private_key_file?: string;
  readonly ssh_hosts_keys?: readonly string[];
  readonly bastion?: string;
  readonly bastion_port?: number | string;
  readonly bastion_user?: string;
  readonly bastion_private_key_file?: string;
  readonly bastion_host_key?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Output {
  readonly kubeone_hosts?: { readonly value?: { readonly control_plane?: Group | readonly Group[] } };
  readonly kubeone_static_workers?: {
    readonly value?: Readonly<Record<string, Group | readonly Group[]>>;
  };
}

/** Reads the output. Control plane hosts get the label role=control-plane, static workers role=worker and group=<their group>. */
export function hostsFromTerraform(text: string): HostEntry[] {
  const output = parsed(text);
  const controlPlane = groups(output.kubeone_hosts?.value?.control_plane).flatMap((group) =>
    hostsOf(group, 'kubeone_hosts.value.control_plane', { role: 'control-plane' }),
  );
  const workers = Object.entries(output.kubeone_static_workers?.value ?? {}).flatMap(([name, value]) =>
    groups(value).flatMap((group) =>
      hostsOf(group, `kubeone_static_workers.value.${name}`, { role: 'worker', group: name }),
    ),
  );
  const all = [...controlPlane, ...workers];
  if (all.length === 0) {
    throw new UsageError(
      'no host in kubeone_hosts.value.control_plane and none in kubeone_static_workers.value: give the output of "terraform output -json"',
    );
  }
  return all;
}

function parsed(text: string): Output {
  try {
    return JSON.parse(text) as Output;
  } catch (error) {
    throw new UsageError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Some configurations wrap the one group in a list. */
function groups(value: Group | readonly Group[] | undefined): readonly Group[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Group[]) : [value as Group];
}

function hostsOf(group: Group, path: string, labels: Record<string, string>): HostEntry[] {
  const bastion = bastionOf(group, path);
  // Behind a bastion the private address is the one that can be reached.
  const [first, second] =
    bastion === undefined
      ? [group.public_address, group.private_address]
      : [group.private_address, group.public_address];
  const addresses = nonEmpty(first) ?? nonEmpty(second);
  if (addresses === undefined) throw new UsageError(`${path} has no public_address and no private_address`);
  return addresses.map((address, index) => ({
    name: objectName(group.hostnames?.[index] ?? address),
    address,
    port: portOf(group.ssh_port, `${path}.ssh_port`),
    user: group.ssh_user ?? 'root',
    keyFile: keyFile(group.ssh_private_key_file, `${path}.ssh_private_key_file`),
    hostKeys: present(group.ssh_hosts_keys?.[index]),
    labels: { ...labels, ...group.labels },
    failureDomain: undefined,
    sudoPasswordFile: undefined,
    bastion,
  }));
}

function bastionOf(group: Group, path: string): EndpointEntry | undefined {
  if (group.bastion === undefined || group.bastion === '') return undefined;
  return {
    address: group.bastion,
    port: portOf(group.bastion_port, `${path}.bastion_port`),
    user: group.bastion_user ?? group.ssh_user ?? 'root',
    keyFile: keyFile(
      group.bastion_private_key_file ?? group.ssh_private_key_file,
      `${path}.bastion_private_key_file`,
    ),
    hostKeys: present(group.bastion_host_key),
  };
}

/** An agent has no key that could be put into a Secret. */
function keyFile(file: string | undefined, field: string): string {
  if (file !== undefined && file !== '') return file;
  throw new UsageError(`${field} is empty: name the private key file; an agent cannot be used`);
}

function nonEmpty(list: readonly string[] | undefined): readonly string[] | undefined {
  const filled = list?.filter((one) => one !== '');
  return filled === undefined || filled.length === 0 ? undefined : filled;
}

function present(key: string | undefined): string[] {
  return key === undefined || key === '' ? [] : [key.trim()];
}
