// SPDX-License-Identifier: Apache-2.0
// mounts: lines of /etc/fstab, and the mounts that they say.
import type { Step } from '../job/job.ts';
import { quote } from '../job/shell.ts';
import { deviceName, type Aliases } from './device-name.ts';
import { type Field, itemsOf, wordOf } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { stepOf } from './prelude.ts';

/** What a field is that an entry does not have. A mount that cannot be made does not keep a host from booting. */
const DEFAULTS: readonly (string | undefined)[] = [undefined, undefined, 'auto', 'defaults,nofail', '0', '2'];

/** By this we know our lines. mount passes over it. */
const COMMENT = 'comment=ts-provider';

const FUNCTIONS = String.raw`
fstab=/etc/fstab
work=$(mktemp -d) || failed 'no temporary folder'
[ -f "$fstab" ] || : >"$fstab"
remember "$fstab" || failed "cannot keep $fstab"
grep -v '${COMMENT}' "$fstab" >"$work/others"
: >"$work/ours"
# path and number of the partition, which may be empty: what it is called, or nothing when it is not there.
device_of() {
  part=
  for suffix in "${'$'}{2:-1}" "p${'$'}{2:-1}" "-part${'$'}{2:-1}"; do
    if [ -z "$part" ] && [ -e "$1$suffix" ]; then part=$1$suffix; fi
  done
  [ -z "$2" ] || [ -n "$part" ] || return 1
  block=/sys/block/$(basename -- "$(readlink -f -- "$1")")
  [ -z "$part" ] || block=$block/$(basename -- "$(readlink -f -- "$part")")
  [ -e "$block" ] || return 1
  printf '%s\n' "${'$'}{part:-$1}"
}
# device as it was written, path and number (both empty: it is no path), the other five fields
entry() {
  device=$1
  if [ -n "$2" ]; then device=$(device_of "$2" "$3") || device=$1; fi
  if awk -v device="$device" '$1 == device { found = 1 } END { exit !found }' "$work/others"; then
    echo "$device is in $fstab already: left alone"
    return
  fi
  case $4 in /*) make_folder "$4" || echo "cannot make $4" >&2; tell "fstab $4" ;; esac
  [ "$5" != swap ] || swap=yes
  printf '%s\t%s\t%s\t%s,${COMMENT}\t%s\t%s\n' "$device" "$4" "$5" "$6" "$7" "$8" >>"$work/ours"
}
swap=
`;

const END = String.raw`
cat "$work/others" "$work/ours" >"$work/all"
cmp -s "$work/all" "$fstab" || cat "$work/all" >"$fstab" || failed "cannot write $fstab"
rm -rf "$work"
[ -z "$swap" ] || swapon -a || echo 'swapon -a failed' >&2
mount -a || echo 'mount -a failed' >&2
! has_systemd || systemctl daemon-reload
`;

/** A mount point of null takes back what was said of the device before. */
export function mountsSteps(
  mounts: Field | undefined,
  defaults: Field | undefined,
  aliases: Aliases,
): Step[] {
  const fill = defaultsOf(defaults);
  let entries: Entry[] = [];
  for (const item of itemsOf(mounts)) {
    const entry = entryOf(item, fill);
    if (entry.fields[1] === undefined)
      entries = entries.filter((other) => other.fields[0] !== entry.fields[0]);
    else entries.push(entry);
  }
  if (entries.length === 0) return [];
  const calls = entries.map((entry) => `entry ${wordsOf(entry, aliases).map(quote).join(' ')}\n`);
  return [stepOf('mounts', 'mounts', FUNCTIONS + calls.join('') + END)];
}

interface Entry {
  readonly path: string;
  readonly fields: readonly (string | undefined)[];
}

function defaultsOf(field: Field | undefined): readonly (string | undefined)[] {
  if (field === undefined || field.value === null) return DEFAULTS;
  const fields = itemsOf(field).map(fieldOf);
  if (fields.length === DEFAULTS.length && fields.slice(2).every((one) => one !== undefined)) return fields;
  throw new InterpretError(field.path, 'is not a list of six, of which the last four are strings');
}

function entryOf(item: Field, fill: readonly (string | undefined)[]): Entry {
  const fields = itemsOf(item).map(fieldOf);
  if (fields.length > DEFAULTS.length) throw new InterpretError(item.path, 'has more than six fields');
  if (fields[0] === undefined) throw new InterpretError(item.path, 'does not name a device');
  return { path: item.path, fields: fill.map((one, index) => fields[index] ?? one) };
}

function fieldOf(field: Field): string | undefined {
  if (field.value === null) return undefined;
  const word = wordOf(field);
  if (/\s/.test(word)) throw new InterpretError(field.path, 'holds a blank: write it as \\040');
  return word;
}

function wordsOf({ path, fields }: Entry, aliases: Aliases): string[] {
  const [device = '', mountPoint = '', ...rest] = fields.map((field) => field ?? '');
  const { path: file, partition } = deviceName({ path, value: device }, aliases);
  return [device, file, partition, mountPoint, ...rest];
}
