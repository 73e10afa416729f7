// SPDX-License-Identifier: Apache-2.0
// `ts-provider hosts import`: objects for hosts that a file lists, with the host keys that they show today.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { UsageError } from '../manifests.ts';
import { checkDistinct, type EndpointEntry, type HostEntry } from './entry.ts';
import { CSV_COLUMNS, hostsFromCsv } from './from-csv.ts';
import { hostsFromTerraform } from './from-terraform.ts';
import { hostObjects } from './objects.ts';

export const IMPORT_HELP = `ts-provider hosts import -f hosts.csv|terraform-output.json [--namespace NAME] [--yes]

Asks every host that the file lists for its host key, shows the fingerprints, and when you agree prints TSHosts and the Secrets with
their keys, for kubectl apply -f -. Compare the fingerprints with what "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" says on the hosts.
Host keys that the file names are taken as they are. Nothing is asked of any cluster, nobody logs in to a host.

  -f, --filename FILE   a CSV file with the columns ${CSV_COLUMNS.join(', ')};
                        or the output of "terraform output -json" in KubeOne's shape
  --namespace NAME      namespace of the objects; default: default
  --yes                 accept the fingerprints without asking; they are printed all the same
`;

/** What the command needs of the world. */
export interface ImportDeps {
  /** The key that a host offers, `<type> <base64>`; goes through the bastion when there is one. */
  readonly scan: (host: HostEntry | EndpointEntry) => Promise<string>;
  readonly fingerprint: (hostKey: string) => string;
  /** Shows the fingerprints. */
  readonly say: (line: string) => void;
  /** Asks a person; `undefined` when there is none. */
  readonly ask: (question: string) => Promise<boolean | undefined>;
}

/** The command. Answers YAML. Throws UsageError. */
export async function importCommand(args: readonly string[], deps: ImportDeps): Promise<string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      filename: { type: 'string', short: 'f' },
      namespace: { type: 'string', default: 'default' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return IMPORT_HELP;
  if (values.filename === undefined) throw new UsageError('give the file of the hosts with -f FILE');
  const entries = entriesOf(values.filename);
  checkDistinct(entries);
  const objects = (pinned: readonly HostEntry[]) =>
    hostObjects(pinned, { namespace: values.namespace, read: readText });
  // Before anybody is asked anything: a key file that cannot be read is found now.
  objects(entries);
  const pinned = await pin(entries, deps);
  if (!values.yes && !(await agreed(deps))) throw new UsageError('nothing was printed: no agreement');
  return objects(pinned)
    .map((object) => `---\n${stringify(object)}`)
    .join('');
}

function entriesOf(file: string): HostEntry[] {
  const text = readText(file);
  try {
    return text.trimStart().startsWith('{') ? hostsFromTerraform(text) : hostsFromCsv(text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Bastions first, each once: a host behind one is reached through a bastion whose key is known by then. */
async function pin(entries: readonly HostEntry[], deps: ImportDeps): Promise<HostEntry[]> {
  const bastions = new Map<string, EndpointEntry>();
  const place = (end: EndpointEntry) => `${end.user}@${end.address}:${end.port}`;
  for (const bastion of entries.flatMap((entry) => entry.bastion ?? [])) {
    const known = bastions.get(place(bastion));
    if (known === undefined) {
      const hostKeys = await keysOf(bastion, `bastion ${bastion.address}`, deps);
      bastions.set(place(bastion), { ...bastion, hostKeys });
    }
  }
  const pinned: HostEntry[] = [];
  for (const entry of entries) {
    const bastion = entry.bastion && { ...entry.bastion, ...bastions.get(place(entry.bastion)) };
    const through = { ...entry, bastion };
    pinned.push({ ...through, hostKeys: await keysOf(through, entry.name, deps) });
  }
  return pinned;
}

async function keysOf(end: HostEntry | EndpointEntry, name: string, deps: ImportDeps): Promise<string[]> {
  const given = end.hostKeys.length > 0;
  const keys = given ? [...end.hostKeys] : [await deps.scan(end)];
  for (const key of keys) {
    const [type = ''] = key.split(' ');
    deps.say(
      `${name} (${end.address}:${end.port}): ${type} ${deps.fingerprint(key)}${given ? ' (from the file)' : ''}`,
    );
  }
  return keys;
}

async function agreed(deps: ImportDeps): Promise<boolean> {
  const answer = await deps.ask('Are these the keys of your hosts? [y/N] ');
  if (answer === undefined) {
    throw new UsageError('there is nobody to ask: compare the fingerprints, then give --yes');
  }
  return answer;
}
