// SPDX-License-Identifier: Apache-2.0
// A clock that is right: certificates are checked with it.
import type { PreparationInput } from '../input.ts';
import { STATE } from '../library.ts';
import { type FileContent, isFile, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { RESTARTS } from './service.ts';

const MARK = '# Written by ts-provider\n';

/**
 * The step `time`. Belongs behind the packages: a host without a time service gets chrony. Where that cannot be had it is an error only if
 * the spec names time servers. A container is let be: its clock is that of the machine that runs it.
 */
export function timeSteps(input: PreparationInput): PreparationStep[] {
  const servers = input.spec.timeServers;
  const asked = servers === undefined ? 'no' : 'yes';
  const offline = input.spec.source?.artifacts === undefined ? 'no' : 'yes';
  const configured = servers === undefined ? '' : checkConfiguration(servers);
  const configure = servers === undefined ? '' : writeConfiguration(servers);
  return [
    {
      id: 'time',
      impact: 'none',
      deadlineSeconds: 600,
      check: `${RESTARTS}${CLIENT}asked=${asked}\n${CHECK}${configured}is_kept\n`,
      apply: `${RESTARTS}${CLIENT}asked=${asked} offline=${offline}\n${INSTALL}${configure}${START}`,
    },
  ];
}

const CLIENT = String.raw`
in_container() { [ -e /run/systemd/container ]; }
time_client() {
  if have chronyd; then
    say chrony
  elif have ntpd; then
    say ntp
  elif [ -e /usr/lib/systemd/systemd-timesyncd ] || [ -e /lib/systemd/systemd-timesyncd ]; then
    say timesyncd
  fi
}
time_unit() {
  case "$client" in
    chrony) set -- chronyd chrony ;;
    ntp) set -- ntpsec ntpd ntp ;;
    *) set -- systemd-timesyncd ;;
  esac
  for unit; do
    if systemctl cat "$unit" >/dev/null 2>&1; then say "$unit"; return; fi
  done
}
time_config() {
  case "$client" in
    chrony) if [ -d /etc/chrony ]; then say /etc/chrony/chrony.conf; else say /etc/chrony.conf; fi ;;
    ntp) if [ -d /etc/ntpsec ]; then say /etc/ntpsec/ntp.conf; else say /etc/ntp.conf; fi ;;
    *) say /etc/systemd/timesyncd.conf.d/ts-provider.conf ;;
  esac
}
is_kept() {
  ! has_systemd || { unit=$(time_unit) && [ -n "$unit" ] && systemctl is-active --quiet "$unit"; }
}
none_to_be_had() { [ "$asked" = no ] && [ -e "${STATE}/no-time-service" ]; }
`;

const CHECK = String.raw`
! in_container || return 0
client=$(time_client)
if [ -z "$client" ]; then none_to_be_had; return; fi
! owes_restart time || return 1
`;

const INSTALL = String.raw`
get_chrony() {
  [ "$offline" = no ] || failed PackageUnavailable 'no time service is here: the artifacts have to bring the package chrony'
  install_packages chrony
}
! in_container || return 0
client=$(time_client)
if [ -z "$client" ]; then
  if [ "$asked" = yes ]; then
    get_chrony
  elif ! (get_chrony); then
    say 'no time service is there, and none can be had: the clock is left alone'
    say none | put_state "${STATE}/no-time-service"
    return 0
  fi
  client=$(time_client)
fi
[ -n "$client" ] || failed PreparationFailed 'chrony is installed, but there is no chronyd'
`;

const START = String.raw`
has_systemd || return 0
unit=$(time_unit)
[ -n "$unit" ] || failed PreparationFailed "$client is there, but no service of systemd runs it"
systemctl is-enabled --quiet "$unit" || systemctl enable "$unit" >/dev/null 2>&1
pay_restart time "$unit" restart
systemctl is-active --quiet "$unit" || systemctl start "$unit" || failed PreparationFailed "$unit does not start: $(last_words "$unit")"
`;

const CLIENTS = ['chrony', 'ntp', 'timesyncd'] as const;

function contentOf(client: (typeof CLIENTS)[number], servers: readonly string[]): string {
  const sources = servers.map((server) => `server ${server} iburst\n`).join('');
  const texts = {
    chrony: `${sources}driftfile /var/lib/chrony/drift\nmakestep 1 3\nmaxupdateskew 100.0\nrtcsync\n`,
    ntp: `${sources}driftfile /var/lib/ntp/ntp.drift\nrestrict default kod nomodify nopeer noquery limited\nrestrict 127.0.0.1\nrestrict ::1\n`,
    timesyncd: `[Time]\nNTP=\nNTP=${servers.join(' ')}\nFallbackNTP=\n`,
  };
  return MARK + texts[client];
}

function ofEach(servers: readonly string[], command: (file: FileContent) => string): string {
  // Where the file is depends on the host: the shell says.
  const cases = CLIENTS.map((client) => {
    const file = { path: '@CONFIG@', mode: 0o644, content: contentOf(client, servers) };
    return `${client})\n${command(file).replaceAll('@CONFIG@', '"$config"')}\n;;\n`;
  });
  return `config=$(time_config)\ncase "$client" in\n${cases.join('')}esac\n`;
}

function checkConfiguration(servers: readonly string[]): string {
  return ofEach(servers, (file) => `${isFile(file)} || return 1`);
}

function writeConfiguration(servers: readonly string[]): string {
  return ofEach(servers, (file) => `${isFile(file)} || { owe_restart time\n${writeFile(file)}}`);
}
