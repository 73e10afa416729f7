// SPDX-License-Identifier: Apache-2.0
// The script that keepalived runs every second: whether this host may hold the address. It decides alone, without the management cluster.

/** Where SELinux lets keepalived run scripts. */
export const CHECK_FILE = '/usr/libexec/keepalived/ts-provider-may-hold';

/** What the script and the configuration of keepalived tell each other. A reboot empties it. */
export const RUN_FOLDER = '/run/ts-provider-virtual-ip';

/** There while the API server of the host is ready. */
export const READY_FILE = `${RUN_FOLDER}/ready`;

/** There when the host was configured before its bootstrap: it may hold the address until its API server runs. */
export const BEGIN_FILE = `${RUN_FOLDER}/begin`;

/** So long a host whose API server fails keeps the address while none of the others is better off: they may all wait for etcd. */
const PATIENCE_SECONDS = 20;

/**
 * $1 port of API servers, then the addresses of the others. Whoever runs an API server that is ready may hold the address. A host that is
 * alone may do so before there is any; only a bootstrap that goes on keeps that right, and no reboot. So a host that was given up and comes
 * back has none. genhash comes with keepalived: it makes one request over TLS, for a tenth of what kubectl costs. An API server that refuses
 * anonymous questions answers 401 or 403 and counts as ready.
 */
export const CHECK_SCRIPT = String.raw`#!/bin/sh
# Managed by ts-provider.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
port=$1
shift
ready() {
  if command -v genhash >/dev/null; then timeout 1 genhash -v -S -s "$1" -p "$port" -u /readyz 2>/dev/null
  else timeout 1 curl --insecure --silent --include --noproxy '*' "https://$1:$port/readyz"
  fi | grep -qE '^HTTP/[0-9.]+ (200|401|403)'
}
read -r now rest </proc/uptime
now=${'$'}{now%%.*}
mkdir -p ${RUN_FOLDER}
if ready 127.0.0.1; then
  echo "$now" >${RUN_FOLDER}/last
  : >${READY_FILE}
  exit 0
fi
rm -f ${READY_FILE}
if [ $# -eq 0 ] && [ -e ${BEGIN_FILE} ] && ! grep -qs '^done ' /var/lib/ts-provider/jobs/bootstrap-*/journal; then exit 0; fi
asked=
for peer in "$@"; do
  ready "$peer" &
  asked="$asked $!"
done
for one in $asked; do
  if wait "$one"; then exit 1; fi
done
read -r last 2>/dev/null <${RUN_FOLDER}/last && [ $((now - last)) -lt ${PATIENCE_SECONDS} ]
`;
