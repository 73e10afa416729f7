// SPDX-License-Identifier: Apache-2.0
// Functions of the shell that several steps need. Each step is a script of its own, so each carries them.
import { REMEMBER } from '../../../preparation/library/remember.ts';
import { STATE_FOLDER } from '../job/job.ts';
import { heredoc, quote } from '../job/shell.ts';
import type { Step } from '../job/job.ts';

/**
 * `remember` notes in the manifest what is about to be changed, and keeps what was there: the clean-up puts it back. Lines are
 * `file <path>` (kept under before/), `created-file <path>`, `created-folder <path>`, `user <name>`, `group <name>`, `fstab <mount point>`.
 */
const FUNCTIONS = String.raw`
state=${STATE_FOLDER}
failed() { echo "error: $*" >&2; exit 1; }
tell() {
  if ! [ -d "$state" ]; then mkdir -p "$state" && chmod 700 "$state"; fi || return 1
  grep -Fxq -- "$1" "$state/manifest" 2>/dev/null || printf '%s\n' "$1" >>"$state/manifest"
}
${REMEMBER}
label() { ! command -v restorecon >/dev/null 2>&1 || restorecon "$1" >/dev/null 2>&1 || true; }
# path, append or replace, mode (0: leave it), user and group; content on standard input, in base64.
write_file() {
  make_folder "$(dirname -- "$1")" && remember "$1" || return 1
  if [ "$2" = append ]; then base64 -d >>"$1"; else base64 -d >"$1"; fi || return 1
  [ "$3" = 0 ] || chmod "$3" "$1" || return 1
  [ -z "$4" ] || chown "$4" "$1" || return 1
  label "$1"
}
has_systemd() { [ -d /run/systemd/system ]; }
`;

/** A step that uses them. A failure inside says `error: ` and the field. */
export function stepOf(id: string, stage: string, body: string, repeatable = { repeatable: true }): Step {
  return { id, stage, script: `${FUNCTIONS}${body}`, ...repeatable, onFailure: 'continue' };
}

/** A file to write. Mode 0 leaves the mode alone, as cloud-init does; so does an empty owner with the owner. */
export interface FileToWrite {
  /** For messages. */
  readonly field: string;
  readonly path: string;
  readonly content: string | Buffer;
  readonly append: boolean;
  readonly mode: number;
  /** `user`, `user:group`, `:group` or ''. */
  readonly owner: string;
}

/** Ends the step when it cannot be written. */
export function writeFile({ field, path, content, append, mode, owner }: FileToWrite): string {
  const words = [
    path,
    append ? 'append' : 'replace',
    mode === 0 ? '0' : mode.toString(8).padStart(4, '0'),
    owner,
  ];
  const command = `write_file ${words.map((word) => (word === '' ? "''" : quote(word))).join(' ')}`;
  return `${command} ${heredoc(content, ` || failed ${quote(`${field} ${path}`)}`)}`;
}
