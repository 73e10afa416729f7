// SPDX-License-Identifier: Apache-2.0

/** Units of systemd: `enable_unit name` and `is_enabled name`. The link that systemd makes goes away with the clean-up. */
export const UNITS = String.raw`
unit_link() { say "/etc/systemd/system/multi-user.target.wants/$1.service"; }
is_enabled() { ! have systemctl || [ -L "$(unit_link "$1")" ]; }
enable_unit() {
  have systemctl || return 0
  make_folder "$(dirname -- "$(unit_link "$1")")" && { [ -L "$(unit_link "$1")" ] || tell "created-file $(unit_link "$1")"; } ||
    unwritten "$1 cannot be enabled"
  ! has_systemd || systemctl daemon-reload
  enable_said=$(systemctl enable "$1" 2>&1) || unwritten "systemctl enable $1: $enable_said"
}
`;
