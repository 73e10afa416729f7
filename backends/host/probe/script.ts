// SPDX-License-Identifier: Apache-2.0
// The program that looks at a host. It changes nothing there, loads no kernel module and ends within a second on a healthy host.
// It prints lines of a word and its values; what they mean is decided in parse-facts.ts and parse-occupants.ts.
import {
  CHAINS,
  CLUSTER_PATHS,
  CNI_FILES,
  DATA_FOLDERS,
  FIND_LINKS,
  FIND_MOUNTS,
  FIND_PROCESSES,
  HAPROXY_MARKER,
  HOSTS_MARKER,
  KEEPALIVED_CONFIG,
  PRELUDE,
  SETS,
  SHARED_ADDRESS,
  TABLES,
} from '../traces.ts';
import { PROBE_PREPARATION, PROBE_REGISTRIES } from './preparation.ts';

/** The last line: an answer without it was cut off, and proves nothing. */
export const END = 'end of probe';

/** Without these the script would find nothing, whatever there is. */
const TOOLS = String.raw`
for tool in awk cat cut date find grep head ls readlink sed sort tr uname; do
  have "$tool" || say "unseen file $tool is not there: install it"
done
`;

const FACTS = String.raw`
shared=$(shared_address)
say "clock $(date +%s)"
say "hostname $(uname -n)"
say "kernel $(uname -r)"
say "machine $(uname -m)"
say "cpus $(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
sed -n 's/^MemTotal: *\([0-9]*\).*/memory \1/p' /proc/meminfo
say "boot $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
for release in /etc/os-release /usr/lib/os-release; do
  if [ -r "$release" ]; then
    sed -n -e 's/^ID=/os &/p' -e 's/^ID_LIKE=/os &/p' -e 's/^VERSION_ID=/os &/p' "$release"
    break
  fi
done
if [ -d /run/systemd/system ]; then say 'service systemd'; else say 'service other'; fi

for disk in /sys/block/*; do
  [ -r "$disk/size" ] && read -r sectors <"$disk/size" && say "disk ${'$'}{disk##*/} $sectors"
done
for link in /sys/class/net/*; do
  [ -r "$link/address" ] && read -r mac <"$link/address" || continue
  if [ -e "$link/device" ]; then kind=physical; else kind=virtual; fi
  say "nic ${'$'}{link##*/} $kind $mac"
done
if have ip; then
  # One that comes and goes is not the host's own.
  ip -o addr show scope global 2>/dev/null | awk -v shared="$shared/32" '$4 != shared { print "address", $2, $4 }' | head -n 500
fi

version() { have "$1" && say "version $1 $(bounded 5 "$@" 2>/dev/null | head -n 1)"; }
version kubeadm version -o short
version kubelet --version
version containerd --version
version crio --version
`;

const OURS = String.raw`
state=/var/lib/ts-provider
if [ -e "$state/owner" ]; then say "owner $(head -n 1 "$state/owner" | cut -c 1-100)"; fi
if [ -e "$state" ]; then say "file $state"; fi
if [ -e "$state/preparation/incomplete" ] && [ -s "$state/preparation/installed" ]; then
  say "file $state/preparation/installed (software of a preparation that did not come to its end)"
fi
if grep -qs '${HOSTS_MARKER}' /etc/hosts; then say 'file /etc/hosts (a line of ts-provider)'; fi
if [ -e /etc/haproxy/installed-by-ts-provider ]; then say 'file /etc/haproxy/installed-by-ts-provider'; fi
if grep -qs '^${HAPROXY_MARKER}' /etc/haproxy/haproxy.cfg; then
  say 'file /etc/haproxy/haproxy.cfg (of ts-provider)'
  if grep -qsx haproxy /proc/[0-9]*/comm; then say 'balancer haproxy'; fi
fi
if [ -e /etc/keepalived/installed-by-ts-provider ]; then say 'early file /etc/keepalived/installed-by-ts-provider'; fi
if [ -n "$shared" ]; then
  say 'early file ${KEEPALIVED_CONFIG} (of ts-provider)'
  if grep -qsx keepalived /proc/[0-9]*/comm; then say 'early unit keepalived holds, or waits for, the address of a control plane'; fi
  if have ip && ip -o -4 addr show 2>/dev/null | awk -v one="$shared/32" '$4 == one { found = 1 } END { exit !found }'; then
    say "early network address $shared"
  fi
fi
`;

/** Ports in hexadecimal, as the kernel prints them: 6443, 2379, 2380, 10248, 10249, 10250, 10256, 10257, 10259. */
const PORTS = '192B|094B|094C|2808|2809|280A|2810|2811|2813';

