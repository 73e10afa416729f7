// SPDX-License-Identifier: Apache-2.0
// Mounts, data, credentials, and everything else on the disk.
import { CLUSTER_PATHS, CNI_FILES, DATA_FOLDERS, FIND_MOUNTS, FIND_PROCESSES, PRELUDE } from '../traces.ts';
import { REMOVAL } from './removal.ts';

/** What is mounted for pods. Images and containers of others are mounted elsewhere. */
export const MOUNTS_SCRIPT = [
  PRELUDE,
  REMOVAL,
  FIND_MOUNTS,
  String.raw`
cluster_mounts | unmount_each
left=$(cluster_mounts)
if [ -n "$left" ]; then echo "error: cannot be unmounted: $(say "$left" | head -n 3 | tr '\n' ' ')"; exit 1; fi
exit 0
`,
].join('');

/**
 * Folders that packages ship stay, empty. /var/lib/etcd stays as it is when an etcd runs in spite of the fence: then it is somebody
 * else's.
 */
export const FILES_SCRIPT = [
  PRELUDE,
  REMOVAL,
  FIND_PROCESSES,
  String.raw`
for folder in ${DATA_FOLDERS.join(' ')}; do
  if [ "$folder" = /var/lib/etcd ] && grep -qsx etcd /proc/[0-9]*/comm; then
    echo 'an etcd runs that is not of Kubernetes: its data stay'
    continue
  fi
  if [ "$folder" = /etc/kubernetes ]; then
    for entry in /etc/kubernetes/* /etc/kubernetes/.[!.]*; do
      case "$entry" in
        /etc/kubernetes/manifests) empty "$entry" ;;
        *) remove "$entry" ;;
      esac
    done
  else
    empty "$folder"
  fi
done
# Elsewhere only what has the names that kubeadm and etcd give.
sort -u /var/lib/ts-provider/folders 2>/dev/null | while read -r kind folder; do
  [ -d "$folder" ] || continue
  case "$kind" in
    pki)
      for path in "$folder"/ca.* "$folder"/sa.* "$folder"/apiserver* "$folder"/front-proxy-* "$folder"/etcd/*; do
        case "$path" in *.crt|*.key|*.pub) rm -f -- "$path" ;; esac
      done
      rmdir "$folder/etcd" 2>/dev/null ;;
    etcd) remove "$folder/member" ;;
  esac
  rmdir "$folder" 2>/dev/null
done
# No package ships these; a mount point is left alone. A host without modules gets an empty folder for kube-proxy.
rmdir /var/lib/etcd /var/lib/cni /var/log/pods /var/log/containers /usr/lib/modules /lib/modules /run/netns 2>/dev/null
# Some packages ship these.
is_packaged() {
  if have dpkg-query; then dpkg-query --search "$1" >/dev/null 2>&1
  elif have rpm; then rpm --query --file "$1" >/dev/null 2>&1
  fi
}
for folder in /etc/kubernetes/manifests /etc/kubernetes; do
  if [ -d "$folder" ] && ! is_packaged "$folder"; then rmdir "$folder" 2>/dev/null; fi
done
for path in ${CLUSTER_PATHS.join(' ')} /sys/fs/bpf/tc/globals/cilium_* /tmp/kubeadm*; do
  remove "$path"
done
for path in /etc/cni/net.d/*; do
  case "${'$'}{path##*/}" in ${CNI_FILES}) remove "$path" ;; esac
done
# The controller manager has this folder made, for plugins that nobody has; groups of processes outlive the processes.
rmdir -p /usr/libexec/kubernetes/kubelet-plugins/volume/exec 2>/dev/null
for group in /sys/fs/cgroup/kubepods* /sys/fs/cgroup/*/kubepods*; do
  if [ -d "$group" ]; then find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null; fi
done
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl reset-failed kubelet 2>/dev/null
fi
exit 0
`,
].join('');
