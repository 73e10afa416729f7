// SPDX-License-Identifier: Apache-2.0
// What the bootstrap data changed on the host, as the host itself remembers it. Where it remembers nothing the other steps are enough for
// everything of a cluster.
import { STATE_FOLDER } from '../job/job.ts';
import { HOSTS_MARKER, PRELUDE } from '../traces.ts';
import { REMOVAL } from './removal.ts';

/**
 * Lines of the manifest: `created-file`, `created-folder`, `file` (its former content is kept under before/), `user`, `group`, `fstab`.
 * Mounts end before their folders go, folders go when they are empty, the innermost first. Users go with their processes and homes.
 */
const MANIFEST = String.raw`
state=${STATE_FOLDER}
told() { # word
  sed -n "s/^$1 //p" "$state/manifest"
}
if [ -f "$state/manifest" ]; then
  told fstab | while read -r mounted; do
    case "$mounted" in /?*) ;; *) continue ;; esac
    if awk -v path="$mounted" '$2 == path { found = 1 } END { exit !found }' /proc/self/mounts; then unmount "$mounted"; fi
  done
  told user | while read -r name; do
    if ! grep -q "^$name:" /etc/passwd; then continue; fi
    if have pkill; then pkill -KILL -U "$name"; fi
    if have userdel; then userdel --force --remove "$name" 2>/dev/null; else deluser --remove-home "$name"; fi
  done
  told group | while read -r name; do
    if ! grep -q "^$name:" /etc/group; then continue; fi
    if have groupdel; then groupdel "$name"; else delgroup "$name"; fi
  done
  # The tools keep what was there before their last change, in which the user still is.
  if [ -n "$(told user)$(told group)" ]; then
    for table in passwd shadow group gshadow subuid subgid; do
      if [ -f "/etc/$table-" ] && [ -f "/etc/$table" ]; then cat "/etc/$table" >"/etc/$table-"; fi
    done
  fi
  told created-file | while IFS= read -r path; do
    case "$path" in /?*) if [ ! -d "$path" ]; then rm -f -- "$path"; fi ;; esac
  done
  told file | while IFS= read -r path; do
    if [ -f "$state/before$path" ] && [ -d "$(dirname -- "$path")" ] && ! cmp -s -- "$state/before$path" "$path"; then
      # Into the file that is there, since others may have it open or mounted; what it is to be owned by is copied as well.
      cat -- "$state/before$path" >"$path"
    fi
    if [ -f "$state/before$path" ] && [ -f "$path" ]; then
      chown --reference="$state/before$path" -- "$path" 2>/dev/null
      chmod --reference="$state/before$path" -- "$path" 2>/dev/null
    fi
  done
  told created-folder | awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' | while IFS= read -r path; do
    case "$path" in /?*) if [ -d "$path" ]; then rmdir -- "$path" 2>/dev/null; fi ;; esac
  done
fi
`;

/** The name that the kernel has follows the file that was put back. */
const NAME = String.raw`
if grep -qs '^file /etc/hostname$' "$state/manifest" && [ -s /etc/hostname ]; then
  name=$(sed -n '/^[^#]/{p;q;}' /etc/hostname)
  if [ -n "$name" ] && [ "$name" != "$(uname -n)" ]; then
    if have hostnamectl && [ -d /run/systemd/system ]; then hostnamectl set-hostname "$name" 2>/dev/null || hostname "$name"; else hostname "$name"; fi
  fi
fi
`;

/** Into the same file, as some hosts have it mounted. */
const HOSTS = String.raw`
if grep -q ' ${HOSTS_MARKER}$' /etc/hosts 2>/dev/null; then
  kept=$(grep -v ' ${HOSTS_MARKER}$' /etc/hosts)
  if [ -n "$kept" ]; then say "$kept" >/etc/hosts; else : >/etc/hosts; fi
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl reset-failed kubelet 2>/dev/null
fi
exit 0
`;

/** Puts back what the bootstrap data changed, and takes away what they made. */
export const MANIFEST_SCRIPT = [PRELUDE, REMOVAL, MANIFEST, NAME, HOSTS].join('');
