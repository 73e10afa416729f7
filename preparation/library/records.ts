// SPDX-License-Identifier: Apache-2.0
import { REMEMBER } from './remember.ts';

/**
 * What is written down of a preparation, all of it below /var/lib/ts-provider:
 * - manifest, before/: configuration that was changed, as the interpreter of cloud-config notes it; the clean-up puts it back;
 * - preparation/laid: `<impact> <step> <sha256> <path>`, what must stay as it is;
 * - preparation/installed: `package <name>`, `file <path>`, `folder <path>`, software that was not there before;
 * - preparation/incomplete: the hash of the plan that has begun; preparation/complete: `<hash> <kubernetes version>`.
 */
export const RECORDS = String.raw`
state=/var/lib/ts-provider
preparation=$state/preparation
say() { printf '%s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
# Reason of a condition, message: ends the step.
failed() {
  case "$1" in
    PreflightFailed) failed_code=71 ;;
    ArtifactsUnreachable) failed_code=72 ;;
    ChecksumMismatch) failed_code=73 ;;
    DiskFull) failed_code=74 ;;
    ProxyFailed) failed_code=75 ;;
    RepositoryUntrusted) failed_code=76 ;;
    PackageUnavailable) failed_code=77 ;;
    ImageUnavailable) failed_code=78 ;;
    *) failed_code=70 ;;
  esac
  shift
  printf 'error: %s\n' "$*" >&2
  exit "$failed_code"
}
free_kib() { df -Pk -- "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }
# The nearest folder that exists.
standing() {
  standing_at=$1
  while [ ! -d "$standing_at" ]; do standing_at=$(dirname -- "$standing_at"); done
  say "$standing_at"
}
# Folder, bytes: ends the step when they do not fit.
room() {
  room_in=$(standing "$1")
  room_free=$(free_kib "$room_in")
  room_needed=$(( $2 / 1024 + 4096 ))
  [ "${'$'}{room_free:-$room_needed}" -ge "$room_needed" ] ||
    failed DiskFull "$1: $(( room_free / 1024 )) MiB are free, $(( room_needed / 1024 + 1 )) MiB are needed"
}
# Folders that programs write to: the first that has nothing left.
full_folder() {
  for full in "$(standing "$preparation")" /usr /opt /etc /var/cache /var/lib /tmp /; do
    # What nobody writes to, such as the image of a system, may well be full.
    [ -d "$full" ] && [ -w "$full" ] || continue
    full_free=$(free_kib "$full")
    if [ "${'$'}{full_free:-4096}" -lt 1024 ]; then say "$full"; return 0; fi
  done
  return 1
}
no_space_on() { failed DiskFull "$1: no space left, $(( $(free_kib "$(standing "$1")") / 1024 )) MiB are free"; }
# Something could not be written: because of the disk, or else for the reason that is given.
unwritten() {
  ! unwritten_full=$(full_folder) || no_space_on "$unwritten_full"
  failed PreparationFailed "$1"
}
make_state() {
  [ -d "$state" ] || { mkdir -p -- "$state" && chmod 700 "$state"; } || return 1
  [ -d "$preparation" ] || mkdir -p -- "$preparation"
}
# File of our state, one line that it shall have.
note_line() {
  ! grep -Fxq -- "$2" "$1" 2>/dev/null || return 0
  make_state && printf '%s\n' "$2" >>"$1"
}
# File of our state; its content on standard input. It appears with all of it.
put_state() { make_state && cat >"$1.new" && mv -f -- "$1.new" "$1"; }
tell() { note_line "$state/manifest" "$1"; }
${REMEMBER}
label() { ! have restorecon || restorecon "$1" >/dev/null 2>&1 || true; }
# Path, mode; content on standard input. Nobody reads the content whom the mode does not allow. Behind a pipe, || exit.
put_file() {
  put_into=$(readlink -f -- "$1") || put_into=$1
  # A unit that is masked is a link to /dev/null, whose mode others rely on.
  [ ! -e "$put_into" ] || [ -f "$put_into" ] ||
    failed PreparationFailed "$1 leads to $put_into, which is no plain file: take it away (a unit that is masked: systemctl unmask)"
  if make_state && cat >"$preparation/new" && make_folder "$(dirname -- "$put_into")" && remember "$put_into" &&
    { [ -e "$put_into" ] || ( umask 077; : >"$put_into" ); } && chmod "$2" "$put_into" && cat "$preparation/new" >"$put_into"; then
    rm -f -- "$preparation/new"
    label "$put_into"
  else
    rm -f -- "$preparation/new"
    unwritten "$1 cannot be written"
  fi
}
# The same, with the content in base64.
write_file() { base64 -d | put_file "$1" "$2" || exit; }
mode_of() { stat -L -c %a -- "$1" 2>/dev/null; }
hash_of() { hash_line=$(sha256sum <"$1") && say "${'$'}{hash_line%% *}"; } 2>/dev/null
# Path, mode, SHA-256. What is so is laid down.
is_file() { [ -f "$1" ] && [ "0$(mode_of "$1")" = "$2" ] && [ "$(hash_of "$1")" = "$3" ] && lay "$1"; }
# Path, mode; content on standard input.
same_file() { same_hash=$(sha256sum) && is_file "$1" "$2" "${'$'}{same_hash%% *}"; }
# In a check, of files that are as they shall be: notes them, once the whole check has succeeded. Elsewhere it does nothing.
lay() {
  [ -n "$laying" ] || return 0
  for laid in "$@"; do say "$impact $step $(hash_of "$laid") $laid" >&3; done
}
# Kind, name: notes software before it is put there.
note_installed() { note_line "$preparation/installed" "$1 $2" || unwritten "$preparation/installed cannot be written"; }
note_file() { [ -e "$1" ] || [ -L "$1" ] || note_installed file "$1"; }
# A folder for software.
software_folder() {
  [ ! -d "$1" ] || return 0
  software_folder "$(dirname -- "$1")" || return 1
  note_installed folder "$1"
  mkdir -- "$1" || unwritten "$1 cannot be made"
}
has_systemd() { [ -d /run/systemd/system ]; }
`;

