// SPDX-License-Identifier: Apache-2.0
// The sections ignition, networkd, passwd and systemd of Container Linux Config, in Ignition's words.
import {
  type ConfigReference,
  type Dropin,
  type IgnitionSection,
  type NetworkdUnit,
  type PasswdGroup,
  type PasswdUser,
  type SystemdUnit,
  unlessEmpty,
  type Verification,
} from './config-v2.ts';
import type { ContainerLinuxConfig } from './container-linux-config.ts';

type Section<K extends keyof ContainerLinuxConfig> = ContainerLinuxConfig[K];
type Item<T> = NonNullable<T> extends readonly (infer I)[] ? I : never;
type Reference = Item<NonNullable<NonNullable<Section<'ignition'>>['config']>['append']>;
type UnitDropins = Item<NonNullable<Section<'systemd'>>['units']>['dropins'];

/** Configs to fetch, certificate authorities, timeouts. */
export function ignitionSection(section: Section<'ignition'>): IgnitionSection {
  const { config, timeouts, security } = section ?? {};
  const { append = [], replace } = config ?? {};
  return {
    append: append.map(reference),
    replace: replace && reference(replace),
    certificateAuthorities: (security?.tls?.certificate_authorities ?? []).map(reference),
    timeouts: { httpResponseHeaders: timeouts?.http_response_headers, httpTotal: timeouts?.http_total },
  };
}

function reference({ source = '', verification }: Reference): ConfigReference {
  return { source, verification: verificationOf(verification) };
}

/** `sha512-<hex>`, where both halves are written. */
export function verificationOf(given: Reference['verification']): Verification {
  const { function: hash, sum } = given?.hash ?? {};
  return hash && sum ? { hash: `${hash}-${sum}` } : {};
}

/** Units of networkd. */
export function networkdUnits(section: Section<'networkd'>): NetworkdUnit[] {
  return (section?.units ?? []).map(({ name = '', contents, dropins }) => ({
    name,
    contents: unlessEmpty(contents),
    dropins: dropinsOf(dropins),
  }));
}

/** Units of systemd. */
export function systemdUnits(section: Section<'systemd'>): SystemdUnit[] {
  return (section?.units ?? []).map(({ name = '', contents, dropins, enable, enabled, mask }) => ({
    name,
    contents: unlessEmpty(contents),
    dropins: dropinsOf(dropins),
    enable: unlessEmpty(enable),
    enabled,
    mask: unlessEmpty(mask),
  }));
}

function dropinsOf(dropins: UnitDropins): Dropin[] | undefined {
  if (dropins === undefined || dropins.length === 0) return undefined;
  return dropins.map(({ name = '', contents }) => ({ name, contents: unlessEmpty(contents) }));
}

/** Users and groups. */
export function passwdSection(section: Section<'passwd'>): { users: PasswdUser[]; groups: PasswdGroup[] } {
  const groups = (section?.groups ?? []).map(({ name = '', gid, password_hash, system }) => ({
    name,
    gid,
    passwordHash: unlessEmpty(password_hash),
    system: unlessEmpty(system),
  }));
  return { users: (section?.users ?? []).map(user), groups };
}

function user(given: Item<NonNullable<Section<'passwd'>>['users']>): PasswdUser {
  return {
    name: given.name ?? '',
    gecos: unlessEmpty(given.gecos),
    groups: unlessEmpty(given.groups),
    homeDir: unlessEmpty(given.home_dir),
    noCreateHome: unlessEmpty(given.no_create_home),
    noLogInit: unlessEmpty(given.no_log_init),
    noUserGroup: unlessEmpty(given.no_user_group),
    // Empty means a login without a password, which is not the same as none.
    passwordHash: given.password_hash,
    primaryGroup: unlessEmpty(given.primary_group),
    shell: unlessEmpty(given.shell),
    sshAuthorizedKeys: unlessEmpty(given.ssh_authorized_keys),
    system: unlessEmpty(given.system),
    uid: given.uid,
  };
}
