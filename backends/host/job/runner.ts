// SPDX-License-Identifier: Apache-2.0
// The program that walks through the steps of a job on its host. For dash, bash and busybox.
import type { Job } from './job.ts';
import { quote } from './shell.ts';

/** Sets the folders where programs of a system are. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Line of the log in front of what a step said. */
export const LOG_MARK = '== ts-provider step';

/**
 * Whether something still works on the job. Whatever a step started keeps the lock as well: a runner that was killed leaves a step
 * behind that must end before anything else is begun. Without flock, the process ids that the lock folder names are looked at.
 */
export const LOCK_FUNCTIONS = String.raw`
# Nothing for a process that has ended, also when nobody has asked for its exit code yet.
started_at() {
  set -- $(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null)
  [ "$1" = Z ] || echo "${'$'}{20}"
}
lives() { [ -n "$1" ] && [ -n "$2" ] && [ "$(started_at "$1")" = "$2" ]; }
holder_lives() {
  for one in runner step; do
    if read -r holder_pid holder_start 2>/dev/null <"$d/lock.d/$one"; then
      lives "$holder_pid" "$holder_start" && return 0
    fi
  done
  return 1
}
is_locked() {
  if command -v flock >/dev/null 2>&1; then
    [ -e "$d/lock" ] && ! flock -n "$d/lock" true
  else
    [ -d "$d/lock.d" ] && holder_lives
  fi
}
`;

/**
 * Journal, one line for each, on the disk before anything else happens:
 * `begin`, `start <id> <hash>`, `success` (the success file is there), `end <id> <hash> <exit code>`,
 * `done succeeded`, `done failed <Reason> [<id> [<exit code>]]`.
 */
