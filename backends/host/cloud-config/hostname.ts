// SPDX-License-Identifier: Apache-2.0
// The name of the host and its line in /etc/hosts. A host keeps the name that it has, unless the document says another.
import type { Step } from '../job/job.ts';
import { quote } from '../job/shell.ts';
import { type Field, flagOf, textOfField, topLevel } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import type { InstanceMetadata } from './jinja.ts';
import { stepOf, writeFile } from './prelude.ts';
import type { Mapping } from './yaml-document.ts';

interface Names {
  readonly hostname: string;
  readonly fqdn: string;
}

/** Name first, then the line. */
export function hostnameSteps(config: Mapping, metadata: InstanceMetadata): Step[] {
  const names = namesOf(config, metadata);
  return [...nameSteps(config, names), ...hostsSteps(topLevel(config, 'manage_etc_hosts'), names)];
}

/** The document's name wins; what it does not say comes from the metadata. */
function namesOf(config: Mapping, metadata: InstanceMetadata): Names {
  const fqdn = nameOf(topLevel(config, 'fqdn'));
  const hostname = nameOf(topLevel(config, 'hostname'));
  if (fqdn !== undefined) return { fqdn, hostname: hostname ?? firstPart(fqdn) };
  if (hostname?.includes('.')) return { fqdn: hostname, hostname: firstPart(hostname) };
  return { fqdn: metadata.local_hostname, hostname: hostname ?? firstPart(metadata.local_hostname) };
}

function firstPart(name: string): string {
  return name.split('.')[0] ?? name;
}

function nameOf(field: Field | undefined): string | undefined {
  const name = textOfField(field);
  if (
    name === undefined ||
    field === undefined ||
    /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/.test(name)
  )
    return name;
  throw new InterpretError(field.path, 'is not a host name');
}

function nameSteps(config: Mapping, { hostname, fqdn }: Names): Step[] {
  const isSaid =
    textOfField(topLevel(config, 'fqdn')) !== undefined ||
    textOfField(topLevel(config, 'hostname')) !== undefined;
  const preferFqdn = flagOf(topLevel(config, 'prefer_fqdn_over_hostname'), false);
  const isPreserved = flagOf(topLevel(config, 'preserve_hostname'), false);
  if (isPreserved || !isSaid) return [];
  const name = preferFqdn ? fqdn : hostname;
  const file = { field: 'hostname', path: '/etc/hostname', append: false, mode: 0o644, owner: '' };
  const body = `${writeFile({ ...file, content: `${name}\n` })}hostname ${quote(name)} || failed 'hostname: cannot be set'\n`;
  return [stepOf('set_hostname', 'set_hostname', body)];
}

const LOCALHOST = String.raw`
hosts=/etc/hosts
remember "$hosts" || failed "cannot keep $hosts"
[ -f "$hosts" ] || : >"$hosts"
work=$(mktemp) || failed 'no temporary file'
awk -v fqdn="$fqdn" -v name="$name" '
  $1 != "127.0.1.1" { print; next }
  { mine[++n] = $0; if ($2 == fqdn) for (i = 3; i <= NF; i++) if ($i == name) found = 1 }
  END {
    for (i = 1; i <= n; i++) print mine[i]
    if (!found) print "127.0.1.1\t" fqdn "\t" name
  }
' "$hosts" >"$work" && cat "$work" >"$hosts" && chmod 644 "$hosts" || failed "cannot write $hosts"
rm -f "$work"
label "$hosts"
`;

/** `true` writes the whole file, `localhost` sees to one line. */
function hostsSteps(field: Field | undefined, { hostname, fqdn }: Names): Step[] {
  if (field === undefined) return [];
  if (field.value === 'localhost')
    return [
      stepOf(
        'update_etc_hosts',
        'update_etc_hosts',
        `fqdn=${quote(fqdn)}\nname=${quote(hostname)}${LOCALHOST}`,
      ),
    ];
  if (field.value !== 'template' && !flagOf(field, false)) return [];
  const content =
    '# Written by ts-provider (manage_etc_hosts).\n' +
    `127.0.1.1 ${fqdn} ${hostname}\n127.0.0.1 localhost\n\n` +
    '::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n';
  const file = { field: 'manage_etc_hosts', path: '/etc/hosts', append: false, mode: 0o644, owner: '' };
  return [stepOf('update_etc_hosts', 'update_etc_hosts', writeFile({ ...file, content }))];
}
