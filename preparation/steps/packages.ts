// SPDX-License-Identifier: Apache-2.0
// What Kubernetes needs of the distribution.
import type { PreparationInput } from '../input.ts';
import { PreparationError } from '../preparation-error.ts';
import { quote } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { artifactsPrefix } from './artifacts.ts';

/** The step `packages`: programs that kubeadm, the kubelet and kube-proxy call, and `input.packages`. */
export function packagesSteps(input: PreparationInput): PreparationStep[] {
  const wrong = input.packages.findIndex((name) => !/^[a-z0-9][a-z0-9+.-]*$/.test(name));
  if (wrong >= 0) throw new PreparationError(`packages[${wrong}]`, 'is no name of a package');
  const offline = input.spec.source?.artifacts !== undefined;
  const settings = `${artifactsPrefix(input)}more=${quote(input.packages.join(' '))}\n`;
  return [
    {
      id: 'packages',
      impact: 'none',
      deadlineSeconds: 1200,
      check: settings + (offline ? OFFLINE_CHECK : ONLINE_CHECK),
      apply: settings + (offline ? OFFLINE_APPLY : ONLINE_APPLY),
    },
  ];
}

const NAMES = String.raw`
case "$family" in
  debian) set -- conntrack ebtables ethtool iproute2 iptables kmod mount socat util-linux ;;
  rhel) set -- conntrack-tools ethtool iproute iproute-tc iptables kmod socat util-linux ;;
  suse) set -- conntrack-tools ebtables ethtool iproute2 iptables kmod socat util-linux ;;
  *) failed PackageUnavailable "$os_name has no packages: take artifacts" ;;
esac
set -- "$@" $more
`;

const ONLINE_CHECK = String.raw`${NAMES}
for name in "$@"; do package_version "$name" >/dev/null || return 1; done
`;

const ONLINE_APPLY = String.raw`${NAMES}
missing=
for name in "$@"; do package_version "$name" >/dev/null || missing="$missing $name"; done
install_packages $missing
`;

/**
 * The packages of a platform are a set with all that it depends on: those that are missing or older are installed, together. Where the
 * manifest has none for this system, what is there must do.
 */
const OFFLINE = String.raw`
# Lines of packages that are to be installed.
wanted_packages() {
  grep " package .* $os_id-$os_version-$arch " "$artifacts_manifest" | while read -r line; do
    set -- $line
    have_version=$(package_version "$4") && is_at_least "$have_version" "$5" || say "$line"
  done
}
is_at_least() {
  [ "$family" != debian ] || dpkg --compare-versions "$1" ge "$2"
}
missing_programs() {
  for program in conntrack ip iptables losetup mount; do have "$program" || say "$program"; done
  for name in $more; do package_version "$name" >/dev/null || have "$name" || say "$name"; done
}
`;

const OFFLINE_CHECK = String.raw`${OFFLINE}
[ -z "$(wanted_packages)" ] && [ -z "$(missing_programs)" ]
`;

const OFFLINE_APPLY = String.raw`${OFFLINE}
mend_packages
wanted_packages >"$preparation/wanted" || unwritten "$preparation/wanted cannot be written"
if [ -s "$preparation/wanted" ]; then
  mkdir -p -- "$downloads" || unwritten "$downloads cannot be made"
  set --
  while read -r line; do
    file=$downloads/$(basename -- "$(word 7 $line)")
    get_artifact "$line" "$file"
    note_packages "$(word 4 $line)"
    set -- "$@" "$file"
  done <"$preparation/wanted"
  room /usr "$(awk '{ sum += $2 } END { printf "%d", sum * 4 }' "$preparation/wanted")"
  install_package_files "$@"
  rm -f -- "$@"
fi
rm -f -- "$preparation/wanted"
missing=$(missing_programs | tr '\n' ' ')
[ -z "$missing" ] || failed PackageUnavailable "$artifacts has no packages for $os_id-$os_version-$arch that bring what is missing: $missing"
`;
