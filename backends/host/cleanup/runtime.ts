// SPDX-License-Identifier: Apache-2.0
// What the container runtime and kubeadm keep.
import { PRELUDE } from '../traces.ts';
import { REMOVAL } from './removal.ts';

/**
 * kubeadm knows best what its version made. It gets no credentials (the fence has removed them): it must not wait for an API server, and
 * membership of etcd is the business of the control plane provider. What it does not manage the steps behind it do.
 */
export const RESET_SCRIPT = String.raw`${PRELUDE}
have kubeadm || exit 0
# A host that kubeadm has not touched since it was cleaned.
[ -n "$(find /etc/kubernetes /var/lib/kubelet /var/lib/etcd -xdev ! -type d 2>/dev/null | head -n 1)" ] ||
  [ -d /run/containerd/io.containerd.runtime.v2.task/k8s.io ] || exit 0
reset() {
  if [ -S /run/containerd/containerd.sock ]; then
    set -- "$@" --cri-socket unix:///run/containerd/containerd.sock
  elif [ -S /run/crio/crio.sock ]; then
    set -- "$@" --cri-socket unix:///run/crio/crio.sock
  fi
  bounded 150 kubeadm reset --force --skip-phases preflight,remove-etcd-member "$@" </dev/null
}
reset --cleanup-tmp-dir || reset || echo 'kubeadm reset did not end well; the next steps do its work'
exit 0
`;

/**
 * Containers that are left, by containerd's own means. Its CRI plugin remembers sandboxes that vanish behind its back, so it is started
 * anew then; containers of others go on meanwhile. Images stay: they are a cache.
 */
export const CONTAINERS_SCRIPT = String.raw`${PRELUDE}${REMOVAL}
socket=/run/containerd/containerd.sock
cri=/var/lib/containerd/io.containerd.grpc.v1.cri
k8s() { bounded 20 ctr --connect-timeout 3s -n k8s.io "$@" 2>/dev/null; }
# Files of containers that were removed go now, not some time later. Whoever was killed while it made a container has left a lease, which
# would keep them for a day, or a snapshot. A containerd that was started anew looks for folders that nobody knows only once a snapshot
# was removed: so one is made and removed.
collect() {
  { [ -S "$socket" ] && have ctr; } || return 0
  for id in $(k8s leases list -q); do
    k8s leases delete "$id" >/dev/null
  done
  for key in $(k8s snapshots list | awk '$NF == "Active" || $NF == "View" { print $1 }'); do
    k8s snapshots delete "$key" >/dev/null
  done
  k8s snapshots prepare ts-provider-clean-up >/dev/null
  k8s snapshots delete ts-provider-clean-up >/dev/null
  k8s leases create --id ts-provider-clean-up >/dev/null && k8s leases delete --sync ts-provider-clean-up >/dev/null
}
changed=
# CRI-O forgets what was killed when it is asked to remove it.
if [ -S /run/crio/crio.sock ] && have crictl; then
  bounded 120 crictl -r unix:///run/crio/crio.sock rmp -a -f >/dev/null 2>&1
fi
if [ -S "$socket" ] && have ctr; then
  for id in $(k8s tasks list -q); do
    changed=yes
    k8s tasks delete --force "$id" >/dev/null
  done
  for id in $(k8s containers list -q); do
    changed=yes
    k8s containers delete "$id" >/dev/null
  done
elif [ -S "$socket" ] && have crictl; then
  bounded 120 crictl -r "unix://$socket" rmp -a -f >/dev/null 2>&1
fi
if [ -S "$socket" ] && have ctr && [ -n "$(k8s containers list -q)" ]; then
  echo 'error: containerd does not remove all containers of the namespace k8s.io'
  exit 1
fi
for folder in "$cri"/sandboxes/* "$cri"/containers/*; do
  if [ -d "$folder" ]; then changed=yes; fi
done
if [ -n "$changed" ]; then
  for kind in sandboxes containers; do
    for root in "$cri" /run/containerd/io.containerd.grpc.v1.cri; do
      empty "$root/$kind"
    done
  done
  if [ -d /run/systemd/system ] && systemctl is-active --quiet containerd; then
    bounded 60 systemctl restart containerd
  fi
fi
collect
# Sockets of shims that nobody listens on any more, what runc remembers of containers that were killed, and folders that containerd makes again when it needs them.
for socket in /run/containerd/s/*; do
  [ -S "$socket" ] && ! grep -q " $socket$" /proc/net/unix && rm -f -- "$socket"
done
for folder in /run/containerd/runc/k8s.io /run/containerd/io.containerd.runtime.v2.task/k8s.io \
  /var/lib/containerd/io.containerd.runtime.v2.task/k8s.io; do
  if [ -d "$folder" ]; then
    empty "$folder"
    rmdir "$folder" 2>/dev/null
  fi
done
rmdir /run/containerd/s /run/containerd/runc "$cri"/* "$cri" /run/containerd/io.containerd.grpc.v1.cri/containers \
  /run/containerd/io.containerd.grpc.v1.cri/sandboxes 2>/dev/null
exit 0
`;
