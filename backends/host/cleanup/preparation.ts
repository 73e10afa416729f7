// SPDX-License-Identifier: Apache-2.0
// The end of a preparation. Its configuration has been put back; here services follow, and software goes that never was of any use.
import { installedRemoval } from '../../../preparation/script.ts';
import { STATE_FOLDER } from '../job/job.ts';
import { PRELUDE } from '../traces.ts';

/**
 * Whoever has read a file that was put back reads it again; a container runtime whose unit was ours has no unit any more, and stops. Swap
 * is on where it was before.
 */
const SERVICES = String.raw`
state=${STATE_FOLDER}
[ -d "$state/preparation" ] || exit 0
changed() { grep -qsE "^(created-file|file) $1$" "$state/manifest"; }
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  if changed '/etc/systemd/journald\.conf\.d/.*'; then bounded 60 systemctl try-restart systemd-journald; fi
  if changed '/etc/systemd/timesyncd\.conf.*'; then bounded 60 systemctl try-restart systemd-timesyncd; fi
  if changed '/etc/(chrony/)?chrony\.conf'; then bounded 60 systemctl try-restart chronyd || bounded 60 systemctl try-restart chrony; fi 2>/dev/null
  for unit in kubelet containerd crio; do
    systemctl is-active --quiet "$unit" || continue
    if systemctl cat "$unit" >/dev/null 2>&1; then bounded 90 systemctl try-restart "$unit"; else bounded 90 systemctl stop "$unit"; fi
    systemctl reset-failed "$unit" 2>/dev/null
  done
  sed -n -e 's,^created-file /etc/systemd/system/\([^/]*\.swap\)$,\1,p' -e 's,^created-file /etc/systemd/system/\(zram[^/]*\.service\)$,\1,p' \
    "$state/manifest" 2>/dev/null | while read -r unit; do bounded 60 systemctl start "$unit"; done
fi
if changed /etc/fstab && have swapon; then bounded 60 swapon -a; fi
rm -f /run/ts-provider-runtime
`;

/** Files have their former content by now: packages that go find their own configuration, and take it along. */
export const PREPARATION_SCRIPT = `${PRELUDE}${SERVICES}${installedRemoval}`;
