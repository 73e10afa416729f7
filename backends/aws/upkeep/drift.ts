// SPDX-License-Identifier: Apache-2.0
// What of a living instance is not as it shall be, of what can be changed while it lives. Pure.
import type { MachineFacts } from '../../backend.ts';
import { choiceOf } from '../instance/choice.ts';
import type { InstanceRecord } from '../instance/record.ts';
import { metadataOptions, tagsOfInstance } from '../instance/request.ts';
import { CLUSTER_TAG, NAME_TAG } from '../tags.ts';

type MetadataOptions = ReturnType<typeof metadataOptions>;

/** Only what differs is set, with the value that it shall have. */
export interface Drift {
  readonly tags?: Readonly<Record<string, string>>;
  /** Of the first network interface; further ones are whose made them. */
  readonly securityGroups?: { readonly networkInterfaceID: string; readonly ids: readonly string[] };
  readonly metadataOptions?: Partial<MetadataOptions>;
}

/** Whether the instance is ours to change: it carries the tag of the cluster. */
export function isOurs(record: InstanceRecord, machine: MachineFacts): boolean {
  const infrastructureID = choiceOf(machine.intent)?.infrastructureID ?? machine.infrastructureID;
  return infrastructureID !== undefined && record.tags[CLUSTER_TAG] === infrastructureID;
}

/** What is to be so besides what the spec of the machine says. */
export interface Wanted {
  /** Further tags. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Those that the spec asks for by now, which may be others than were chosen. Absent: not known, and nothing is done about them. */
  readonly securityGroupIDs?: readonly string[];
}

/** An instance of a pool has no choice of its own: its group has chosen, and of that only the metadata options are known here. */
export function driftOf(record: InstanceRecord, machine: MachineFacts, wanted: Wanted = {}): Drift {
  const { intent } = machine;
  const choice = choiceOf(intent);
  const spec = machine.spec.aws;
  if (spec === undefined) return {};
  const metadata = metadataDrift(record, metadataOptions(spec.metadataOptions));
  if (choice === undefined || intent === undefined) return metadata;
  const tags = { ...tagsOfInstance({ machine, spec, intent, choice }), ...wanted.tags };
  return { ...tagDrift(record, tags), ...groupDrift(record, wanted.securityGroupIDs ?? []), ...metadata };
}

/** Tags of others stay, and so does a name that somebody gave: nothing is found by it. */
function tagDrift({ tags }: InstanceRecord, wanted: Readonly<Record<string, string>>): Pick<Drift, 'tags'> {
  const isName = (key: string) => key === NAME_TAG && tags[key] !== undefined;
  const differing = Object.entries(wanted).filter(([key, value]) => tags[key] !== value && !isName(key));
  return differing.length === 0 ? {} : { tags: Object.fromEntries(differing) };
}

function groupDrift(record: InstanceRecord, wanted: readonly string[]): Pick<Drift, 'securityGroups'> {
  const [first] = record.networkInterfaces;
  const ids = [...wanted].sort();
  // Without any, EC2 had taken the default group of the VPC.
  if (first === undefined || ids.length === 0) return {};
  const isSame = ids.join() === [...first.securityGroupIDs].sort().join();
  return isSame ? {} : { securityGroups: { networkInterfaceID: first.id, ids } };
}

function metadataDrift(
  { metadataOptions: told }: InstanceRecord,
  wanted: MetadataOptions,
): Pick<Drift, 'metadataOptions'> {
  const is: Partial<Record<keyof MetadataOptions, string | number | undefined>> = {
    HttpEndpoint: told.httpEndpoint,
    HttpTokens: told.httpTokens,
    HttpPutResponseHopLimit: told.httpPutResponseHopLimit,
    InstanceMetadataTags: told.instanceMetadataTags,
  };
  const differing = (Object.keys(wanted) as (keyof MetadataOptions)[]).filter(
    (key) => is[key] !== undefined && is[key] !== wanted[key],
  );
  // EC2 wants the endpoint said in any change of what is behind it.
  const changed = Object.fromEntries(
    ['HttpEndpoint' as const, ...differing].map((key) => [key, wanted[key]]),
  );
  return differing.length === 0 ? {} : { metadataOptions: changed };
}