/** Goes through the steps. `plan_hash` is set in front of it; check_<id> and apply_<id> are functions. */
export const WALK = String.raw`
is_complete() { [ ! -e "$preparation/incomplete" ] && grep -q "^$plan_hash " "$preparation/complete" 2>/dev/null; }
# What is done to a host whose preparation is complete is a repair: it stays complete.
begin() {
  ! is_complete || return 0
  [ "$(cat "$preparation/incomplete" 2>/dev/null)" != "$plan_hash" ] || return 0
  say "$plan_hash" | put_state "$preparation/incomplete" && rm -f -- "$preparation/complete"
}
# Runs the check. Its lines of files become those of the step; the first word says who hears what it says.
checked() {
  if [ "$1" = quietly ]; then
    checked_lines=$( ( laying=yes; "check_$step" ) 3>&1 >/dev/null 2>&1 </dev/null ) || return 1
  else
    checked_lines=$( ( laying=yes; "check_$step" ) 3>&1 >&2 </dev/null ) || return 1
  fi
  laid_before=$(cat "$preparation/laid" 2>/dev/null)
  laid_now=$(
    {
      printf '%s\n' "$laid_before" | awk -v step="$step" 'NF && $2 != step'
      [ -z "$checked_lines" ] || printf '%s\n' "$checked_lines"
    } | sort
  )
  [ "$laid_now" = "$laid_before" ] || printf '%s\n' "$laid_now" | put_state "$preparation/laid" ||
    unwritten "$preparation/laid cannot be written"
}
# Id and impact of a step.
take() {
  step=$1 impact=$2 applied=
  if checked quietly; then
    say "$step: in place"
    return 0
  fi
  # It only looks.
  [ "$step" = preflight ] || begin || unwritten "$preparation/incomplete cannot be written"
  ( read_proxy; "apply_$step" ) </dev/null
  take_code=$?
  case "$take_code" in
    0) ;;
    7[0-8]) exit "$take_code" ;;
    *) unwritten "$step ended with exit code $take_code" ;;
  esac
  applied=yes
  checked aloud || unwritten "$step was applied, and its check still fails"
  say "$step: applied"
}
`;
