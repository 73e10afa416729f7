// SPDX-License-Identifier: Apache-2.0
// The end of everything that runs: first who starts processes, then the processes.
import { FIND_PROCESSES, PRELUDE } from '../traces.ts';

/**
 * A bootstrap that still goes on would build what the steps behind this one take down. Its runner goes first, then the steps: whatever a
 * step started holds the lock of its job. Programs that serve others are spared, should a step have started them. `$own` is our own job.
 */
const STOP_JOBS = String.raw`
state=/var/lib/ts-provider
is_spared() {
  read -r comm 2>/dev/null <"/proc/$1/comm" || return 0
  case "$comm" in containerd|dockerd|sshd|systemd*|init|chronyd|ntpd) return 0 ;; esac
  return 1
}
holders() { # of the files of a job, by process id
  ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v lock="-> $1/lock" '
    /^\/proc\// { split($0, part, "/"); pid = part[3] }
    substr($0, length($0) - length(lock) + 1) == lock { print pid }' | sort -u
}
mentions() { # of the folder of a job among the arguments
  for file in $(grep -lsF "$1" /proc/[0-9]*/cmdline); do
    if tr '\000' '\n' 2>/dev/null <"$file" | grep -qE "^$1(/|$)"; then say "$file" | cut -d / -f 3; fi
  done
}
# A download may be cut off, but not what unpacks and configures. apt gives its dpkg none of our files and a session of its own.
installs() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v holders=" $(holders "$1" | tr '\n' ' ')" '
    { match($0, /\) [A-Za-z] [0-9]+ /); split(substr($0, RSTART, RLENGTH), part, " "); name = substr($0, index($0, "(") + 1) }
    name ~ /^(dpkg|dnf|(rpm|yum|zypper|microdnf)\))/ && (index(holders, " " $1 " ") || index(holders, " " part[3] " ")) { found = 1 }
    END { exit !found }'
}
for job in "$state"/jobs/*; do
  [ -d "$job" ] && [ "${'$'}{job##*/}" != "$own" ] || continue
  # What a job that has ended left running. Without systemd that may be a service of the host's own.
  if grep -qs '^done ' "$job/journal" && [ ! -d /run/systemd/system ]; then continue; fi
  # A package manager that is killed leaves a host that nobody can install anything on.
  case "$job" in */haproxy-*|*/keepalived-*)
    waited=0
    while [ "$waited" -lt 120 ] && [ -n "$(holders "$job")" ]; do sleep 1; waited=$((waited + 1)); done ;;
  */prepare-*|*/repair-*)
    # Without its runner nothing else is begun behind the step that goes on.
    for pid in $(mentions "$job/run"); do kill -s KILL "$pid" 2>/dev/null; done
    waited=0
    while [ "$waited" -lt 120 ] && installs "$job"; do sleep 1; waited=$((waited + 1)); done ;;
  esac
  # Again, since a runner may have begun its next step meanwhile.
  if [ -d /run/systemd/system ]; then bounded 20 systemctl stop "ts-provider-${'$'}{job##*/}.service" 2>/dev/null; fi
  for round in 1 2 3; do
    for pid in $(mentions "$job") $(holders "$job"); do
      is_spared "$pid" && continue
      # With its group, where it leads one.
      kill -s KILL -- "-$pid" 2>/dev/null
      kill -s KILL "$pid" 2>/dev/null
    done
  done
done
`;

/**
 * Without manifests, configuration and credentials a kubelet has nothing to run, not after a reboot either. Whether its unit is enabled is
 * left as it is: packages enable it, and it waits for its configuration then.
 */
const STOP_KUBELET = String.raw`
stop_service() {
  if [ -d /run/systemd/system ]; then
    bounded 60 systemctl stop "$1" 2>/dev/null
    systemctl reset-failed "$1" 2>/dev/null
  elif have rc-service; then
    bounded 60 rc-service --ifexists "$1" stop >/dev/null 2>&1
  elif [ -x "/etc/init.d/$1" ]; then
    bounded 60 "/etc/init.d/$1" stop >/dev/null 2>&1
  fi
}
disarm() {
  rm -f /etc/kubernetes/*.conf /var/lib/kubelet/config.yaml
  for manifest in /etc/kubernetes/manifests/* /etc/kubernetes/manifests/.[!.]*; do
    if [ -e "$manifest" ] || [ -L "$manifest" ]; then rm -f -- "$manifest"; fi
  done
  for path in /etc/kubernetes/*.conf /var/lib/kubelet/config.yaml /etc/kubernetes/manifests/* /etc/kubernetes/manifests/.[!.]*; do
    if [ -f "$path" ] || [ -L "$path" ]; then armed=$path; fi
  done
}
armed=
# Folders of a ClusterConfiguration that wants others: only what is deleted here knows of them.
note_folders() {
  {
    sed -n -e 's/^ *- --client-ca-file=\(.*\)\/ca\.crt$/pki \1/p' -e 's/^ *- --data-dir=/etcd /p' /etc/kubernetes/manifests/*.yaml
    sed -n 's/^ *clientCAFile: *"*\(.*\)\/ca\.crt"*$/pki \1/p' /var/lib/kubelet/config.yaml
  } 2>/dev/null | while read -r kind folder; do
    if [ -d "$state" ]; then say "$kind $folder" >>"$state/folders"; fi
  done
}
note_folders
stop_service kubelet
disarm
# One that no service manager knows. Whoever starts it again starts one that waits for its configuration.
for comm in $(grep -lsx kubelet /proc/[0-9]*/comm); do
  pid=${'$'}{comm#/proc/}
  kill -s KILL "${'$'}{pid%/comm}" 2>/dev/null
done
`;

const STOP_CONTAINERS = String.raw`
if have ctr && [ -S /run/containerd/containerd.sock ]; then
  for task in $(bounded 10 ctr --connect-timeout 3s -n k8s.io tasks list -q 2>/dev/null); do
    bounded 10 ctr -n k8s.io tasks kill --all --signal SIGKILL "$task" >/dev/null 2>&1
  done
fi
if [ -d /run/systemd/system ] && systemctl is-active --quiet kubepods.slice 2>/dev/null; then
  bounded 30 systemctl stop kubepods.slice 2>/dev/null
fi
`;

/** An etcd of somebody else's is not ours to kill; the probe goes on to name it. */
const KILL = String.raw`
ours() {
  cluster_processes | while read -r pid name; do
    if [ "$name" = etcd ] && ! grep -qsE '[:/]kubepods' "/proc/$pid/cgroup"; then
      tr '\000' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -q '/etc/kubernetes/' || continue
    fi
    say "$pid $name"
  done
}
left=$(ours)
tries=0
while [ -n "$left" ] && [ "$tries" -lt 20 ]; do
  say "$left" | while read -r pid name; do
    kill -s KILL "$pid" 2>/dev/null
  done
  [ "$tries" -eq 0 ] || sleep 1
  tries=$((tries + 1))
  left=$(ours)
done
if [ -n "$armed" ]; then
  echo "error: cannot be removed, a reboot would bring the node back: $armed"
  exit 1
fi
if [ -n "$left" ]; then
  echo "error: cannot be ended: $(say "$left" | tr '\n' ',')"
  exit 1
fi
exit 0
`;

/** Nothing of a cluster runs behind it, and nothing of it comes back with a reboot. Fails when a process cannot be ended, or its files cannot go. */
export function fenceScript(jobID: string): string {
  return [PRELUDE, FIND_PROCESSES, `own='${jobID}'\n`, STOP_JOBS, STOP_KUBELET, STOP_CONTAINERS, KILL].join(
    '',
  );
}