const BODY = String.raw`
umask 077
cd / || exit 1
[ -d "$d" ] || exit 0
take_lock() {
  if command -v flock >/dev/null 2>&1; then
    exec 9>>"$d/lock"
    # Whoever looks at the lock holds it for an instant.
    flock -n 9 || { sleep 1; flock -n 9; } || exit 0
    return
  fi
  mkdir -p "$d/lock.d"
  mine=$d/lock.d/$$
  echo "$$ $(started_at $$)" >"$mine"
  # A link appears with its content, and only once.
  if ! ln "$mine" "$d/lock.d/runner" 2>/dev/null; then
    dead=$(cat "$d/lock.d/runner" 2>/dev/null)
    if holder_lives; then rm -f "$mine"; exit 0; fi
    mv "$d/lock.d/runner" "$mine.old" 2>/dev/null
    # Somebody else was quicker: what was taken away is not what was seen.
    if [ "$(cat "$mine.old" 2>/dev/null)" != "$dead" ]; then
      ln "$mine.old" "$d/lock.d/runner" 2>/dev/null
      rm -f "$mine" "$mine.old"
      exit 0
    fi
    rm -f "$mine.old"
    ln "$mine" "$d/lock.d/runner" 2>/dev/null || { rm -f "$mine"; exit 0; }
  fi
  rm -f "$mine"
}
note() {
  # The clean-up may have taken the folder away.
  [ -d "$d" ] || exit 0
  # What is not written down has not happened: on a full disk nothing begins, and what began is not repeated.
  printf '%s\n' "$*" 2>/dev/null >>"$d/journal" || exit 1
  sync "$d/journal" 2>/dev/null || sync
}
noted() { grep -q "$1" "$d/journal" 2>/dev/null; }
fail() { note "done failed $*"; exit 1; }
now() { read -r up rest </proc/uptime; echo "${'$'}{up%%.*}"; }
finish() {
  note 'done succeeded'
  rm -rf "$d/steps" "$d/secrets" "$d/log" "$d/timed-out" "$d"/rc.*
  exit 0
}
has_succeeded() { noted '^success$' || [ -e "$success" ]; }

run_step() {
  rm -f "$d/timed-out" "$d/rc.$file"
  printf '\n%s %s\n' "$mark" "$id" >>"$d/log"
  # The step says itself how it ended: the runner may be killed meanwhile.
  ( umask 022; exec setsid env -i PATH="$PATH" /bin/sh -c '/bin/sh "$1"; echo $? >"$2"' step "$d/steps/$file" "$d/rc.$file" ) </dev/null >>"$d/log" 2>&1 3<&- &
  pid=$!
  born=$(started_at "$pid")
  [ ! -d "$d/lock.d" ] || echo "$pid $born" >"$d/lock.d/step"
  # It outlives a runner that is killed, and kills nobody who came by the same number later.
  ( exec 9>&- 3<&-; exec setsid /bin/sh -c '
      sleep "$1"
      [ -n "$4" ] && [ "$(cut -d " " -f 22 "/proc/$3/stat" 2>/dev/null)" = "$4" ] || exit 0
      : >"$2/timed-out"
      kill -s KILL -- "-$3"
    ' watch "$left" "$d" "$pid" "$born" ) </dev/null >/dev/null 2>&1 &
  watch=$!
  wait "$pid"
  kill -s KILL -- "-$watch" 2>/dev/null
  kill -s KILL "$watch" 2>/dev/null
  wait "$watch" 2>/dev/null
  read_code || rc=137
}
read_code() { read -r rc 2>/dev/null <"$d/rc.$file"; }
ended() {
  [ -z "$success" ] || ! [ -e "$success" ] || noted '^success$' || note success
  note "end $id $sum $rc"
  [ ! -e "$d/timed-out" ] || fail "TimedOut $id"
}

take_lock
[ ! -s "$d/journal" ] || [ -z "$(tail -c 1 "$d/journal")" ] || echo >>"$d/journal" || exit 1
noted '^done ' && exit 0
if ! noted '^begin$'; then
  [ -z "$success" ] || rm -f -- "$success"
  note begin
fi
deadline=$(( $(now) + limit ))
bad=
while read -r file id stage repeat on_failure sum seconds <&3; do
  if noted "^start $id " || noted "^end $id "; then
    noted "^start $id $sum$" || fail "ContentChanged $id"
  fi
  if noted "^end $id $sum "; then
    rc=$(sed -n "s/^end $id $sum //p" "$d/journal" | tail -n 1)
  elif noted "^start $id $sum$" && read_code; then
    ended
  else
    if noted "^start $id $sum$" && [ "$repeat" != yes ]; then
      [ ! -e "$d/timed-out" ] || fail "TimedOut $id"
      fail "Interrupted $id"
    fi
    actual=$(sha256sum <"$d/steps/$file")
    [ "${'$'}{actual%% *}" = "$sum" ] || fail "ContentChanged $id"
    left=$(( deadline - $(now) ))
    [ "$left" -gt 0 ] || fail "TimedOut $id"
    [ "${'$'}{seconds:--}" = - ] || [ "$seconds" -ge "$left" ] || left=$seconds
    note "start $id $sum"
    run_step
    ended
  fi
  if [ "$rc" != 0 ]; then
    [ "$on_failure" != stop ] || fail "StepFailed $id $rc"
    [ -n "$bad" ] || bad="$id $rc"
  fi
  last="$id $rc"
done 3<"$d/plan"
[ -n "$success" ] || finish
has_succeeded && finish
fail "SuccessFileMissing ${'$'}{bad:-$last}"
`;

/** The runner of one job, with everything in it that it needs. */
export function runnerScript(folder: string, job: Job): string {
  const settings = [
    `d=${quote(folder)}`,
    `limit=${Math.max(1, Math.floor(job.timeoutSeconds))}`,
    `success=${quote(job.successFile ?? '')}`,
    `mark=${quote(LOG_MARK)}`,
    `PATH=${SYSTEM_PATH}`,
    'export PATH',
  ];
  return `#!/bin/sh\n${settings.join('\n')}\n${LOCK_FUNCTIONS}${BODY}`;
}
