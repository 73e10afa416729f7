// SPDX-License-Identifier: Apache-2.0
// Partitions and file systems with the tools of the host: lsblk, blkid, sfdisk, sgdisk, wipefs, mkfs.*. Careful with what is there: a
// disk in use is left alone unless it may be overwritten, and what is as wished stays.

/** `partition <disk> <table> <overwrite> <layout...>` and `filesystem <disk> <partition> <type> <label> <overwrite> <replaced> <options...>`. */
export const DISK_FUNCTIONS = String.raw`
need() { command -v "$1" >/dev/null 2>&1 || failed "the host has no $1: install it"; }
settle() { ! command -v udevadm >/dev/null 2>&1 || udevadm settle >/dev/null 2>&1 || true; }
find_disk() {
  [ -e "$1" ] || settle
  [ -e "$1" ] || failed "$1 is not there"
  settle
  disk=$(readlink -f -- "$1")
}
column() { lsblk --noheadings --raw --output "$1" --nodeps "$2" 2>/dev/null | head -n 1; }
reread() {
  settle
  if command -v partprobe >/dev/null 2>&1; then partprobe "$disk"; else blockdev --rereadpt "$disk"; fi || true
  settle
}
children() { lsblk --noheadings --raw --output NAME "$disk" | tail -n +2; }
type_of() { blkid -c /dev/null -s TYPE -o value "$1"; }
label_of() { blkid -c /dev/null -s LABEL -o value "$1"; }
is_used() { [ -n "$(children)" ] || [ -n "$(type_of "$disk")" ]; }

# Types of the partitions that are there, one a line.
found_types() {
  if [ "$table" = gpt ]; then
    LC_ALL=C sgdisk -p "$disk" | awk 'seen { code = $6; if (length(code) == 4 && code ~ /00$/) code = substr(code, 1, 2); print code } $1 == "Number" { seen = 1 }'
  else
    sfdisk --dump "$disk" 2>/dev/null | sed -n 's/.*type= *\([^, ]*\).*/\1/p'
  fi
}
# Whether number and types are the wanted ones already.
is_as_wished() {
  found=$(found_types)
  if [ "$1" = whole ]; then [ -n "$found" ]; return; fi
  [ "$(printf '%s\n' "$found" | grep -c .)" = "$#" ] || return 1
  for wanted; do
    have=$(printf '%s\n' "$found" | head -n 1)
    found=$(printf '%s\n' "$found" | tail -n +2)
    wanted=${'$'}{wanted#*:}
    [ -z "$wanted" ] || [ "$wanted" = "$have" ] || return 1
  done
}
wipe() {
  for name in $(children); do wipefs --all "/dev/$name" || failed "cannot wipe /dev/$name"; done
  size=$(blockdev --getsize64 "$disk") || failed "cannot measure $disk"
  dd if=/dev/zero of="$disk" bs=1048576 count=1 conv=notrunc 2>/dev/null || failed "cannot wipe $disk"
  dd if=/dev/zero of="$disk" bs=512 seek=$(( size / 512 - 2048 )) count=2048 conv=notrunc 2>/dev/null || failed "cannot wipe $disk"
  reread
}
sectors_of() { awk -v all="$sectors" -v percent="$1" 'BEGIN { printf "%d", int(all * (percent / 100)) }'; }

partition() {
  find_disk "$1"
  table=$2 overwrite=$3
  shift 3
  need lsblk; need blkid
  [ "$(column TYPE "$disk")" = disk ] || failed "$disk is not a disk"
  if [ "$1" = remove ]; then wipe; return; fi
  if [ "$table" = gpt ]; then need sgdisk; else need sfdisk; fi
  if is_as_wished "$@"; then echo "$disk has these partitions already"; return; fi
  if [ "$overwrite" = no ] && is_used; then echo "$disk is in use: left alone"; return; fi
  sectors=$(( $(blockdev --getsize64 "$disk") / $(blockdev --getss "$disk") )) || failed "cannot measure $disk"
  if [ "$table" = gpt ]; then partition_gpt "$@"; else partition_mbr "$@"; fi
  reread
}
partition_gpt() {
  sgdisk -Z "$disk" || failed "cannot clear $disk"
  number=0 count=$#
  for part; do
    number=$(( number + 1 ))
    end="+$(sectors_of "${'$'}{part%%:*}")"
    [ "$number" != "$count" ] || end=0
    sgdisk -n "$number:0:$end" "$disk" || failed "cannot make partition $number of $disk"
    code=${'$'}{part#*:}
    [ "$part" != whole ] || code=
    [ -z "$code" ] || sgdisk -t "$number:$(printf '%-4s' "$code" | tr ' ' 0)" "$disk" || failed "cannot type partition $number of $disk"
  done
}
partition_mbr() {
  if [ "$1" = whole ]; then
    echo '0,'
  else
    number=0 count=$#
    for part; do
      number=$(( number + 1 ))
      code=${'$'}{part#*:}
      size=$(sectors_of "${'$'}{part%%:*}")
      [ "$number" != "$count" ] || size=
      echo ",$size,${'$'}{code:-83}"
    done
  fi >"/run/ts-provider-sfdisk.$$"
  sfdisk --force "$disk" <"/run/ts-provider-sfdisk.$$" || failed "cannot partition $disk"
  rm -f "/run/ts-provider-sfdisk.$$"
}

# The first place for a file system of this type on the disk: it is there already, it may be replaced, or it is free.
find_place() {
  place= reuse=no raw=yes
  work=$(mktemp) || failed 'no temporary file'
  lsblk --noheadings --raw --output NAME,TYPE,FSTYPE,LABEL "$disk" >"$work" || failed "cannot look at $disk"
  while IFS=' ' read -r name kind fs fslabel; do
    if [ -n "$replaced" ] && [ "$1" = any ] && [ "$fs" = "$replaced" ]; then place=/dev/$name; break; fi
    if [ "$fs" = "$type" ] && { [ "$1" = any ] || [ "$fslabel" = "$name_of_fs" ]; }; then place=/dev/$name reuse=yes; break; fi
    case $kind in disk | part) ;; *) continue ;; esac
    if [ "$kind" != disk ] || [ -n "$fs" ]; then raw=no; fi
    if [ "$kind" != disk ] && [ -z "$fs" ]; then place=/dev/$name; break; fi
  done <"$work"
  rm -f "$work"
  if [ -z "$place" ] && [ "$raw" = yes ]; then place=$disk; fi
}
force_flag() {
  case $1 in *ext*) echo -F ;; btrfs | xfs | reiserfs | swap) echo -f ;; esac
}
filesystem() {
  find_disk "$1"
  where=$2 type=$3 name_of_fs=$4 overwrite=$5 replaced=$6
  shift 6
  need lsblk; need blkid
  case $where in
    auto | any)
      find_place "$where"
      if [ "$reuse" = yes ]; then echo "$place has this file system already"; return; fi
      if [ -z "$place" ]; then echo "$disk has no place for this file system: left alone"; return; fi
      ;;
    none) place=$disk ;;
    *)
      place=$disk$where
      # nvme0n1 and its like: nvme0n1p1.
      if ! [ -e "$place" ] && [ -e "${'$'}{disk}p$where" ]; then place=${'$'}{disk}p$where; fi
      if [ "$(type_of "$place")" = "$type" ] && [ "$(label_of "$place")" = "$name_of_fs" ] && [ "$overwrite" = no ]; then
        echo "$place has this file system already"
        return
      fi
      ;;
  esac
  make=mkfs.$type
  command -v "$make" >/dev/null 2>&1 || make=mk$type
  need "$make"
  force=
  if [ "$overwrite" = yes ] || [ "$(column TYPE "$place")" = disk ]; then force=$(force_flag "$type"); fi
  set -- ${'$'}{force:+"$force"} "$@" "$place"
  [ -z "$name_of_fs" ] || set -- -L "$name_of_fs" "$@"
  "$make" "$@" || failed "cannot make the file system on $place"
}
`;
