// SPDX-License-Identifier: Apache-2.0

/** What a host takes of a manifest of artifacts. The step that reads it is `artifacts_manifest`; `$artifacts` is the base URL. */
export const ARTIFACTS = String.raw`
artifacts_manifest=$preparation/artifacts
downloads=$preparation/downloads
# Kind, name, version: the line of the manifest for this machine. Without a version, or with its first parts, the highest.
artifact() {
  awk -v kind="$1" -v name="$2" -v want="${'$'}{3#v}" -v platform="linux-$arch" '
    function key(version, part, i, text) {
      split(version, part, /[.+~-]/)
      for (i = 1; i <= 3; i++) text = text sprintf("%08d", part[i])
      return text
    }
    /^#/ || $3 != kind || $4 != name || $6 != platform { next }
    {
      version = $5; sub(/^v/, "", version)
      if (want != "" && version != want && index(version, want ".") != 1) next
      if (best == "" || key(version) >= best) { best = key(version); found = $0 }
    }
    END { if (found == "") exit 1; print found }' "$artifacts_manifest" 2>/dev/null
}
# The same; ends the step when there is none.
need_artifact() {
  artifact "$@" || failed PackageUnavailable "$artifacts has no $1 $2${'$'}{3:+ $3} for linux-$arch"
}
# Puts the file of a line of the manifest at a path: line, path, mode.
get_artifact() {
  get_path=$2 get_mode=$3
  set -- $1
  download "$artifacts/$7" "$1" "$get_path" "${'$'}{get_mode:-0644}" "$2"
}
word() { shift "$1"; say "$1"; }
# Line of the manifest: its program is there.
has_program() {
  set -- $1
  [ -x "$bindir/$4" ] && [ "$(hash_of "$bindir/$4")" = "$1" ] && lay "$bindir/$4"
}
put_program() {
  software_folder "$bindir"
  note_file "$bindir/$(word 4 $1)"
  get_artifact "$1" "$bindir/$(word 4 $1)" 0755
}
# What an archive put there is written in a file beside it, which outlives the clean-up as the software does.
unpacked_record() { say "/opt/ts-provider/$1"; }
# Line of an archive, folder: everything of it is there.
is_unpacked() {
  unpacked=$(unpacked_record "$(word 4 $1)")
  [ "$(sed -n 1p "$unpacked" 2>/dev/null)" = "# $(word 1 $1) $2" ] && sed 1d "$unpacked" | sha256sum -c >/dev/null 2>&1
}
# Line of an archive, folder of the archive ('.' is its top), folder that gets the files of it.
unpack() {
  unpack_name=$(word 4 $1)
  unpack_to=$downloads/$unpack_name
  mkdir -p -- "$downloads" && rm -rf -- "$unpack_to" && mkdir -- "$unpack_to" || unwritten "$downloads cannot be written"
  get_artifact "$1" "$unpack_to.tar.gz"
  room "$unpack_to" $(( $(word 2 $1) * 3 ))
  room "$3" $(( $(word 2 $1) * 3 ))
  # No program of the archive needs an owner or a mode but these.
  gzip -dc "$unpack_to.tar.gz" | ( cd "$unpack_to" && tar -xf - --no-same-owner ) || unwritten "$unpack_name: its archive cannot be read"
  software_folder "$3"
  software_folder /opt/ts-provider
  note_file "$(unpacked_record "$unpack_name")"
  say "# $(word 1 $1) $3" >"$unpack_to.record" || unwritten "$downloads cannot be written"
  for unpack_file in "$unpack_to/$2"/*; do
    [ -f "$unpack_file" ] || continue
    unpack_target=$3/$(basename -- "$unpack_file")
    note_file "$unpack_target"
    if ! cmp -s -- "$unpack_file" "$unpack_target"; then
      cp -- "$unpack_file" "$unpack_target.part" && chmod 0755 "$unpack_target.part" && mv -f -- "$unpack_target.part" "$unpack_target" ||
        unwritten "$unpack_target cannot be written"
      label "$unpack_target"
    fi
    sha256sum "$unpack_target" >>"$unpack_to.record" || unwritten "$downloads cannot be written"
  done
  [ "$(wc -l <"$unpack_to.record")" -gt 1 ] || failed PackageUnavailable "the archive $unpack_name has no files in $2"
  cp -- "$unpack_to.record" "$(unpacked_record "$unpack_name")" || unwritten "$(unpacked_record "$unpack_name") cannot be written"
  rm -rf -- "$unpack_to" "$unpack_to.tar.gz" "$unpack_to.record"
}
`;
