#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a container lacks to be a machine: its own controllers to write to, and kernel settings that belong to all.
set -e

for controller in /sys/fs/cgroup/*; do
  # A plain remount says busy: it would change the mount of all.
  if [ -e "$controller/notify_on_release" ]; then mount -o remount,bind,rw "$controller"; fi
done

# The kubelet does not start unless these have its values, and they belong to the whole computer: here they only look as if they had.
pretend() {
  file=/run/host-world/$(basename "$1")
  if [ ! -e "$file" ]; then
    echo "$2" >"$file"
    mount --bind "$file" "$1"
  fi
}
mkdir -p /run/host-world
pretend /proc/sys/vm/overcommit_memory 1
pretend /proc/sys/vm/panic_on_oom 0
pretend /proc/sys/kernel/panic 10
pretend /proc/sys/kernel/panic_on_oops 1
