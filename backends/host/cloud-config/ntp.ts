// SPDX-License-Identifier: Apache-2.0
// ntp: the time servers of the client that the host has.
import type { Step } from '../job/job.ts';
import { heredoc, quote } from '../job/shell.ts';
import { type Field, fieldsOf, flagOf, itemsOf, wordOf, textOfField } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { stepOf } from './prelude.ts';

/** In the order in which they are looked for. */
const CLIENTS = ['chrony', 'systemd-timesyncd', 'ntp'] as const;

const FUNCTIONS = String.raw`
has() {
  case $1 in
    chrony) command -v chronyd ;;
    systemd-timesyncd) [ -x /lib/systemd/systemd-timesyncd ] || [ -x /usr/lib/systemd/systemd-timesyncd ] ;;
    ntp) command -v ntpd ;;
  esac >/dev/null 2>&1
}
# The file that a client reads, and the unit that runs it.
chosen() {
  case $1 in
    chrony)
      config=/etc/chrony/chrony.conf
      units='chrony chronyd'
      if ! [ -d /etc/chrony ] && [ -e /etc/chrony.conf ]; then config=/etc/chrony.conf; fi
      ;;
    systemd-timesyncd) config=/etc/systemd/timesyncd.conf.d/cloud-init.conf units=systemd-timesyncd ;;
    ntp)
      config=/etc/ntp.conf units='ntp ntpd'
      if [ -d /etc/ntpsec ]; then config=/etc/ntpsec/ntp.conf units='ntpsec ntp'; fi
      ;;
  esac
}
client=
for one in $clients; do
  if [ -z "$client" ] && has "$one"; then client=$one; fi
done
[ -n "$client" ] || failed "ntp: the host has none of: $clients; install chrony"
chosen "$client"
make_folder "$(dirname "$config")" && remember "$config" || failed "ntp: cannot keep $config"
# As cloud-init does, the file that came with the system stays beside.
if [ -e "$config" ] && ! [ -e "$config.dist" ]; then
  remember "$config.dist" && cp -p "$config" "$config.dist" || failed "ntp: cannot keep $config"
fi
`;

const END = String.raw`
chmod 644 "$config"
label "$config"
if has_systemd; then
  for unit in $units; do
    if systemctl cat "$unit" >/dev/null 2>&1; then
      systemctl reload-or-restart "$unit" || failed "ntp: cannot restart $unit"
      exit 0
    fi
  done
fi
`;

/** What is neither said by servers nor by pools stays as the host has it. */
export function ntpSteps(field: Field | undefined): Step[] {
  if (field === undefined || field.value === null) return [];
  const fields = fieldsOf(field, ['enabled', 'servers', 'pools', 'ntp_client']);
  const servers = addresses(fields.get('servers'));
  const pools = addresses(fields.get('pools'));
  const clients = clientsOf(fields.get('ntp_client'));
  if (!flagOf(fields.get('enabled'), true) || servers.length + pools.length === 0) return [];
  const files = {
    chrony: chronyConf(servers, pools),
    'systemd-timesyncd': `# Written by ts-provider\n[Time]\nNTP=${[...servers, ...pools].join(' ')}\n`,
    ntp: ntpConf(servers, pools),
  };
  const write = Object.entries(files)
    .map(
      ([name, text]) =>
        `${name}) base64 -d >"$config" ${heredoc(text, ' || failed "ntp: cannot write $config"')};;\n`,
    )
    .join('');
  const body = `clients=${quote(clients.join(' '))}\n${FUNCTIONS}case $client in\n${write}esac\n${END}`;
  return [stepOf('ntp', 'ntp', body)];
}

function addresses(field: Field | undefined): string[] {
  return itemsOf(field).map((item) => {
    const word = wordOf(item);
    if (!/^[\w.:%-]{1,253}$/.test(word))
      throw new InterpretError(item.path, 'is neither a name nor an address');
    return word;
  });
}

function clientsOf(field: Field | undefined): readonly string[] {
  const name = textOfField(field) ?? 'auto';
  if (name === 'auto') return CLIENTS;
  if ((CLIENTS as readonly string[]).includes(name)) return [name];
  throw new InterpretError('ntp.ntp_client', `is not known: use auto, ${CLIENTS.join(', ')}`);
}

function sources(servers: readonly string[], pools: readonly string[]): string {
  return [
    ...pools.map((name) => `pool ${name} iburst\n`),
    ...servers.map((name) => `server ${name} iburst\n`),
  ].join('');
}

function chronyConf(servers: readonly string[], pools: readonly string[]): string {
  return (
    `# Written by ts-provider\n${sources(servers, pools)}` +
    'driftfile /var/lib/chrony/drift\nmakestep 1 3\nmaxupdateskew 100.0\nrtcsync\n'
  );
}

function ntpConf(servers: readonly string[], pools: readonly string[]): string {
  return (
    `# Written by ts-provider\n${sources(servers, pools)}` +
    'driftfile /var/lib/ntp/ntp.drift\nrestrict default kod nomodify nopeer noquery limited\nrestrict 127.0.0.1\nrestrict ::1\n'
  );
}
