// SPDX-License-Identifier: Apache-2.0
// Netfilter: only chains, tables and sets that Kubernetes and network plugins made, and rules that lead to them. All others stay.
import { CHAINS, PRELUDE, SETS, TABLES } from '../traces.ts';

/**
 * nft shows what iptables-nft made as well. Rules of others that jump to our chains go first, then the chains, in one transaction. What is
 * left of a table of iptables is removed where it does nothing any more: hooks without a rule that accept everything.
 */
const NFT = String.raw`
clean_nft() {
  list=$(bounded 20 nft list chains 2>/dev/null) || return 0
  say "$list" | awk '/^table / && $3 ~ /^${TABLES}$/ { print "delete table " $2 " " $3 }' | while read -r order; do
    # shellcheck disable=SC2086
    nft $order
  done
  say "$list" | awk '
    /^table / { table = $2 " " $3; name = $3 }
    $1 == "chain" && $2 ~ /^${CHAINS}/ && name !~ /^${TABLES}$/ { print table }' | sort -u | while read -r family table; do
    bounded 60 nft -a list table "$family" "$table" 2>/dev/null | awk -v table="$family $table" '
      $1 == "chain" { chain = $2; ours = (chain ~ /^${CHAINS}/); if (ours) chains[++n] = chain; next }
      !ours && $NF ~ /^[0-9]+$/ && $(NF - 1) == "handle" && match($0, /(jump|goto) ${CHAINS}/) {
        print "delete rule " table " " chain " handle " $NF
      }
      END {
        for (i = 1; i <= n; i++) print "flush chain " table " " chains[i]
        for (i = 1; i <= n; i++) print "delete chain " table " " chains[i]
      }' | bounded 60 nft -f -
    drop_idle "$family" "$table"
  done
}
drop_idle() {
  case "$1 $2" in
    'ip filter'|'ip nat'|'ip mangle'|'ip raw'|'ip security'|'ip6 filter'|'ip6 nat'|'ip6 mangle'|'ip6 raw'|'ip6 security') ;;
    *) return 0 ;;
  esac
  nft list table "$1" "$2" 2>/dev/null | awk -v table="$1 $2" '
    function close_chain() {
      if (chain != "" && hooked && !busy) idle[++n] = chain
      else if (chain != "") others = 1
      chain = ""
    }
    $1 == "chain" { chain = $2; hooked = 0; busy = 0; next }
    chain == "" { if ($0 !~ /^(#|table )/ && $1 != "}" && $0 !~ /^[ \t]*$/) others = 1; next }
    $1 == "}" { close_chain(); next }
    $1 == "type" && /policy accept;$/ { hooked = 1; next }
    $0 !~ /^[ \t]*$/ { busy = 1 }
    END {
      if (!others) print "delete table " table
      else for (i = 1; i <= n; i++) print "delete chain " table " " idle[i]
    }' | nft -f -
}
if have nft; then clean_nft; fi
`;

/**
 * The same through iptables, for legacy tables and for hosts without nft. Tables that the kernel does not have are not asked for: asking
 * would make them. "--noflush" leaves alone what is not named.
 */
const IPTABLES = String.raw`
clean_iptables() { # save program, restore program
  have "$1" && have "$2" || return 0
  bounded 60 "$1" 2>/dev/null | awk '
    function give(i) {
      if (rules + n == 0) return
      print table
      for (i = 1; i <= rules; i++) print rule[i]
      for (i = 1; i <= n; i++) print ":" chain[i] " - [0:0]"
      for (i = 1; i <= n; i++) print "-X " chain[i]
      print "COMMIT"
    }
    /^\*/ { table = $0; rules = 0; n = 0 }
    /^:/ { name = substr($1, 2); if (name ~ /^${CHAINS}/) chain[++n] = name }
    /^-A/ && $2 !~ /^${CHAINS}/ && match($0, / -[jg] ${CHAINS}/) { rule[++rules] = "-D" substr($0, 3) }
    /^COMMIT/ { give() }' >"$orders"
  if [ -s "$orders" ]; then bounded 60 "$2" --noflush -w 5 <"$orders"; fi
}
orders=$(mktemp /run/ts-provider-rules.XXXXXX) || exit 1
trap 'rm -f "$orders"' EXIT
legacy() { # file with the tables that there are, program
  grep -qs . "$1" || return 0
  if have "$2-legacy-save"; then clean_iptables "$2-legacy-save" "$2-legacy-restore"; else clean_iptables "$2-save" "$2-restore"; fi
}
legacy /proc/net/ip_tables_names iptables
legacy /proc/net/ip6_tables_names ip6tables
if ! have nft; then
  for program in iptables ip6tables; do
    if have "$program-nft-save"; then
      clean_iptables "$program-nft-save" "$program-nft-restore"
    else
      case "$("$program" -V 2>/dev/null)" in *nf_tables*) clean_iptables "$program-save" "$program-restore" ;; esac
    fi
  done
fi
`;

/** In its IPVS mode kube-proxy takes every virtual server for its own, so does this; without its link none is touched. */
const SETS_AND_SERVERS = String.raw`
if [ -e /sys/class/net/kube-ipvs0 ] && have ipvsadm; then ipvsadm --clear; fi
if have ipset; then
  ipset list -n 2>/dev/null | grep -E '${SETS}' | while read -r set; do ipset destroy "$set"; done
fi
exit 0
`;

export const RULES_SCRIPT = [PRELUDE, NFT, IPTABLES, SETS_AND_SERVERS].join('');
