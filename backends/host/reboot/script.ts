// SPDX-License-Identifier: Apache-2.0
// Ends a boot of a host, once, whatever hangs there.
import type { HostOwner, RebootRequest } from '../../host-driver.ts';
import { STATE_FOLDER } from '../job/job.ts';
import { quote } from '../job/shell.ts';
import { checkOnlyOf } from '../job/start-job.ts';
import { PRELUDE } from '../traces.ts';
import { HOLD, RELEASE } from './kubelet-hold.ts';

/** Services have this long to end by themselves. Beyond it one of them hangs, as a frozen kubelet does. */
export const GRACE_SECONDS = 45;

/** A service manager that was told to end at once. */
const FORCED_SECONDS = 20;

/** A ladder that is older than this has led nowhere: another one is begun. */
const STALE_SECONDS = 300;

const BOOT = String.raw`
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
if [ -z "$boot" ]; then say 'ts-provider: unknown'; exit 0; fi
`;

/**
 * From the polite to the rude, until the machine is down. The kernel's own emergency reboot is for machines alone: in a container, whose
 * processes are numbered anew, it would end the machine of everybody.
 */
const LADDER = String.raw`
# Beside the services it would be stopped with the first of them. At the very end nobody may wait for it.
[ "$1" = unit ] || trap '' TERM HUP INT
sleep 1
sync &
if [ -d /run/systemd/system ]; then
  bounded 20 systemctl --no-wall --ignore-inhibitors reboot || bounded 20 systemctl --no-wall reboot
else
  bounded 20 reboot
fi
sleep ${GRACE_SECONDS}
if [ -d /run/systemd/system ]; then bounded 10 systemctl --no-wall --force reboot; else bounded 10 reboot -f; fi
sleep ${FORCED_SECONDS}
if [ -d /run/systemd/system ]; then bounded 10 systemctl --no-wall --force --force reboot; else bounded 10 reboot -f -n; fi
sleep 5
if [ "$(readlink /proc/1/ns/pid)" = 'pid:[4026531836]' ] && [ ! -e /run/systemd/container ] && [ ! -e /.dockerenv ]; then
  echo 1 >/proc/sys/kernel/sysrq
  echo b >/proc/sysrq-trigger
fi
`;

/**
 * A unit that does not end with the others, or a session of its own. The folder has the boot in its name, should /run survive one. The
 * time is written last: who was cut off before has not begun.
 */
const CLIMB = String.raw`
uptime() { cut -d . -f 1 /proc/uptime; }
mark=/run/ts-provider-reboot-$boot
if [ -e "$mark" ] && [ $(( $(uptime) - $(cat "$mark/since" 2>/dev/null || echo 0) )) -gt ${STALE_SECONDS} ]; then rm -rf -- "$mark"; fi
if mkdir "$mark" 2>/dev/null; then
  cat >"$mark/ladder" <<'END_OF_LADDER'
${PRELUDE}${LADDER}END_OF_LADDER
  unit="ts-provider-reboot-$(uptime)"
  if ! { [ -d /run/systemd/system ] && have systemd-run && bounded 15 systemd-run --quiet --no-block --unit="$unit" \
    --property=DefaultDependencies=no /bin/sh "$mark/ladder" unit >/dev/null 2>&1; }; then
    setsid /bin/sh "$mark/ladder" session </dev/null >/dev/null 2>&1 &
  fi
  uptime >"$mark/since"
fi
say 'ts-provider: asked'
`;

/**
 * Prints `ts-provider: <word>`: `done`, the boot is over; `held`, and the kubelet has not run since; `asked`; `foreign <owner>`;
 * `unknown`, the host does not tell its boot; `unheld`, the kubelet cannot be kept from starting, and nothing was done.
 */
export function rebootScript({ owner, fromBootID, holdKubelet }: RebootRequest): string {
  return [
    PRELUDE,
    `state=${STATE_FOLDER}\n`,
    checkOnlyOf(owner),
    BOOT,
    HOLD,
    String.raw`
if [ "$boot" != ${quote(fromBootID)} ]; then
  since=$(held_since)
  if [ -n "$since" ] && [ "$since" != "$boot" ] && ! grep -qsx kubelet /proc/[0-9]*/comm; then say 'ts-provider: held'
  else say 'ts-provider: done'
  fi
  exit 0
fi
`,
    holdKubelet ? `hold_kubelet || { say 'ts-provider: unheld'; exit 0; }\nsync\n` : '',
    CLIMB,
    'exit 0\n',
  ].join('');
}

/** Prints `ts-provider: released` or `ts-provider: foreign <owner>`; anything else is a failure. */
export function releaseScript(owner: HostOwner): string {
  return [
    PRELUDE,
    `state=${STATE_FOLDER}\n`,
    checkOnlyOf(owner),
    HOLD,
    RELEASE,
    `release_kubelet && say 'ts-provider: released'\nexit 0\n`,
  ].join('');
}
