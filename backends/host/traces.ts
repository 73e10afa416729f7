// SPDX-License-Identifier: Apache-2.0
// What probe and clean-up both know of a host: where things of a cluster are, and how they are called. The probe finds exactly what the
// clean-up takes away, so both read it here.

/** Folders of programs, also where packages of other systems put them. */
const PATHS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin';

/** First lines of every script: words that the others are made of. POSIX sh; works with dash, bash and busybox. */
export const PRELUDE = String.raw`
LC_ALL=C
PATH=${PATHS}
export LC_ALL PATH
have() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s\n' "$*"; }
# A program that hangs must not take the script with it.
bounded() {
  bound=$1
  shift
  if have timeout; then timeout "$bound" "$@"; else "$@"; fi
}
`;

/** Extended regular expression: chains of netfilter that kube-proxy, the kubelet and network plugins make. */
export const CHAINS = '(KUBE-|CNI-|cali-|FLANNEL-|CILIUM_|OLD_CILIUM_|WEAVE-|ANTREA-)';

/** The same for tables of nftables. */
export const TABLES = '(kube-proxy|cni_plugins_masquerade|cni_hostport|calico|cilium|antrea|kindnet.*)';

/** The same for sets of ipset. */
export const SETS = '^(KUBE-|cali[46][0-9]|cali[46]-|ANTREA-|weave-)';

/**
 * Shell pattern: links that network plugins and kube-proxy make, whatever else is on the host. Not among them are `docker0`, `virbr0`,
 * `cni-podman0` and what people call theirs.
 */
export const LINKS =
  'cni[0-9]*|flannel.*|flannel-v6.*|cilium_*|lxc_health|lxc[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]|' +
  'cali[0-9a-f]*|vxlan.calico|vxlan-v6.calico|wireguard.cali|wg-v6.cali|kube-ipvs0|kube-bridge|kube-dummy-if|nodelocaldns|' +
  'weave|vethwe-*|vxlan-6784|antrea-gw0|antrea-tun0|ovn-k8s-*';

/**
 * Prints the names of {@link LINKS} that are there. A veth counts when its name has eight hex digits, as plugins choose them (docker
 * takes seven), and it hangs in no bridge but a plugin's.
 */
export const FIND_LINKS = String.raw`
cluster_links() {
  for link in /sys/class/net/*; do
    name=${'$'}{link##*/}
    case "$name" in
      ${LINKS}) say "$name" ;;
      veth[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f])
        if [ ! -e "$link/master" ]; then say "$name"; continue; fi
        for bridge in /sys/class/net/cni[0-9]*; do
          if [ -e "$bridge/brif/$name" ]; then say "$name"; fi
        done ;;
    esac
  done
}
`;

/**
 * Prints `<pid> <name>` of every process of a cluster: by name, and whatever runs in a cgroup of a pod. A kubelet that only waits for its
 * configuration, as packages leave it, is none; shims of another namespace of containerd belong to somebody else.
 */
export const FIND_PROCESSES = String.raw`
is_waiting_kubelet() { # process id, arguments
  case "$2" in *'--config='*) ;; *) return 1 ;; esac
  config=${'$'}{2##*--config=}
  [ ! -e "${'$'}{config%% *}" ] || return 1
  # It gives up within seconds. One that is older had its configuration when it began.
  awk -v uptime="$(cut -d ' ' -f 1 /proc/uptime)" '{ exit uptime - $22 / 100 > 10 }' "/proc/$1/stat" 2>/dev/null
}
is_zombie() { grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }
cluster_processes() {
  {
    grep -sHE '^(kubelet|kube-apiserver|kube-controller|kube-scheduler|kube-proxy|etcd|containerd-shim.*)$' /proc/[0-9]*/comm
    grep -lsE '[:/]kubepods' /proc/[0-9]*/cgroup | sed 's/$/:/'
  } | while IFS=: read -r file name; do
    pid=${'$'}{file#/proc/}
    pid=${'$'}{pid%%/*}
    args=$(tr '\000' ' ' 2>/dev/null <"/proc/$pid/cmdline")
    case "$name" in
      containerd-shim*) case "$args" in *'-namespace k8s.io '*) ;; *) continue ;; esac ;;
      kubelet) ! is_waiting_kubelet "$pid" "$args" || continue ;;
      '') read -r name 2>/dev/null <"/proc/$pid/comm" || continue ;;
    esac
    [ -d "/proc/$pid" ] || continue
    is_zombie "$pid" || say "$pid $name"
  done | sort -u -n
}
`;

/** Prints the mount points of a cluster, in octal escapes as the kernel writes them, the innermost last. */
export const FIND_MOUNTS = String.raw`
cluster_mounts() {
  awk '$2 ~ "^/var/lib/kubelet/" ||
    $2 ~ "^/run/containerd/.*/k8s\\.io/" || $2 ~ "^/run/containerd/io\\.containerd\\.grpc\\.v1\\.cri/" ||
    $2 ~ "^/var/lib/containerd/io\\.containerd\\.grpc\\.v1\\.cri/" || $2 ~ "^/run/calico/" || $2 ~ "^/run/cilium/" { print $2 }' /proc/self/mounts
}
`;

/** Files that network plugins put into /etc/cni/net.d when they run as pods. What a person or an image put there has another name. */
export const CNI_FILES =
  '*flannel*|*calico*|*canal*|*cilium*|*weave*|*kindnet*|*kube-router*|*antrea*|*multus*|*ovn-k*|*kube-ovn*|*.kubeconfig';

/** Folders with data of a cluster that may themselves stay, empty: packages ship some of them, and some are mount points. */
export const DATA_FOLDERS: readonly string[] = [
  '/etc/kubernetes',
  '/var/lib/kubelet',
  '/var/lib/etcd',
  '/var/lib/cni',
  '/var/log/pods',
  '/var/log/containers',
];

/** Files and folders that are there only because of a cluster. */
export const CLUSTER_PATHS: readonly string[] = [
  '/run/cluster-api',
  '/run/kubeadm',
  '/run/flannel',
  '/run/calico',
  '/run/cilium',
  '/run/kubernetes',
  '/etc/calico',
  '/var/lib/calico',
  '/var/lib/cilium',
  '/var/lib/weave',
  '/var/lib/kube-proxy',
  '/var/lib/kube-router',
  '/var/lib/antrea',
  '/var/lib/dockershim',
  '/var/log/calico',
  '/sys/fs/bpf/cilium',
];

/** Last words of a line that we added to /etc/hosts. */
export const HOSTS_MARKER = '# added by ts-provider';

/** In the first lines of a haproxy.cfg that is ours. */
export const HAPROXY_MARKER = '# Managed by ts-provider';

/** In the first line of a keepalived.conf that is ours; the address that is shared follows it. */
export const KEEPALIVED_MARKER = '# Managed by ts-provider for';

/** The file that every distribution's keepalived reads. */
export const KEEPALIVED_CONFIG = '/etc/keepalived/keepalived.conf';

/** Prints the address that the host shares with others of its control plane; nothing where it shares none. */
export const SHARED_ADDRESS = String.raw`
shared_address() {
  sed -n '1s/^${KEEPALIVED_MARKER} \([0-9.]*\):.*/\1/p' ${KEEPALIVED_CONFIG} 2>/dev/null
}
`;
