// SPDX-License-Identifier: Apache-2.0
// Links, namespaces and routes that network plugins made.
import { FIND_LINKS, PRELUDE } from '../traces.ts';

/** The kernel removes with a link its addresses and routes, and the other end of a pair. */
export const NETWORK_SCRIPT = String.raw`${PRELUDE}${FIND_LINKS}
for namespace in /run/netns/cni-*; do
  [ -e "$namespace" ] || continue
  if have ip; then ip netns delete "${'$'}{namespace##*/}" 2>/dev/null; fi
  while umount "$namespace" 2>/dev/null; do :; done
  rm -f -- "$namespace"
done
if have ip; then
  # Felix and BIRD of Calico mark their routes; its tunnel is the kernel's own and cannot be removed.
  if [ -e /var/lib/calico ]; then
    for protocol in 80 12; do
      ip route flush proto "$protocol" 2>/dev/null
      ip -6 route flush proto "$protocol" 2>/dev/null
    done
    if [ -e /sys/class/net/tunl0 ]; then
      ip addr flush dev tunl0 2>/dev/null
      ip link set tunl0 down 2>/dev/null
    fi
  fi
  cluster_links | while read -r link; do
    ip link delete "$link" 2>/dev/null
  done
fi
left=$(cluster_links | tr '\n' ' ')
if [ -n "$left" ]; then echo "error: links cannot be removed: $left"; exit 1; fi
exit 0
`;
