// SPDX-License-Identifier: Apache-2.0
// The step that makes groups and users. Passwords go to programs through their input, never as words of a command.
import type { Step } from '../job/job.ts';
import { heredoc, quote } from '../job/shell.ts';
import { stepOf } from './prelude.ts';
import { AUTHORIZE, authorize, keysOf } from './ssh-keys.ts';
import type { User } from './users.ts';

/** Where cloud-init writes rules too. */
const SUDOERS = '/etc/sudoers.d/90-cloud-init-users';

const FUNCTIONS = String.raw`
is_user() { id -u "$1" >/dev/null 2>&1; }
is_group() { getent group "$1" >/dev/null 2>&1; }
add_group() {
  if is_group "$1"; then return 0; fi
  tell "group $1" && groupadd "$1" || echo "cannot make the group $1" >&2
}
add_member() {
  if is_user "$2"; then usermod -a -G "$1" "$2"; else echo "no user $2 for the group $1" >&2; fi
}
lock() { if command -v passwd >/dev/null 2>&1; then passwd -l "$1" >/dev/null; else usermod --lock "$1"; fi; }
# A rule that sudo cannot read would take sudo from everybody. What is there already is not added again.
add_rules() {
  make_folder "$(dirname "$1")" && chmod 750 "$(dirname "$1")" && remember "$1" || return 1
  work=$(mktemp -d) || return 1
  base64 -d >"$work/rules"
  { cat "$1" 2>/dev/null || printf '# Written by ts-provider\n'; } >"$work/all"
  if ! grep -Fxq -f "$work/rules" "$work/all"; then
    { echo; cat "$work/rules"; } >>"$work/all"
    if command -v visudo >/dev/null 2>&1 && ! visudo -c -q -f "$work/all" >&2; then rm -rf "$work"; return 1; fi
    if ! [ -e "$1" ]; then ( umask 337; : >"$1" ); fi
    cat "$work/all" >"$1"
  fi
  rm -rf "$work"
}
`;

/** Groups first, then users in their order; a user that cannot be made ends it, as in cloud-init. */
export function usersSteps(groups: ReadonlyMap<string, readonly string[]>, users: readonly User[]): Step[] {
  if (groups.size === 0 && users.length === 0) return [];
  const body = [
    AUTHORIZE,
    FUNCTIONS,
    ...[...groups].map(([name, members]) => group(name, members)),
    ...users.map(userScript),
  ];
  return [stepOf('users_groups', 'users_groups', body.join(''))];
}

function group(name: string, members: readonly string[]): string {
  const added = members.map(
    (member) =>
      `add_member ${quote(name)} ${quote(member)} || failed ${quote(`groups.${name}: cannot add ${member}`)}\n`,
  );
  return `add_group ${quote(name)}\n${added.join('')}`;
}

function userScript(user: User): string {
  const name = quote(user.name);
  const fail = (what: string): string => ` || failed ${quote(`${user.path}: cannot ${what} ${user.name}`)}`;
  const password = (hash: string, options: string): string =>
    `base64 -d ${heredoc(`${user.name}:${hash}\n`, ` | chpasswd ${options}${fail('set the password of')}`)}`;
  const parts = [
    `if ! is_user ${name}; then\n${newUser(user, fail)}${user.passwd === undefined ? '' : password(user.passwd, '-e')}fi\n`,
    user.plainTextPasswd === undefined ? '' : password(user.plainTextPasswd, ''),
    user.hashedPasswd === undefined ? '' : password(user.hashedPasswd, '-e'),
    user.lockPasswd ? `lock ${name}${fail('lock the password of')}\n` : '',
    sudoRules(user),
    user.keys === undefined ? '' : authorize(user.name, keysOf(user.keys), user.keys.path),
  ];
  return parts.join('');
}

function newUser(user: User, fail: (what: string) => string): string {
  const lines = [
    ...groupsToMake(user).map((name) => `add_group ${quote(name)}`),
    `tell ${quote(`user ${user.name}`)}`,
    `useradd ${[user.name, ...useraddOptions(user)].map(quote).join(' ')}${fail('make')}`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** The primary group only together with others, as in cloud-init. */
function groupsToMake({ groups, primaryGroup, createGroups }: User): string[] {
  if (groups.length === 0 || !createGroups) return [];
  return [...groups, ...(primaryGroup === undefined ? [] : [primaryGroup])];
}

function useraddOptions(user: User): string[] {
  const pairs: [option: string, value: string | undefined][] = [
    ...user.options,
    ['--groups', user.groups.length === 0 ? undefined : user.groups.join(',')],
    ['--gid', user.primaryGroup],
  ];
  const flags: [option: string, isSet: boolean][] = [
    ['--no-user-group', user.noUserGroup],
    ['--system', user.system],
    ['--no-log-init', user.noLogInit],
  ];
  return [
    ...pairs.flatMap(([option, value]) => (value === undefined ? [] : [option, value])),
    ...flags.filter(([, isSet]) => isSet).map(([option]) => option),
    user.noCreateHome || user.system ? '-M' : '-m',
  ];
}

function sudoRules({ name, path, sudo }: User): string {
  if (sudo.length === 0) return '';
  const rules = [`# User rules for ${name}`, ...sudo.map((rule) => `${name} ${rule}`)];
  const text = rules.map((rule) => `${rule}\n`).join('');
  return `add_rules ${SUDOERS} ${heredoc(text, ` || failed ${quote(`${path}.sudo: cannot be written, or sudo could not read it`)}`)}`;
}