const RUNNING = String.raw`
cluster_processes | head -n 60 | sed 's/^/process /'
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" && $2 ~ /:(${PORTS})$/ { print "port", $2 }' | sort -u | head -n 40
if [ -d /run/systemd/system ] && [ -e /var/lib/kubelet/config.yaml ] && systemctl is-active --quiet kubelet 2>/dev/null; then
  say 'unit kubelet'
fi

containers_of_crio() {
  socket=/run/crio/crio.sock
  grep -qs " $socket$" /proc/net/unix || grep -qs " /var$socket$" /proc/net/unix || return 0
  if have crictl; then
    if list=$(bounded 5 crictl -r "unix://$socket" pods -q 2>/dev/null); then
      say "$list" | sed '/^$/d;s/^/container /' | head -n 60
    else
      say 'unseen container crictl gets no answer of CRI-O: see whether its service is healthy'
    fi
  else
    say 'unseen container CRI-O runs and crictl is not there: install it'
  fi
}
containers() {
  for socket in /run/containerd/containerd.sock /var/run/containerd/containerd.sock; do
    [ ! -S "$socket" ] || break
  done
  # Nobody listens: what was left on the disk is found below.
  grep -qs " $(readlink -f "$socket" || say "$socket")$" /proc/net/unix || grep -qs " $socket$" /proc/net/unix || return 0
  if have ctr; then
    if list=$(bounded 5 ctr --address "$socket" --connect-timeout 3s -n k8s.io containers list -q 2>/dev/null); then
      say "$list" | sed '/^$/d;s/^/container /' | head -n 60
      return 0
    fi
    say 'unseen container containerd does not answer: see whether its service is healthy'
  elif have crictl; then
    if list=$(bounded 5 crictl -r "unix://$socket" pods -q 2>/dev/null); then
      say "$list" | sed '/^$/d;s/^/container /' | head -n 60
      return 0
    fi
    say 'unseen container crictl gets no answer of containerd: see whether its service is healthy'
  else
    say 'unseen container neither ctr nor crictl is there: install one of them'
  fi
}
containers
containers_of_crio
for folder in /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/* /var/lib/containerd/io.containerd.grpc.v1.cri/containers/*; do
  if [ -d "$folder" ]; then say "container ${'$'}{folder##*/}"; fi
done | head -n 60
`;

const FILES = String.raw`
# The packages of Kubernetes for Debian keep their empty folders with a file.
holds_file() { [ -n "$(find "$1" -xdev ! -type d ! -name .kubelet-keep 2>/dev/null | head -n 1)" ]; }
# What lies in a folder, by the first name below it; empty folders are nobody's.
inside() {
  for entry in "$1"/* "$1"/.[!.]*; do
    if [ -L "$entry" ] || { [ -e "$entry" ] && holds_file "$entry"; }; then say "file $entry"; fi
  done | head -n "$2"
}
for folder in ${DATA_FOLDERS.join(' ')}; do
  case "$folder" in
    /etc/kubernetes) inside "$folder/." 12 | sed 's,/\./,/,' ;;
    *) if [ -n "$(inside "$folder/." 1)" ]; then say "file $folder"; fi ;;
  esac
done
for path in ${CLUSTER_PATHS.join(' ')}; do
  if [ -e "$path" ] || [ -L "$path" ]; then say "file $path"; fi
done
for path in /etc/cni/net.d/*; do
  case "${'$'}{path##*/}" in ${CNI_FILES}) say "file $path" ;; esac
done | head -n 12
cluster_mounts | sed 's/^/mount /' | head -n 40
cluster_links | sed 's/^/network /' | head -n 40
for path in /run/netns/cni-*; do
  if [ -e "$path" ]; then say "network ${'$'}{path##*/}"; fi
done | head -n 40
`;

/**
 * Netfilter. On a node that works its rules are many and say nothing new, so they are looked at only where no kubelet and no kube-proxy
 * runs. Legacy tables are not touched unless the kernel has some: looking would load modules.
 */
const RULES = String.raw`
chains_of() { # what they are of, program that lists them
  if list=$(bounded 5 "$2" 2>/dev/null); then
    say "$list" | grep -E '^:${CHAINS}' | cut -d ' ' -f 1 | sed "s/^:/rule $1 chain /" | sort -u | head -n 12
  else
    say "unseen rule $2 gives no list of its chains: run it on the host"
  fi
}
legacy_rules() { # file with the tables that there are, program
  grep -qs . "$1" || return 0
  for program in "$2-legacy-save" "$2-save"; do
    have "$program" || continue
    chains_of "$2" "$program"
    return 0
  done
  say "unseen rule $2 is not there, but its tables are: install it"
}
nft_rules() {
  if have nft; then
    if list=$(bounded 5 nft list chains 2>&1); then
      say "$list" | awk '
        /^table / { table = $2 " " $3; if ($3 ~ /^${TABLES}$/) print "rule nft table " table }
        $1 == "chain" && $2 ~ /^${CHAINS}/ { print "rule nft chain " $2 " in table " table }' | head -n 24
    else
      case "$list" in
        *'not supported'*) ;;
        *) say 'unseen rule nft gives no list of its chains: run "nft list chains" on the host' ;;
      esac
    fi
    return
  fi
  for program in iptables-nft-save iptables-save; do
    have "$program" || continue
    for family in '' 6; do
      other=ip${'$'}{family}tables${'$'}{program#iptables}
      if have "$other"; then chains_of "ip${'$'}{family}tables" "$other"; fi
    done
    return
  done
  # Pods bring their own nft: rules may be there although no program of the host can show them. A plain host has never run any.
  if have kubelet || have ctr || have crio; then
    say 'unseen rule neither nft nor iptables is there: install nftables'
  fi
}
if ! grep -qsxE 'kubelet|kube-proxy' /proc/[0-9]*/comm || [ -z "$(cluster_processes)" ]; then
  legacy_rules /proc/net/ip_tables_names iptables
  legacy_rules /proc/net/ip6_tables_names ip6tables
  nft_rules
fi
if have ipset; then
  bounded 5 ipset list -n 2>/dev/null | grep -E '${SETS}' | sed 's/^/rule ipset /' | head -n 12
fi
awk '$1 ~ /^(TCP|UDP|SCTP)$/ { print "ipvs", $1, $2 }' /proc/net/ip_vs 2>/dev/null | head -n 12
`;

/** POSIX sh; its output is at most some 50 KiB. */
export const PROBE_SCRIPT = [
  PRELUDE,
  FIND_LINKS,
  FIND_PROCESSES,
  FIND_MOUNTS,
  SHARED_ADDRESS,
  TOOLS,
  FACTS,
  OURS,
  PROBE_PREPARATION,
  PROBE_REGISTRIES,
  RUNNING,
  FILES,
  RULES,
  `say '${END}'\n`,
  'exit 0\n',
].join('');
