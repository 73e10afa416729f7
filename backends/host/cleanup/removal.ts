// SPDX-License-Identifier: Apache-2.0
// Removing things with care: nothing behind a mount point, nothing with an empty name, nothing that is a folder of the system.

/** Shell functions of the steps that remove. */
export const REMOVAL = String.raw`
# Paths in /proc/self/mounts have octal escapes for blanks and the like.
unmount() {
  path=$(printf '%b' "$(say "$1" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')")
  bounded 15 umount "$path" 2>/dev/null || bounded 15 umount -l "$path"
}
# The innermost first; a mount point that was mounted over is there more than once.
unmount_each() {
  awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' | while read -r mounted; do
    unmount "$mounted"
  done
}
mounted_below() {
  awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts
}
unmount_below() {
  mounted_below "$1" | unmount_each
}
# Everything below the present folder, but for what is mounted there.
wipe_here() {
  find . -xdev ! -type d -exec rm -f -- {} +
  find . -xdev -depth -mindepth 1 -type d -exec rmdir -- {} +
}
# Empties a folder, which may be a link to where the data really are, but for what is mounted in it.
empty() {
  [ -n "$1" ] && [ -d "$1" ] || return 0
  (
    cd -P -- "$1" || exit 1
    case "$PWD" in
      /?*/?*) ;;
      *) echo "$1 leads to $PWD: not emptied" >&2; exit 1 ;;
    esac
    unmount_below "$PWD"
    # A bind mount of the same filesystem looks like a folder of it.
    if [ -n "$(mounted_below "$PWD")" ]; then echo "something is still mounted below $PWD: not emptied" >&2; exit 1; fi
    wipe_here
  )
}
# Removes a file, a link, or a folder with what is in it.
remove() {
  case "$1" in
    /?*/?*) ;;
    *) return 0 ;;
  esac
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    empty "$1"
    rmdir "$1" 2>/dev/null || { unmount "$1" 2>/dev/null; rmdir "$1"; }
  elif [ -e "$1" ] || [ -L "$1" ]; then
    rm -f -- "$1"
  fi
}
`;
