// SPDX-License-Identifier: Apache-2.0
// What we write on everything that we make at AWS. Only a resource with the tag of its cluster is ever changed or deleted.
import type { Tag } from '@aws-sdk/client-ec2';

/** Whose a resource is: the infrastructureID of its cluster. */
export const CLUSTER_TAG = 'ts-provider/cluster';
/** Which part of the cluster a resource is, such as `control-plane` or `nat`. */
export const ROLE_TAG = 'ts-provider/role';
/** Of the network and the load balancer: `<namespace>/<name>` of the TSCluster that they were made for. */
export const TSCLUSTER_TAG = 'ts-provider/tscluster';
/** Of an Auto Scaling group, its launch template and its instances: `<namespace>/<name>` of the TSMachinePool. */
export const POOL_TAG = 'ts-provider/pool';
/** Of an instance: `<namespace>/<name>` of its TSMachine. */
export const MACHINE_TAG = 'ts-provider/machine';
/** Of an instance: UID of its TSMachine; another one after a move. */
export const MACHINE_UID_TAG = 'ts-provider/machine-uid';
/** Of an instance: the client token of its create intent. */
export const TOKEN_TAG = 'ts-provider/token';
/** Of an instance: the request hash of its create intent. */
export const REQUEST_TAG = 'ts-provider/request';
/** Shown in the console; users may set their own, since nothing is found by it. */
export const NAME_TAG = 'Name';

/** What tags are made of, besides what the user asks for. */
export interface Tagging {
  readonly infrastructureID: string;
  /** For the cloud controller manager of the cluster; '' where it is unknown. */
  readonly clusterName: string;
  readonly role: string;
  readonly name: string;
  /** User tags, the most general first: of the cluster, then of the machine. */
  readonly user?: readonly (Readonly<Record<string, string>> | undefined)[];
  /** Further tags of ours. */
  readonly own?: Readonly<Record<string, string>>;
}

/** The API server refuses these keys; an object of before it did may have them. */
const RESERVED = ['ts-provider/', 'kubernetes.io/cluster/'];

/** Tags by key; ours win over the user's, except for the name. None of the user's may be taken for one of ours. */
export function tagsOf({
  infrastructureID,
  clusterName,
  role,
  name,
  user = [],
  own,
}: Tagging): Record<string, string> {
  return {
    [NAME_TAG]: name,
    ...withoutReserved(Object.assign({}, ...user) as Record<string, string>),
    ...(clusterName !== '' && { [`kubernetes.io/cluster/${clusterName}`]: 'owned' }),
    [CLUSTER_TAG]: infrastructureID,
    [ROLE_TAG]: role,
    ...own,
  };
}

function withoutReserved(tags: Readonly<Record<string, string>>): Record<string, string> {
  const allowed = ([key]: readonly [string, string]) => !RESERVED.some((prefix) => key.startsWith(prefix));
  return Object.fromEntries(Object.entries(tags).filter(allowed));
}

/** As the SDK wants them, sorted, so that the same tags give the same request. */
export function tagList(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}

/** The value of a tag in an answer of the SDK. */
export function tagValue(tags: readonly Tag[] | undefined, key: string): string | undefined {
  return tags?.find((tag) => tag.Key === key)?.Value;
}
