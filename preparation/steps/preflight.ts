// SPDX-License-Identifier: Apache-2.0
// What is looked at before anything is changed: all that would only fail later, and say less then.
import { quote } from '../shell.ts';
import type { PreparationInput } from '../input.ts';
import type { PreparationStep } from '../step.ts';

const MIB = 1024;

/** KiB that must be free where the container runtime keeps its data, and where programs are put. */
const DATA_SPACE = 2048 * MIB;
const PROGRAM_SPACE = 512 * MIB;

/** KiB of memory: kubeadm refuses a control plane machine with less than 1700 MB; a machine of 1 GiB shows a little less than that. */
const CONTROL_PLANE_MEMORY = 1700 * MIB;
const WORKER_MEMORY = 900 * MIB;

/** The kubelet refuses cgroup v1 from this minor on (`failCgroupV1`), and kubeadm wants kernel 5.4 instead of 4.19. */
const STRICT_MINOR = 35;

/** What other machines connect to, of the ports that Kubernetes listens on: a firewall must let them through. */
const REACHED_PORTS: readonly number[] = [6443, 2379, 2380, 10250];

/** The step `preflight`. Every check of it that fails is in one message; `ignorePreflight` of the spec takes the names of checks. */
export function preflightSteps(input: PreparationInput): PreparationStep[] {
  const controlPlane = input.mustServe.includes(6443);
  const strict = minorOf(input.kubernetesVersion) >= STRICT_MINOR;
  const settings = [
    `ignored=${quote((input.spec.ignorePreflight ?? []).join(' '))}`,
    `version=${quote(input.kubernetesVersion)}`,
    `node_address=${quote(input.network.nodeAddress ?? '')}`,
    `ports=${quote(input.mustServe.join(' '))}`,
    `reached=${quote(REACHED_PORTS.filter((port) => input.mustServe.includes(port)).join(' '))}`,
    `least_memory=${controlPlane ? CONTROL_PLANE_MEMORY : WORKER_MEMORY}`,
    `least_kernel=${strict ? '5.4' : '4.19'}`,
    `takes_cgroup_v1=${strict ? 'no' : 'yes'}`,
    `data=${input.spec.containerRuntime?.type === 'crio' ? '/var/lib/containers' : '/var/lib/containerd'}`,
    `programs=${input.spec.source?.artifacts === undefined ? '/usr' : '/usr/local'}`,
  ];
  const checks = [
    ...['operating_system', 'host_name', 'ports', 'disk', 'cgroups', 'kernel', 'memory', 'firewall'],
    'leftovers',
  ].map((name) => `check_${name}`);
  const look = [...settings, FUNCTIONS, FIREWALL, 'problems= names= others=', ...checks, ''].join('\n');
  return [
    {
      id: 'preflight',
      impact: 'none',
      deadlineSeconds: 120,
      check: `${look}[ -z "$problems" ]\n`,
      apply: `${look}${REPORT}`,
    },
  ];
}

function minorOf(version: string): number {
  return Number(/^v?\d+\.(\d+)/.exec(version)?.[1] ?? 0);
}

