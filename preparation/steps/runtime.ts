// SPDX-License-Identifier: Apache-2.0
// The software that runs containers. Its configuration and its start are others' steps.
import type { PreparationInput } from '../input.ts';
import { PreparationError } from '../preparation-error.ts';
import { quote } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { artifactsPrefix } from './artifacts.ts';
import { UNITS } from './unit.ts';

/** The step `runtime`. */
export function runtimeSteps(input: PreparationInput): PreparationStep[] {
  const runtime = input.spec.containerRuntime ?? {};
  const crio = runtime.type === 'crio';
  if (runtime.type !== 'crio' && /^[01](\.|$)/.test(runtime.version ?? '')) {
    throw new PreparationError('containerRuntime.version', 'containerd is needed from version 2 on');
  }
  const offline = input.spec.source?.artifacts !== undefined;
  const settings = `${artifactsPrefix(input)}version=${quote(runtime.version ?? '')}\n${UNITS}${CONTAINERD_2}`;
  const [check, apply] = crio ? (offline ? CRIO_ARTIFACTS : CRIO_PACKAGES) : offline ? ARTIFACTS : PACKAGES;
  return [
    {
      id: 'runtime',
      impact: 'restart',
      deadlineSeconds: 1200,
      check: settings + check,
      apply: settings + apply,
    },
  ];
}

type Bodies = readonly [check: string, apply: string];

/** Our configuration is of version 3, which older ones refuse. */
const CONTAINERD_2 = String.raw`
is_containerd_2() {
  case "$(containerd --version 2>/dev/null | awk '{ print $3 }')" in
    v[2-9].* | [2-9].*) return 0 ;;
  esac
  return 1
}
`;

/** Docker has no packages for SUSE, which has containerd itself. */
const PACKAGES: Bodies = [
  String.raw`
case "$family" in suse) name=containerd ;; *) name=containerd.io ;; esac
has_package "$name" "$version" && is_containerd_2 && have runc && is_enabled containerd
`,
  String.raw`
case "$family" in suse) name=containerd ;; *) name=containerd.io ;; esac
has_package "$name" "$version" && is_containerd_2 && have runc || install_packages "$name${'$'}{version:+=$version}"
is_containerd_2 || failed PackageUnavailable "the package $name is version $(package_version "$name"), and containerd is needed from version 2 on: take another repository, or artifacts"
enable_unit containerd
`,
];

const CRIO_PACKAGES: Bodies = [
  'has_package cri-o "$version" && have crio && is_enabled crio\n',
  'has_package cri-o "$version" || install_packages "cri-o${version:+=$version}"\nenable_unit crio\n',
];

/** As containerd's own has it, but for limits: a host that is a container may not raise them, and the defaults of systemd do. */
const CONTAINERD_UNIT = String.raw`
containerd_unit() {
  say "# Written by ts-provider
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$1
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target"
}
unit_file=/etc/systemd/system/containerd.service
# Some systems bring containerd with them; version 2 of it will do where the manifest has none.
own_containerd() { is_containerd_2 && systemctl cat containerd >/dev/null 2>&1; }
runc_line=$(artifact binary runc) || runc_line=
`;

const ARTIFACTS: Bodies = [
  String.raw`${CONTAINERD_UNIT}
if line=$(artifact archive containerd "$version"); then
  is_unpacked "$line" "$bindir" && containerd_unit "$bindir/containerd" | same_file "$unit_file" 0644 || return 1
else
  own_containerd || return 1
fi
if [ -n "$runc_line" ]; then has_program "$runc_line" || return 1; fi
have runc && is_enabled containerd
`,
  String.raw`${CONTAINERD_UNIT}
if line=$(artifact archive containerd "$version"); then
  is_unpacked "$line" "$bindir" || unpack "$line" bin "$bindir"
  containerd_unit "$bindir/containerd" | same_file "$unit_file" 0644 || containerd_unit "$bindir/containerd" | put_file "$unit_file" 0644 || exit
else
  own_containerd || need_artifact archive containerd "$version"
fi
if [ -n "$runc_line" ]; then
  has_program "$runc_line" || put_program "$runc_line"
else
  have runc || need_artifact binary runc
fi
enable_unit containerd
`,
];

/** The archive of CRI-O has its programs in bin/: crio, conmon or conmon-rs, crun or runc, pinns. */
const CRIO_UNIT = String.raw`
crio_unit() {
  say "# Written by ts-provider
[Unit]
Description=Container Runtime Interface for OCI (CRI-O)
Documentation=https://cri-o.io
Wants=network-online.target
Before=kubelet.service
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/crio
EnvironmentFile=-/etc/sysconfig/crio
Environment=GOTRACEBACK=crash
Environment=PATH=$bindir:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=$bindir/crio
ExecReload=/bin/kill -s HUP \$MAINPID
TasksMax=infinity
OOMScoreAdjust=-999
TimeoutStartSec=0
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target"
}
unit_file=/etc/systemd/system/crio.service
`;

const CRIO_ARTIFACTS: Bodies = [
  String.raw`${CRIO_UNIT}
line=$(artifact archive crio "$version") && is_unpacked "$line" "$bindir" && crio_unit | same_file "$unit_file" 0644 && is_enabled crio
`,
  String.raw`${CRIO_UNIT}
line=$(need_artifact archive crio "$version") || exit
is_unpacked "$line" "$bindir" || unpack "$line" bin "$bindir"
crio_unit | same_file "$unit_file" 0644 || crio_unit | put_file "$unit_file" 0644 || exit
enable_unit crio
`,
];
