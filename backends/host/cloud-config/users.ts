// SPDX-License-Identifier: Apache-2.0
// users and groups: what a document asks for, read and checked.
import {
  type Field,
  fieldsOf,
  flagOf,
  itemsOf,
  namesOf,
  requireName,
  textOfField,
  wordOf,
} from './fields.ts';
import { InterpretError } from './interpret-error.ts';

/** A user to make, or to complete when it is there. */
export interface User {
  readonly path: string;
  readonly name: string;
  /** Options of useradd with a value, by their key in the document. */
  readonly options: ReadonlyMap<string, string>;
  readonly groups: readonly string[];
  readonly primaryGroup: string | undefined;
  readonly createGroups: boolean;
  readonly noUserGroup: boolean;
  readonly system: boolean;
  readonly noLogInit: boolean;
  readonly noCreateHome: boolean;
  /** A hash, for a user that is made. */
  readonly passwd: string | undefined;
  readonly hashedPasswd: string | undefined;
  readonly plainTextPasswd: string | undefined;
  readonly lockPasswd: boolean;
  readonly sudo: readonly string[];
  readonly keys: Field | undefined;
}

/** Keys whose value is one of an option of useradd, and which only count as strings: a number or a flag is passed over. */
const OPTIONS: Readonly<Record<string, string>> = {
  gecos: '--comment',
  homedir: '--home',
  shell: '--shell',
  expiredate: '--expiredate',
  inactive: '--inactive',
  selinux_user: '--selinux-user',
};

const KEYS = [
  ...[
    'name',
    ...Object.keys(OPTIONS),
    'uid',
    'groups',
    'primary_group',
    'create_groups',
    'no_user_group',
    'system',
  ],
  ...['no_log_init', 'no_create_home', 'passwd', 'hashed_passwd', 'plain_text_passwd', 'lock_passwd', 'sudo'],
  'ssh_authorized_keys',
];

/** Of the later ones of equal names, the values count that the earlier ones do not have. */
export function usersOf(field: Field | undefined): User[] {
  const users = new Map<string, { path: string; fields: Map<string, Field> }>();
  for (const item of itemsOf(field)) {
    const entry = typeof item.value === 'string' ? new Map<string, Field>() : fieldsOf(dashless(item), KEYS);
    const names = typeof item.value === 'string' ? namesOf(item) : [textOfField(entry.get('name')) ?? ''];
    for (const name of names) {
      if (name === '' || name === 'default')
        throw new InterpretError(
          item.path,
          'means the default user of a cloud image, which hosts do not have: name the user',
        );
      const before = users.get(name)?.fields ?? new Map<string, Field>();
      users.set(requireName(item.path, name), { path: item.path, fields: new Map([...entry, ...before]) });
    }
  }
  return [...users].map(([name, { path, fields }]) => userOf(name, path, fields));
}

/** `ssh-authorized-keys` is the same as `ssh_authorized_keys`. */
function dashless({ path, value }: Field): Field {
  if (!(value instanceof Map)) throw new InterpretError(path, 'is neither a name nor a mapping');
  return { path, value: new Map([...value].map(([key, item]) => [key.replaceAll('-', '_').trim(), item])) };
}

function userOf(name: string, path: string, fields: Map<string, Field>): User {
  const flag = (key: string, absent = false): boolean => flagOf(fields.get(key), absent);
  const user: User = {
    path,
    name,
    options: optionsOf(fields),
    groups: namesOf(fields.get('groups')),
    primaryGroup: groupName(fields.get('primary_group')),
    createGroups: flag('create_groups', true),
    noUserGroup: flag('no_user_group'),
    system: flag('system'),
    noLogInit: flag('no_log_init'),
    noCreateHome: flag('no_create_home'),
    passwd: passwordOf(fields.get('passwd')),
    hashedPasswd: passwordOf(fields.get('hashed_passwd')),
    plainTextPasswd: passwordOf(fields.get('plain_text_passwd')),
    lockPasswd: flag('lock_passwd', true),
    sudo: sudoOf(fields.get('sudo')),
    keys: fields.get('ssh_authorized_keys'),
  };
  if (user.keys !== undefined && itemCount(user.keys) > 0 && (user.system || user.noCreateHome))
    throw new InterpretError(user.keys.path, 'needs a home folder: leave system and no_create_home out');
  return user;
}

function itemCount({ value }: Field): number {
  return Array.isArray(value) || typeof value === 'string' ? value.length : 1;
}

function optionsOf(fields: Map<string, Field>): Map<string, string> {
  const options = new Map<string, string>();
  for (const [key, option] of Object.entries(OPTIONS)) {
    const text = optionOf(fields.get(key));
    if (text !== undefined) options.set(option, text);
  }
  const uid = uidOf(fields.get('uid'));
  if (uid !== undefined) options.set('--uid', uid);
  return options;
}

function optionOf(field: Field | undefined): string | undefined {
  if (field === undefined || typeof field.value === 'number' || typeof field.value === 'boolean')
    return undefined;
  const text = textOfField(field);
  if (text?.includes(':'))
    throw new InterpretError(field.path, 'has a colon, which separates fields of /etc/passwd');
  return text;
}

function uidOf(field: Field | undefined): string | undefined {
  if (field === undefined || field.value === null) return undefined;
  const number = wordOf(field);
  if (!/^\d{1,10}$/.test(number)) throw new InterpretError(field.path, 'is not a number');
  return number;
}

function groupName(field: Field | undefined): string | undefined {
  const name = textOfField(field);
  return name === undefined || field === undefined ? undefined : requireName(field.path, name);
}

function passwordOf(field: Field | undefined): string | undefined {
  return field === undefined || field.value === null || field.value === '' ? undefined : wordOf(field);
}

/** Rules as sudoers has them, behind the name of the user. */
function sudoOf(field: Field | undefined): string[] {
  if (field === undefined || field.value === null || field.value === false || field.value === '') return [];
  if (typeof field.value === 'string') return [wordOf(field)];
  if (Array.isArray(field.value)) return itemsOf(field).map(wordOf);
  throw new InterpretError(field.path, 'is neither a rule nor a list of rules');
}

/** Names of groups with their members: a list of names and mappings, a string with commas, or one mapping. */
export function groupsOf(field: Field | undefined): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  if (field === undefined || field.value === null) return groups;
  const items = typeof field.value === 'string' || field.value instanceof Map ? [field] : itemsOf(field);
  for (const item of items) {
    if (item.value instanceof Map) {
      for (const [name, members] of item.value) {
        const path = `${item.path}.${name}`;
        addGroup(groups, requireName(item.path, name), namesOf({ path, value: members }));
      }
    } else for (const name of namesOf({ path: item.path, value: wordOf(item) })) addGroup(groups, name, []);
  }
  for (const [name, members] of groups) groups.set(name, [...new Set(members)].sort());
  return groups;
}

function addGroup(groups: Map<string, string[]>, name: string, members: readonly string[]): void {
  groups.set(name, [...(groups.get(name) ?? []), ...members]);
}
