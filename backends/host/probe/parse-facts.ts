// SPDX-License-Identifier: Apache-2.0
// Facts of a host out of the lines of the probe. Pure.
import type { HostHardware, HostOperatingSystem, HostSoftware } from '../../../api/tshost-status.ts';
import type { HostFacts } from '../../host-driver.ts';
import type { ProbeLines } from './lines.ts';

/** Go's names of what `uname -m` prints. Others are told as they are. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  armv6l: 'arm',
  i686: '386',
};

/** Relatives that a family is called after. An ID_LIKE names several, of which these are the oldest. */
const FAMILIES: readonly string[] = ['debian', 'rhel', 'suse', 'arch', 'alpine', 'gentoo'];

/** Block devices that are no disks of the machine. */
const NO_DISK = /^(loop|ram|zram|dm-|sr|fd|md|nbd|drbd)/;

/** Links that are no way to the machine, also when they have addresses: of containers, of bridges for them, of tunnels. */
const NO_NIC =
  /^(lo$|veth|cni|docker|br-|virbr|flannel|cali|cilium|lxc|kube-|nodelocaldns|tunl|vxlan|weave|antrea|ovn|podman|dummy|ifb|wg-|wireguard)/;

const SECTOR = 512n;

/** What the probe measured; what it could not measure is absent, or empty where the type wants something. */
export function parseFacts(lines: ProbeLines, clockSkewSeconds: number): HostFacts {
  return {
    hostname: lines.first('hostname') ?? '',
    hardware: hardware(lines),
    operatingSystem: operatingSystem(lines),
    software: software(lines),
    bootID: lines.first('boot') ?? '',
    clockSkewSeconds,
  };
}

function hardware(lines: ProbeLines): HostHardware {
  const machine = lines.first('machine');
  const cpus = Number(lines.first('cpus'));
  const kibibytes = lines.first('memory') ?? '';
  return {
    ...(machine === undefined ? {} : { architecture: ARCHITECTURES[machine] ?? machine }),
    ...(Number.isInteger(cpus) && cpus > 0 ? { cpus } : {}),
    ...(/^\d+$/.test(kibibytes) ? { memory: quantity(BigInt(kibibytes) * 1024n) } : {}),
    disks: disks(lines),
    nics: nics(lines),
  };
}

function disks(lines: ProbeLines): { name: string; size: string }[] {
  return lines
    .all('disk')
    .flatMap((line) => {
      const [name = '', sectors = ''] = line.split(' ');
      if (name === '' || NO_DISK.test(name) || !/^[1-9]\d*$/.test(sectors)) return [];
      return [{ name, size: quantity(BigInt(sectors) * SECTOR) }];
    })
    .sort(byName)
    .slice(0, 256);
}

/** Physical ones, and what else has an address by which the machine can be reached. */
function nics(lines: ProbeLines): { name: string; mac: string; addresses: string[] }[] {
  const addresses = new Map<string, string[]>();
  for (const line of lines.all('address')) {
    const [link = '', address = ''] = line.split(' ');
    const name = link.split('@')[0] ?? '';
    addresses.set(name, [...(addresses.get(name) ?? []), address.split('/')[0] ?? '']);
  }
  return lines
    .all('nic')
    .flatMap((line) => {
      const [name = '', kind, mac = ''] = line.split(' ');
      const found = addresses.get(name) ?? [];
      if (NO_NIC.test(name) || (kind !== 'physical' && found.length === 0)) return [];
      return [{ name, mac, addresses: [...new Set(found)].sort().slice(0, 64) }];
    })
    .sort(byName)
    .slice(0, 64);
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

function operatingSystem(lines: ProbeLines): HostOperatingSystem {
  const release = new Map(
    lines.all('os').map((line): [string, string] => {
      const [key = '', ...value] = line.split('=');
      return [key, value.join('=').replace(/^(["'])(.*)\1$/, '$2')];
    }),
  );
  const id = release.get('ID');
  const version = release.get('VERSION_ID');
  const kernel = lines.first('kernel');
  const related = `${id ?? ''} ${release.get('ID_LIKE') ?? ''}`.split(' ');
  const family = FAMILIES.find((name) => related.includes(name)) ?? id;
  return {
    ...(id === undefined ? {} : { id }),
    ...(family === undefined ? {} : { family }),
    ...(version === undefined ? {} : { version }),
    ...(kernel === undefined ? {} : { kernel }),
  };
}

/** What the programs print about themselves is one line, with the version somewhere in it. */
function software(lines: ProbeLines): HostSoftware {
  const versions = lines.all('version').flatMap((line): [string, string][] => {
    const [program = '', ...rest] = line.split(' ');
    const version = /\bv?(\d+\.\d+\.\d+[\w.+~-]*)/.exec(rest.join(' '))?.[1];
    // A program that says nothing of itself is there nevertheless.
    return [[program, version === undefined ? 'unknown' : `v${version}`]];
  });
  const serviceManager = lines.first('service');
  return {
    ...Object.fromEntries(
      versions.filter(([program]) => /^(kubeadm|kubelet|containerd|crio)$/.test(program)),
    ),
    ...(serviceManager === undefined ? {} : { serviceManager }),
  };
}

const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];

/** A Kubernetes quantity of exactly so many bytes, in the largest unit that divides them. */
export function quantity(bytes: bigint): string {
  let value = bytes;
  let unit = 0;
  while (value !== 0n && value % 1024n === 0n && unit < UNITS.length - 1) {
    value /= 1024n;
    unit += 1;
  }
  return `${value}${UNITS[unit]}`;
}
