// SPDX-License-Identifier: Apache-2.0

/** Where the step `proxy` leaves http_proxy, https_proxy and no_proxy (also in capitals), as a shell reads them; for root only. */
export const PROXY_FILE = '/var/lib/ts-provider/preparation/proxy';

/** Certificates that are trusted for artifacts, besides those of the system. */
export const ARTIFACTS_CA_FILE = '/var/lib/ts-provider/preparation/artifacts-ca.crt';

/** Getting files: with curl, wget, or what apt itself has, through the proxy unless no_proxy says otherwise. */
export const FETCH = String.raw`
# Before each step, since one of them writes it.
read_proxy() {
  [ -r ${PROXY_FILE} ] || return 0
  set -a
  . ${PROXY_FILE}
  set +a
}
read_proxy
# Of what may be over in a moment.
fetch_retries=2
# Without user and password.
hide() { printf '%s' "$*" | sed 's#//[^/@ ]*@#//#g'; }
host_of() {
  host_part=${'$'}{1#*://}
  host_part=${'$'}{host_part%%[/?#]*}
  host_part=${'$'}{host_part##*@}
  case "$host_part" in
    \[*) host_part=${'$'}{host_part#\[}; say "${'$'}{host_part%%\]*}" ;;
    *) say "${'$'}{host_part%%:*}" ;;
  esac
}
# IPv4 address, network with its bits.
in_network() {
  awk -v address="$1" -v network="$2" '
    function number(text, part) {
      if (text !~ /^[0-9.]+$/ || split(text, part, ".") != 4) return -1
      return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4]
    }
    BEGIN {
      split(network, half, "/"); a = number(address); b = number(half[1])
      if (a < 0 || b < 0) exit 1
      size = 2 ^ (32 - half[2])
      exit int(a / size) != int(b / size)
    }'
}
# Not all programs know networks in no_proxy: it is read here.
is_direct() (
  set -f
  direct_host=$(host_of "$1")
  for direct in $(printf '%s' "$no_proxy" | tr ',' ' '); do
    case "$direct" in
      \*) return 0 ;;
      */*) ! in_network "$direct_host" "$direct" || return 0 ;;
      *)
        case "$direct_host" in
          "${'$'}{direct#.}" | *".${'$'}{direct#.}") return 0 ;;
        esac
        ;;
    esac
  done
  return 1
)
proxy_for() {
  ! is_direct "$1" || return 0
  case "$1" in
    https:*) printf '%s' "$https_proxy" ;;
    *) printf '%s' "$http_proxy" ;;
  esac
}
# URL, file: says what went wrong.
fetch_with() {
  authorities=
  [ ! -s ${ARTIFACTS_CA_FILE} ] || authorities=${ARTIFACTS_CA_FILE}
  http_proxy=$proxy https_proxy=$proxy HTTP_PROXY=$proxy HTTPS_PROXY=$proxy no_proxy= NO_PROXY= all_proxy= ALL_PROXY=
  export http_proxy https_proxy HTTP_PROXY HTTPS_PROXY no_proxy NO_PROXY all_proxy ALL_PROXY
  if have curl; then
    curl -q -fsSL --retry "$fetch_retries" --connect-timeout 20 --speed-limit 1024 --speed-time 60 -w 'CONNECT %{http_connect}\n' \
      ${'$'}{authorities:+--cacert "$authorities"} -o "$2" "$1"
  elif wget --version >/dev/null 2>&1; then
    wget -nv --tries=$(( fetch_retries + 1 )) --waitretry=2 --timeout=60 --connect-timeout=20 \
      ${'$'}{authorities:+--ca-certificate="$authorities"} -O "$2" "$1"
  elif [ -x /usr/lib/apt/apt-helper ]; then
    [ -n "$proxy" ] || set -- "$1" "$2" -o Acquire::http::Proxy=DIRECT -o Acquire::https::Proxy=DIRECT
    fetch_url=$1 fetch_file=$2
    shift 2
    /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries="$fetch_retries" \
      -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 \
      ${'$'}{authorities:+-o Acquire::https::CaInfo="$authorities"} "$@" download-file "$fetch_url" "$fetch_file"
  else
    say 'neither curl nor wget is here'
    return 127
  fi
}
# URL, target: gets it into <target>.part, whatever it is. On failure sets fetch_said and fetch_code.
fetch_part() {
  proxy=$(proxy_for "$1")
  rm -f -- "$2.part"
  fetch_said=$(fetch_with "$1" "$2.part" 2>&1)
  fetch_code=$?
  [ "$fetch_code" != 0 ] || [ -f "$2.part" ] || fetch_code=1
  [ "$fetch_code" = 0 ] || rm -f -- "$2.part"
  return "$fetch_code"
}
# Who was asked answered, and would not give it.
was_refused() {
  case "$fetch_said" in
    # By the proxy on the way: curl says that only when it is asked.
    *' 407'* | *'from proxy'* | *'CONNECT 4'*) return 1 ;;
    *'error: 40'* | *'ERROR 40'* | *' 40'[0-689]' '*) return 0 ;;
  esac
  return 1
}
via_proxy() { [ -z "$proxy" ] || printf '%s' " through the proxy $(hide "$proxy")"; }
# What tells most is the last line, but for apt, which says that there was an error behind it.
last_said() {
  hide "$(printf '%s\n' "$fetch_said" | grep -v -e '^ *$' -e '^E: Download Failed' -e '^CONNECT ' | tail -n 1 | sed 's/^E: Failed to fetch [^ ]* *//')"
}
# URL, target: ends the step with the reason of a fetch that failed.
fetch_failed() {
  ! fetch_full=$(full_folder) || no_space_on "$fetch_full"
  case "$fetch_code:$fetch_said" in
    *'No space left'* | 23:*) no_space_on "$(dirname -- "$2")" ;;
  esac
  if [ -n "$proxy" ]; then
    case "$fetch_said" in
      *'error: 50'* | *'ERROR 50'* | *'response 50'* | *'code 50'* | *'Bad Gateway'* | *'Service Unavailable'* | *'Gateway Time'*) ;;
      *' 407'* | *'Proxy Auth'* | *[Pp]roxy* | *[Cc]onnect\ to* | *'onnection refused'* | *'onnection timed out'* | *[Rr]esolv* | *'onnecting to'*)
        failed ProxyFailed "the proxy $(hide "$proxy") did not get $(hide "$1"): $(last_said)"
        ;;
    esac
  fi
  failed ArtifactsUnreachable "$(hide "$1") cannot be fetched$(via_proxy): $(last_said)"
}
# URL, target: a file whose content nobody knows beforehand.
fetch() {
  fetch_part "$1" "$2" || fetch_failed "$1" "$2"
  mv -f -- "$2.part" "$2" || unwritten "$2 cannot be written"
}
# URL, SHA-256 that it has, SHA-256 that it shall have: their beginnings, as whole ones look like keys, which are hidden.
checksum_failed() { failed ChecksumMismatch "$(hide "$1"): its SHA-256 begins with $(printf %.12s "$2"), expected $(printf %.12s "$3")"; }
# URL, SHA-256, target[, mode[, bytes]]: the file gets its name when it is the right one. Modes are those of a program, else 0644.
download() {
  if [ -f "$3" ] && [ "$(hash_of "$3")" = "$2" ]; then
    chmod "${'$'}{4:-0644}" "$3"
    return
  fi
  room "$(dirname -- "$3")" "${'$'}{5:-0}"
  fetch_part "$1" "$3" || fetch_failed "$1" "$3"
  download_hash=$(hash_of "$3.part")
  if [ "$download_hash" != "$2" ]; then
    rm -f -- "$3.part"
    checksum_failed "$1" "$download_hash" "$2"
  fi
  chmod "${'$'}{4:-0644}" "$3.part" && mv -f -- "$3.part" "$3" || unwritten "$3 cannot be written"
  label "$3"
}
`;
