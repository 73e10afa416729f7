// SPDX-License-Identifier: Apache-2.0
// ssh_authorized_keys, ssh_pwauth, disable_root. Host keys stay: they are pinned.
import type { Step } from '../job/job.ts';
import { type Field, flagOf } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { stepOf } from './prelude.ts';
import { AUTHORIZE, authorize, keysOf } from './ssh-keys.ts';

/**
 * Keys of the document itself are for the default user in cloud-init, and for root only to tell whom to log in as. A host has no default
 * user: they are root's.
 */
export function sshSteps(keys: Field | undefined, disableRoot: Field | undefined): Step[] {
  if (flagOf(disableRoot, false))
    throw new InterpretError(
      'disable_root',
      'is not supported on hosts, which are reached as their user: leave it out',
    );
  if (keys === undefined || keys.value === null) return [];
  return [stepOf('ssh', 'ssh', AUTHORIZE + authorize('root', keysOf(keys), keys.path))];
}

const PASSWORDS = String.raw`
config=/etc/ssh/sshd_config
if ! [ -f "$config" ]; then echo "no $config: left alone"; exit 0; fi
if grep -q "^Include $config.d/\*\.conf" "$config"; then
  make_folder "$config.d" || failed "cannot make $config.d"
  config=$config.d/50-cloud-init.conf
fi
remember "$config" || failed "cannot keep $config"
[ -f "$config" ] || ( umask 077; : >"$config" ) || failed "cannot write $config"
work=$(mktemp) || failed 'no temporary file'
awk -v value="$value" '
  tolower($1) == "passwordauthentication" { print $1 " " value; seen = 1; next }
  { print }
  END { if (!seen) print "PasswordAuthentication " value }
' "$config" >"$work" || failed "cannot read $config"
cmp -s "$work" "$config" || { cat "$work" >"$config" && changed=yes; } || failed "cannot write $config"
rm -f "$work"
label "$config"
[ -n "$changed" ] && has_systemd || exit 0
for unit in ssh sshd; do
  ! systemctl is-active --quiet "$unit" || systemctl reload-or-restart "$unit" || failed "cannot reload $unit"
done
`;

/** Whether sshd takes passwords; "unchanged" is nothing. */
export function passwordSteps(field: Field | undefined): Step[] {
  if (field === undefined || field.value === null) return [];
  if (typeof field.value === 'string' && field.value.toLowerCase() === 'unchanged') return [];
  const value = flagOf(field, false) ? 'yes' : 'no';
  return [stepOf('set_passwords', 'set_passwords', `value=${value}\nchanged=${PASSWORDS}`)];
}
