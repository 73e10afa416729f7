// SPDX-License-Identifier: Apache-2.0
import { quote } from '../shell.ts';

/**
 * Configuration of an earlier preparation that this one no longer has. The manifest knows every file of ours, also of a preparation that
 * was interrupted; what was there before us comes back.
 */
export const STALE = String.raw`
# Shell pattern, paths to keep: the other files of ours that it fits.
stale_files() {
  # An earlier preparation has left nothing behind this one's end. What the manifest has then besides our files is of the bootstrap.
  ! is_complete || return 0
  stale_pattern=$1
  shift
  for kept_path; do
    shift
    set -- "$@" "$(readlink -f -- "$kept_path" || say "$kept_path")"
  done
  sed -n 's/^created-file //p; s/^file //p' "$state/manifest" 2>/dev/null | while IFS= read -r stale; do
    # shellcheck disable=SC2254 # It is a pattern.
    case "$stale" in $stale_pattern) ;; *) continue ;; esac
    for kept_path; do [ "$kept_path" != "$stale" ] || continue 2; done
    is_put_back "$stale" || say "$stale"
  done
}
is_put_back() {
  if grep -Fxq -- "file $1" "$state/manifest"; then cmp -s -- "$state/before$1" "$1"; else [ ! -e "$1" ] && [ ! -L "$1" ]; fi
}
put_back() { # paths, one a line on standard input
  while IFS= read -r stale; do
    if grep -Fxq -- "file $stale" "$state/manifest"; then
      cp -p -- "$state/before$stale" "$stale" || unwritten "$stale cannot be put back"
      continue
    fi
    rm -f -- "$stale"
    stale_folder=$(dirname -- "$stale")
    if grep -Fxq -- "created-folder $stale_folder" "$state/manifest"; then rmdir -- "$stale_folder" 2>/dev/null; fi
  done
}
`;

/** A command that prints the stale files among those that the patterns fit. */
export function staleFiles(patterns: readonly string[], keep: readonly string[]): string {
  const commands = patterns.map((pattern) => `stale_files ${[pattern, ...keep].map(quote).join(' ')}`);
  return `{ ${commands.join('; ')}; }`;
}
