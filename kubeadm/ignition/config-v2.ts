// SPDX-License-Identifier: Apache-2.0
// The part of Ignition spec 2.3 that we write: what every machine gets and what additionalConfig adds are both in this shape
// before a spec version is chosen. Field names are the specification's; an absent or undefined field is not written.

export interface IgnitionConfig {
  readonly ignition: IgnitionSection;
  readonly networkd: { readonly units: readonly NetworkdUnit[] };
  readonly passwd: { readonly users: readonly PasswdUser[]; readonly groups: readonly PasswdGroup[] };
  readonly storage: Storage;
  readonly systemd: { readonly units: readonly SystemdUnit[] };
}

export interface IgnitionSection {
  /** Configs that the machine fetches on top of this one. */
  readonly append: readonly ConfigReference[];
  readonly replace?: ConfigReference | undefined;
  readonly certificateAuthorities: readonly ConfigReference[];
  /** Seconds; 0 means no limit. */
  readonly timeouts: {
    readonly httpResponseHeaders?: number | undefined;
    readonly httpTotal?: number | undefined;
  };
}

export interface ConfigReference {
  readonly source: string;
  readonly verification: Verification;
}

export interface Verification {
  /** `sha512-<hex>`. */
  readonly hash?: string | undefined;
}

export interface Storage {
  readonly disks: readonly Disk[];
  readonly raid: readonly Raid[];
  readonly filesystems: readonly IgnitionFilesystem[];
  readonly files: readonly IgnitionFile[];
  readonly directories: readonly Directory[];
  readonly links: readonly Link[];
}

export interface Disk {
  readonly device: string;
  readonly wipeTable?: boolean | undefined;
  /** Undefined leaves the partitions alone. */
  readonly partitions?: readonly DiskPartition[] | undefined;
}

export interface DiskPartition {
  readonly label?: string | undefined;
  /** Absent or 0: the next free one. */
  readonly number?: number | undefined;
  readonly sizeMiB?: number | undefined;
  readonly startMiB?: number | undefined;
  readonly typeGuid?: string | undefined;
  readonly guid?: string | undefined;
}

export interface Raid {
  readonly name: string;
  readonly level: string;
  readonly devices: readonly string[];
  readonly spares?: number | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface IgnitionFilesystem {
  readonly name?: string | undefined;
  readonly mount?: FilesystemMount | undefined;
  /** Where the system has mounted it already; spec 3 has no such thing. */
  readonly path?: string | undefined;
}

export interface FilesystemMount {
  readonly device: string;
  readonly format: string;
  readonly wipeFilesystem?: boolean | undefined;
  readonly label?: string | undefined;
  readonly uuid?: string | undefined;
  readonly options?: readonly string[] | undefined;
}

/** What files, directories and links have in common. */
export interface Node {
  /** Name of a filesystem; `root` is the one of the system. */
  readonly filesystem: string;
  readonly path: string;
  readonly overwrite?: boolean | undefined;
  readonly user?: Owner | undefined;
  readonly group?: Owner | undefined;
}

export interface Owner {
  readonly id?: number | undefined;
  readonly name?: string | undefined;
}

export interface IgnitionFile extends Node {
  readonly append?: boolean | undefined;
  readonly contents: FileContents;
  readonly mode?: number | undefined;
}

export interface FileContents {
  readonly compression?: string | undefined;
  readonly source: string;
  readonly verification: Verification;
}

export interface Directory extends Node {
  readonly mode?: number | undefined;
}

export interface Link extends Node {
  readonly hard?: boolean | undefined;
  readonly target: string;
}

export interface SystemdUnit {
  readonly name: string;
  readonly contents?: string | undefined;
  readonly dropins?: readonly Dropin[] | undefined;
  /** Deprecated twin of `enabled`, which cannot disable. */
  readonly enable?: boolean | undefined;
  readonly enabled?: boolean | undefined;
  readonly mask?: boolean | undefined;
}

export interface NetworkdUnit {
  readonly name: string;
  readonly contents?: string | undefined;
  readonly dropins?: readonly Dropin[] | undefined;
}

export interface Dropin {
  readonly name: string;
  readonly contents?: string | undefined;
}

export interface PasswdUser {
  readonly name: string;
  readonly gecos?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly homeDir?: string | undefined;
  readonly noCreateHome?: boolean | undefined;
  readonly noLogInit?: boolean | undefined;
  readonly noUserGroup?: boolean | undefined;
  readonly passwordHash?: string | undefined;
  readonly primaryGroup?: string | undefined;
  readonly shell?: string | undefined;
  readonly sshAuthorizedKeys?: readonly string[] | undefined;
  readonly system?: boolean | undefined;
  readonly uid?: number | undefined;
}

export interface PasswdGroup {
  readonly name: string;
  readonly gid?: number | undefined;
  readonly passwordHash?: string | undefined;
  readonly system?: boolean | undefined;
}

/** The value, unless it is one that the specification treats as not there: empty text or list, 0, false. */
export function unlessEmpty<T extends string | number | boolean | readonly unknown[]>(
  value: T | undefined,
): T | undefined {
  const empty =
    value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
  return empty ? undefined : value;
}

/** `addition` on top of `base` by the rules of spec 2: lists grow, single values are taken from the addition where it has them. */
export function appendConfig(base: IgnitionConfig, addition: IgnitionConfig): IgnitionConfig {
  return {
    ignition: appendIgnition(base.ignition, addition.ignition),
    networkd: { units: [...base.networkd.units, ...addition.networkd.units] },
    passwd: {
      users: [...base.passwd.users, ...addition.passwd.users],
      groups: [...base.passwd.groups, ...addition.passwd.groups],
    },
    storage: {
      disks: [...base.storage.disks, ...addition.storage.disks],
      raid: [...base.storage.raid, ...addition.storage.raid],
      filesystems: [...base.storage.filesystems, ...addition.storage.filesystems],
      files: [...base.storage.files, ...addition.storage.files],
      directories: [...base.storage.directories, ...addition.storage.directories],
      links: [...base.storage.links, ...addition.storage.links],
    },
    systemd: { units: [...base.systemd.units, ...addition.systemd.units] },
  };
}

function appendIgnition(base: IgnitionSection, addition: IgnitionSection): IgnitionSection {
  return {
    append: [...base.append, ...addition.append],
    replace: addition.replace ?? base.replace,
    certificateAuthorities: [...base.certificateAuthorities, ...addition.certificateAuthorities],
    timeouts: { ...base.timeouts, ...addition.timeouts },
  };
}

/** The JSON shape of spec 2.3, with the empty objects that the stock provider writes. */
export function documentV2({ ignition, networkd, passwd, storage, systemd }: IgnitionConfig): object {
  const { append, replace, certificateAuthorities, timeouts } = ignition;
  return {
    ignition: {
      version: '2.3.0',
      config: { append: unlessEmpty(append), replace },
      security: { tls: { certificateAuthorities: unlessEmpty(certificateAuthorities) } },
      timeouts,
    },
    networkd: { units: unlessEmpty(networkd.units) },
    passwd: { users: unlessEmpty(passwd.users), groups: unlessEmpty(passwd.groups) },
    storage: Object.fromEntries(Object.entries(storage).map(([kind, list]) => [kind, unlessEmpty(list)])),
    systemd: { units: unlessEmpty(systemd.units) },
  };
}