const FUNCTIONS = String.raw`
problem() { # name of the check, what was found and what to do
  case " $ignored " in *" $1 "*) return 0 ;; esac
  problems="${'$'}{problems:+$problems; }$1: $2"
  case "$1" in OperatingSystem | Systemd) others=yes ;; *) names="${'$'}{names:+$names, }$1" ;; esac
}
check_operating_system() {
  case "$family" in
    debian | rhel | suse | flatcar) ;;
    *) problem OperatingSystem "'$os_id' is of no family that can be prepared: use Debian, Ubuntu, RHEL and its kin, SUSE or Flatcar" ;;
  esac
  case "$arch" in
    amd64 | arm64) ;;
    *) problem OperatingSystem "the processor is '$(uname -m)': use amd64 or arm64" ;;
  esac
  [ -d /run/systemd/system ] || problem Systemd "systemd is not the first process: use an operating system that is booted with it"
}
# A name that does not resolve gets a line in /etc/hosts later. A resolver that does not answer holds up everything for seconds each time.
check_host_name() {
  name=$(uname -n)
  case "$name" in
    '' | localhost | localhost.* | '(none)')
      problem HostName "the host is called '$name', and so would others be: give it a name of its own with hostnamectl"
      return 0 ;;
    *[!A-Za-z0-9.-]* | [.-]* | *[.-])
      problem HostName "'$name' cannot be the name of a Node: give the host one of letters, digits, '-' and '.' with hostnamectl"
      return 0 ;;
  esac
  if awk -v name="$name" '{ sub(/#.*/, ""); for (i = 2; i <= NF; i++) if ($i == name) found = 1 } END { exit !found }' /etc/hosts 2>/dev/null; then
    return 0
  fi
  have getent && have timeout || return 0
  for _ in 1 2; do
    timeout 1 getent hosts "$name" >/dev/null 2>&1
    [ "$?" -ge 124 ] || return 0
  done
  servers=$(awk '$1 == "nameserver" { printf "%s%s", separator, $2; separator = ", " }' /etc/resolv.conf 2>/dev/null)
  problem HostName "no answer for '$name' within a second from ${'$'}{servers:-any name server}: correct /etc/resolv.conf, or put '${'$'}{node_address:-<address>} $name' into /etc/hosts"
}
holder_of() { # inode of a socket
  # shellcheck disable=SC2012 # find of busybox does not know where a link leads.
  pid=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v socket="socket:[$1]" '/^\/proc\// { folder = $0 } index($0, socket) { split(folder, part, "/"); print part[3]; exit }')
  if [ -n "$pid" ]; then
    read -r comm 2>/dev/null <"/proc/$pid/comm"
    say "${'$'}{comm:-?} (process $pid)"
  else
    say 'somebody'
  fi
}
check_ports() {
  taken=
  for port in $ports; do
    inode=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$(printf '%04X' "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }')
    [ -z "$inode" ] || taken="${'$'}{taken:+$taken, }$port by $(holder_of "$inode")"
  done
  [ -z "$taken" ] || problem Ports "taken are $taken: Kubernetes needs them, stop who listens there"
}
space_for() { # KiB, folder that may not be there yet
  folder=$2
  while [ ! -d "$folder" ]; do folder=$(dirname -- "$folder"); done
  df -Pk -- "$folder" 2>/dev/null | awk -v needed="$1" 'NR == 2 { print $6, $4, needed }'
}
# One file system may hold several of the folders: what they need adds up.
check_disk() {
  # What has begun had all that room, and has filled some of it by now: a try that follows must not fail for that.
  [ "$(cat "$preparation/incomplete" 2>/dev/null)" != "$plan_hash" ] || return 0
  [ "$family" != flatcar ] || programs=/opt
  short=$({ space_for ${DATA_SPACE} "$data"; space_for ${PROGRAM_SPACE} "$programs"; } |
    awk '{ free[$1] = $2; needed[$1] += $3 }
      END { for (mount in free) if (free[mount] < needed[mount]) {
        printf "%s%s has %d MiB free, %d MiB are needed", separator, mount, free[mount] / 1024, needed[mount] / 1024
        separator = ", "
      } }')
  [ -z "$short" ] || problem Disk "$short: make room, or put a larger disk there"
}
check_cgroups() {
  if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    if [ "$takes_cgroup_v1" = no ]; then
      problem Cgroups "cgroup v1 is mounted, which the kubelet of $version refuses: boot with systemd.unified_cgroup_hierarchy=1, or give the kubelet failCgroupV1: false"
    fi
    return 0
  fi
  missing=
  for controller in cpu cpuset memory pids; do
    grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || missing="$missing $controller"
  done
  [ -z "$missing" ] || problem Cgroups "the kernel does not offer$missing: see cgroup_disable and cgroup_enable of its command line"
}
check_kernel() {
  uname -r | awk -F '[.-]' -v least="$least_kernel" '{ split(least, want, "."); exit !($1 + 0 > want[1] + 0 || ($1 + 0 == want[1] + 0 && $2 + 0 >= want[2] + 0)) }' ||
    problem Kernel "$(uname -r) is older than $least_kernel, the least for Kubernetes $version: install a newer kernel"
}
check_memory() {
  total=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
  if [ "${'$'}{total:-0}" -lt "$least_memory" ]; then
    problem Memory "$((${'$'}{total:-0} / 1024)) MiB, $((least_memory / 1024)) MiB are needed: use a larger machine"
  fi
}
check_leftovers() {
  found=
  for path in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/kubernetes/controller-manager.conf \
    /etc/kubernetes/scheduler.conf /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/etcd.yaml \
    /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/etcd/member /var/lib/rancher/k3s /var/lib/rancher/rke2 \
    /var/lib/k0s /var/snap/microk8s/current; do
    [ ! -e "$path" ] || found="${'$'}{found:+$found, }$path"
  done
  [ -z "$found" ] || problem Leftovers "of another cluster there are $found: reset the host, such as with kubeadm reset"
}
`;

