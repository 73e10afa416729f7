// SPDX-License-Identifier: Apache-2.0
import { STATE } from '../library.ts';

/**
 * For a service that has to read its changed configuration: the restart is owed before a file is written and paid behind it, so whoever
 * comes after an interruption between the two still restarts the service.
 */
export const RESTARTS = String.raw`
owes_restart() { [ -e "${STATE}/restart-$1" ]; }
owe_restart() { make_state && : >"${STATE}/restart-$1" || unwritten "${STATE}/restart-$1 cannot be written"; }
last_words() { journalctl -u "$1" -n 3 -o cat 2>/dev/null | tr '\n' ' '; }
pay_restart() { # name of the debt, unit, verb of systemctl such as try-restart
  owes_restart "$1" || return 0
  if has_systemd && systemctl cat "$2" >/dev/null 2>&1; then
    pay_said=$(systemctl "$3" "$2" 2>&1) || failed PreparationFailed "systemctl $3 $2: $pay_said $(last_words "$2")"
  fi
  rm -f -- "${STATE}/restart-$1"
}
`;
