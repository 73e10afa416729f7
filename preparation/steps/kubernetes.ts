// SPDX-License-Identifier: Apache-2.0
// Kubernetes' own programs, of exactly one version, whatever was there before.
import type { PreparationInput } from '../input.ts';
import { parseVersion } from '../kubernetes-version.ts';
import type { PreparationStep } from '../step.ts';
import { artifactsPrefix } from './artifacts.ts';
import { UNITS } from './unit.ts';

/** The steps `cni_plugins` and `kubernetes`. */
export function kubernetesSteps(input: PreparationInput): PreparationStep[] {
  const offline = isOffline(input);
  return [
    stepOf(input, { id: 'cni_plugins', impact: 'none' }, offline ? PLUGIN_ARCHIVE : PLUGIN_PACKAGE),
    stepOf(input, { id: 'kubernetes', impact: 'disruptive' }, offline ? PROGRAMS : PACKAGES),
  ];
}

/** The step `kubelet_unit`: the kubelet starts with each boot, and with kubeadm. */
export function kubeletUnitSteps(input: PreparationInput): PreparationStep[] {
  return [stepOf(input, { id: 'kubelet_unit', impact: 'restart' }, isOffline(input) ? UNIT : ENABLED)];
}

function isOffline({ spec }: PreparationInput): boolean {
  return spec.source?.artifacts !== undefined;
}

function stepOf(
  input: PreparationInput,
  step: Pick<PreparationStep, 'id' | 'impact'>,
  [check, apply]: readonly [string, string],
): PreparationStep {
  const { tag, number } = parseVersion(input.kubernetesVersion);
  const prefix = `${artifactsPrefix(input)}tag=${tag} version=${number}\n`;
  return { ...step, deadlineSeconds: 1200, check: prefix + check, apply: prefix + apply };
}

const PLUGIN_ARCHIVE = [
  'line=$(artifact archive cni-plugins) && is_unpacked "$line" /opt/cni/bin\n',
  'line=$(need_artifact archive cni-plugins) || exit\nunpack "$line" . /opt/cni/bin\n',
] as const;

const PLUGIN_PACKAGE = [
  'package_version kubernetes-cni >/dev/null\n',
  'install_packages kubernetes-cni\n',
] as const;

/** Of kubeadm, which no longer calls it, crictl is a convenience: a manifest without it will do. */
const PROGRAMS = [
  String.raw`
for name in kubelet kubeadm kubectl; do
  line=$(artifact binary "$name" "$tag") && has_program "$line" || return 1
done
if line=$(artifact binary crictl); then has_program "$line" || return 1; fi
`,
  String.raw`
for name in kubelet kubeadm kubectl; do
  line=$(need_artifact binary "$name" "$tag") || exit
  has_program "$line" || put_program "$line"
done
if line=$(artifact binary crictl); then has_program "$line" || put_program "$line"; fi
`,
] as const;

/** Programs that artifacts once put there would be found before those of the packages. */
const SHADOWS = String.raw`
set -- kubelet kubeadm kubectl
shadows() {
  for shadow in kubelet kubeadm kubectl crictl; do
    for folder in /usr/local/bin /opt/bin; do
      if [ -e "$folder/$shadow" ] || [ -L "$folder/$shadow" ]; then say "$folder/$shadow"; fi
    done
  done
}
`;

const PACKAGES = [
  String.raw`${SHADOWS}
for name in "$@"; do has_package "$name" "$version" || return 1; done
package_version cri-tools >/dev/null && is_held "$@" && [ -z "$(shadows)" ]
`,
  String.raw`${SHADOWS}
release_hold "$@"
install_packages "kubelet=$version" "kubeadm=$version" "kubectl=$version" cri-tools
hold "$@"
for shadow in $(shadows); do rm -f -- "$shadow"; done
`,
] as const;

const UNIT_TEXT = String.raw`
kubelet_service() {
  say "# Written by ts-provider
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=$bindir/kubelet
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target"
}
kubeadm_drop_in() {
  say "# Written by ts-provider: what kubeadm expects
[Service]
Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"
Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
EnvironmentFile=-/etc/sysconfig/kubelet
ExecStart=
ExecStart=$bindir/kubelet \$KUBELET_KUBECONFIG_ARGS \$KUBELET_CONFIG_ARGS \$KUBELET_KUBEADM_ARGS \$KUBELET_EXTRA_ARGS"
}
kubelet_unit=/etc/systemd/system/kubelet.service
has_units() {
  kubelet_service | same_file "$kubelet_unit" 0644 && kubeadm_drop_in | same_file "$kubelet_unit.d/10-kubeadm.conf" 0644
}
`;

const UNIT = [
  `${UNITS}${UNIT_TEXT}has_units && is_enabled kubelet\n`,
  String.raw`${UNITS}${UNIT_TEXT}
if ! has_units; then
  kubelet_service | put_file "$kubelet_unit" 0644 || exit
  kubeadm_drop_in | put_file "$kubelet_unit.d/10-kubeadm.conf" 0644 || exit
fi
enable_unit kubelet
`,
] as const;

/** The packages bring their unit; one of ours would win over it. */
const ENABLED = [
  `${UNITS}! grep -qs '^# Written by ts-provider' /etc/systemd/system/kubelet.service && is_enabled kubelet\n`,
  String.raw`${UNITS}
if grep -qs '^# Written by ts-provider' /etc/systemd/system/kubelet.service; then
  rm -f /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
fi
enable_unit kubelet
`,
] as const;