/** Firewalls are left alone; one that keeps other machines out is told. */
const FIREWALL = String.raw`
# Prints what ufw lets in, one port or range a line, and 'all'.
ufw_lets_in() {
  ufw status verbose 2>/dev/null | awk '
    /^Default:/ && /allow \(incoming\)/ { print "all" }
    / ALLOW/ && $1 == "Anywhere" { print "all" }
    / ALLOW/ && $1 !~ /\/udp$/ { sub(/\/tcp$/, "", $1); count = split($1, part, ","); for (i = 1; i <= count; i++) print part[i] }'
}
# The same of firewalld, in every zone that has an interface.
firewalld_lets_in() {
  for zone in $(firewall-cmd --get-active-zones 2>/dev/null | awk '/^[^ \t]/ { print $1 }'); do
    [ "$(firewall-cmd --permanent --zone="$zone" --get-target 2>/dev/null)" != ACCEPT ] || say all
    for service in $(firewall-cmd --zone="$zone" --list-services 2>/dev/null); do
      firewall-cmd --info-service="$service" 2>/dev/null | sed -n 's/^ *ports: *//p'
    done
    firewall-cmd --zone="$zone" --list-ports 2>/dev/null
  done | tr ' ' '\n' | sed -n -e '/^all$/p' -e 's/\/tcp$//p'
}
closed_ports() { # what is let in, one a line on standard input
  awk -v ports="$reached" '
    $1 == "all" { all = 1 }
    { count = split($1, end, /[:-]/); first[NR] = end[1] + 0; last[NR] = end[count] + 0 }
    END {
      count = split(ports, port, " ")
      for (i = 1; i <= count && !all; i++) {
        open = 0
        for (j = 1; j <= NR; j++) if (port[i] + 0 >= first[j] && port[i] + 0 <= last[j]) open = 1
        if (!open) { printf "%s%s", separator, port[i]; separator = ", " }
      }
    }'
}
check_firewall() {
  [ -n "$reached" ] || return 0
  if have ufw && ufw status 2>/dev/null | grep -q '^Status: active'; then
    closed=$(ufw_lets_in | closed_ports)
    [ -z "$closed" ] || problem Firewall "ufw is active and lets nobody in at $closed: allow these ports, or disable it"
  fi
  if have firewall-cmd && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
    closed=$(firewalld_lets_in | closed_ports)
    [ -z "$closed" ] || problem Firewall "firewalld is active and lets nobody in at $closed: add these ports, or disable it"
  fi
}
`;

const REPORT = String.raw`
[ -n "$problems" ] || return 0
hint=
[ -z "$names" ] || hint=" (host.preparation.ignorePreflight: [$names] goes on all the same)"
if [ "$names" = Disk ] && [ -z "$others" ]; then failed DiskFull "$problems$hint"; fi
failed PreflightFailed "$problems$hint"
`;
