// SPDX-License-Identifier: Apache-2.0

/**
 * `make_folder path` and `remember path`, to be called before something is changed: they note it in `$state/manifest` and keep what was
 * there below `$state/before`, and the clean-up puts it back. Who uses them has `tell line`, which writes to the manifest.
 */
export const REMEMBER = String.raw`make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname -- "$1")" || return 1
  tell "created-folder $1" && mkdir -- "$1"
}
remember() {
  kept=$(readlink -f -- "$1") || kept=$1
  ! grep -Fxq -e "file $kept" -e "created-file $kept" "$state/manifest" 2>/dev/null || return 0
  if [ -f "$kept" ]; then
    mkdir -p -- "$state/before$(dirname -- "$kept")" && cp -p -- "$kept" "$state/before$kept" && tell "file $kept"
  elif [ ! -e "$kept" ]; then
    tell "created-file $kept"
  fi
}`;
