// SPDX-License-Identifier: Apache-2.0
// What Kubernetes asks of the operating system itself: no swap, modules and settings of the kernel, a journal that does not grow for ever.
import { isIPv6 } from 'node:net';
import type { PreparationInput } from '../input.ts';
import { PreparationError } from '../preparation-error.ts';
import { isFile, quote, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { RESTARTS } from './service.ts';

const MARK = '# Written by ts-provider\n';

/** The steps `swap`, `modules`, `sysctl` and `journald`. None of them needs a package or the network. */
export function systemSteps(input: PreparationInput): PreparationStep[] {
  return [swapStep(), modulesStep(), sysctlStep(input), journaldStep(input)];
}

function swapStep(): PreparationStep {
  return {
    id: 'swap',
    impact: 'none',
    deadlineSeconds: 300,
    check: `${SWAP}! swap_is_on && ! fstab_has_swap && [ -z "$(swap_units)" ]\n`,
    apply: `${SWAP}${SWAP_OFF}`,
  };
}

/** Units come from fstab, from partitions that systemd finds by itself, and from tools that put swap into compressed memory. */
const SWAP = String.raw`
swap_is_on() { [ -n "$(sed 1d /proc/swaps 2>/dev/null)" ]; }
fstab_has_swap() { awk '!/^[ \t]*#/ && $3 == "swap" { found = 1 } END { exit !found }' /etc/fstab 2>/dev/null; }
swap_units() {
  [ -d /run/systemd/system ] || return 0
  {
    systemctl list-units --all --type=swap --plain --no-legend 2>/dev/null | awk '$2 != "masked" && $2 != "not-found" { print $1 }'
    systemctl list-unit-files --no-legend 'zram*swap*.service' 'zram-config.service' 2>/dev/null | awk '{ print $1 }'
  } | while read -r unit; do
    case "$(systemctl is-enabled "$unit" 2>/dev/null)" in masked* | disabled | not-found) ;; *) say "$unit" ;; esac
  done
}
`;

const SWAP_OFF = String.raw`
if fstab_has_swap; then
  remember /etc/fstab && remember /etc/fstab.ts-provider && cp -p /etc/fstab /etc/fstab.ts-provider &&
    awk '!/^[ \t]*#/ && $3 == "swap" { print "# " $0 " # no swap: ts-provider"; next } { print }' /etc/fstab >/etc/fstab.ts-provider &&
    mv /etc/fstab.ts-provider /etc/fstab || failed PreparationFailed 'swap: cannot write /etc/fstab'
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
for unit in $(swap_units); do
  remember "/etc/systemd/system/$unit"
  systemctl stop "$unit"
  # What an administrator put into that folder cannot be masked.
  systemctl mask "$unit" 2>/dev/null || systemctl disable "$unit"
done
if swap_is_on; then swapoff -a; fi
if swap_is_on; then
  failed PreparationFailed "swap stays on: $(awk 'NR > 1 { printf "%s%s", separator, $1; separator = ", " }' /proc/swaps): in a container, turn it off on the machine that runs it"
fi
`;

const MODULES = {
  path: '/etc/modules-load.d/ts-provider.conf',
  mode: 0o644,
  content: `${MARK}overlay\nbr_netfilter\n`,
};

/** A module that is built in, or that the machine of a container has, is there all the same. */
const HAS_MODULES = String.raw`
has_module() {
  case "$1" in
    overlay) grep -qw overlay /proc/filesystems ;;
    br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] ;;
  esac
}
`;

function modulesStep(): PreparationStep {
  return {
    id: 'modules',
    impact: 'none',
    deadlineSeconds: 60,
    check: `${HAS_MODULES}has_module overlay && has_module br_netfilter && ${isFile(MODULES)}\n`,
    apply: `${HAS_MODULES}${writeFile(MODULES)}${LOAD_MODULES}`,
  };
}

const LOAD_MODULES = String.raw`
for module in overlay br_netfilter; do
  if has_module "$module"; then continue; fi
  have modprobe || failed PreparationFailed "the kernel module $module is not loaded, and modprobe is not there: install kmod"
  said=$(modprobe "$module" 2>&1)
  has_module "$module" || failed PreparationFailed "the kernel module $module cannot be loaded: ${'$'}{said:-modprobe says nothing}"
done
`;

interface Setting {
  readonly name: string;
  readonly value: string;
  /** Below /proc/sys. */
  readonly path: string;
}

function sysctlStep(input: PreparationInput): PreparationStep {
  const settings = settingsOf(input);
  const lines = settings.map(({ name, value }) => `${name} = ${value}\n`);
  const file = { path: '/etc/sysctl.d/99-ts-provider.conf', mode: 0o644, content: MARK + lines.join('') };
  const each = (command: string) =>
    settings.map(({ name, value, path }) => `${command} ${[path, value, name].map(quote).join(' ')}`);
  return {
    id: 'sysctl',
    impact: 'none',
    deadlineSeconds: 30,
    check: `${SETTINGS}${[isFile(file), ...each('is_set')].join(' &&\n')}\n`,
    apply: `${SETTINGS}${writeFile(file)}${each('set_to').join('\n')}\n`,
  };
}

const SETTINGS = String.raw`
# The kernel shows several words with tabs between them.
is_set() { [ "$(tr -s ' \t' '  ' 2>/dev/null <"/proc/sys/$1")" = "$2" ]; }
set_to() {
  [ -e "/proc/sys/$1" ] || failed PreparationFailed "this kernel has no setting $3"
  is_set "$1" "$2" || printf '%s\n' "$2" 2>/dev/null >"/proc/sys/$1" || failed PreparationFailed "the setting $3 cannot be $2 here"
}
`;

/** What Kubernetes needs wins over what the spec says. */
function settingsOf({ spec, network }: PreparationInput): Setting[] {
  const addresses = [...network.podCIDRs, ...network.serviceCIDRs, network.nodeAddress ?? ''];
  const needed = {
    'net.ipv4.ip_forward': '1',
    'net.bridge.bridge-nf-call-iptables': '1',
    'net.bridge.bridge-nf-call-ip6tables': '1',
    ...(addresses.some((one) => isIPv6(one.replace(/\/\d+$/, ''))) && {
      'net.ipv6.conf.all.forwarding': '1',
    }),
  };
  return Object.entries({ ...spec.sysctls, ...needed })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value: value.trim().replace(/\s+/g, ' '), path: pathOf(name) }));
}

/** As sysctl(8) reads names: the first of `.` and `/` separates, the other one stands for itself. */
function pathOf(name: string): string {
  const dots = (/[./]/.exec(name)?.[0] ?? '.') === '.';
  const path = dots ? name.replace(/[./]/g, (sign) => (sign === '.' ? '/' : '.')) : name;
  const fits = /^[\w./:@-]+$/.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));
  if (!fits) throw new PreparationError(`sysctls[${name}]`, 'is not the name of a kernel setting');
  return path;
}

function journaldStep({ spec }: PreparationInput): PreparationStep {
  const file = {
    path: '/etc/systemd/journald.conf.d/ts-provider.conf',
    mode: 0o644,
    content: `${MARK}[Journal]\nSystemMaxUse=${spec.journalMaxUse ?? '1G'}\n`,
  };
  return {
    id: 'journald',
    impact: 'none',
    deadlineSeconds: 60,
    check: `${RESTARTS}! owes_restart journald && ${isFile(file)}\n`,
    apply: `${RESTARTS}owe_restart journald\n${writeFile(file)}pay_restart journald systemd-journald try-restart\n`,
  };
}
