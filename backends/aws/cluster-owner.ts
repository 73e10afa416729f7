// SPDX-License-Identifier: Apache-2.0
// Which TSCluster a resource was made for. A copy of a TSCluster has the same infrastructureID, and must not touch what the original has.
import { Reason } from '../../api/conditions.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { ClusterFacts } from '../cluster-backend.ts';
import { TSCLUSTER_TAG } from './tags.ts';

type Owner = Pick<ClusterFacts, 'namespace' | 'name'>;

/** Something with the cluster's tag. `what` names it for people, such as `VPC vpc-1`. */
export interface Owned {
  readonly what: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The tag that says it; the same after a move, which keeps namespace and name. */
export function ownerTag({ namespace, name }: Owner): Record<string, string> {
  return { [TSCLUSTER_TAG]: `${namespace}/${name}` };
}

/**
 * Throws TerminalError(ClusterIDTaken) where something was made for another TSCluster; what has no such tag passes. To be asked before
 * anything is changed or deleted.
 */
export function requireOwn(
  cluster: Owner & Pick<ClusterFacts, 'infrastructureID'>,
  found: readonly Owned[],
): void {
  const own = ownerTag(cluster)[TSCLUSTER_TAG];
  const foreign = found.find(({ tags }) => (tags[TSCLUSTER_TAG] ?? own) !== own);
  if (foreign === undefined) return;
  const other = foreign.tags[TSCLUSTER_TAG];
  throw new TerminalError(
    Reason.ClusterIDTaken,
    `${foreign.what} belongs to TSCluster ${other}, which has the same spec.infrastructureID ${cluster.infrastructureID}: nothing of it is ` +
      `changed or deleted. Make this TSCluster again without spec.infrastructureID (take the finalizer of this one off to delete it); if ` +
      `it is ${other} under another name, set the tag ${TSCLUSTER_TAG} of the cluster's resources to ${own}`,
  );
}
