// SPDX-License-Identifier: Apache-2.0
import type { TSClusterIdentitySpec } from '../../api/tsclusteridentity.ts';

/**
 * Whether an identity may be used by clusters of a namespace (IC-15): nothing said allows none, `names` and `selector` each allow, and
 * an empty selector allows all. `labels`, those of the namespace, is asked only where they matter.
 */
export async function isAllowed(
  allowed: TSClusterIdentitySpec['allowedNamespaces'],
  namespace: string,
  labels: () => Promise<Readonly<Record<string, string>> | undefined>,
): Promise<boolean> {
  if (allowed?.names?.includes(namespace) === true) return true;
  if (allowed?.selector === undefined) return false;
  const wanted = Object.entries(allowed.selector.matchLabels ?? {});
  if (wanted.length === 0) return true;
  const carried = (await labels()) ?? {};
  return wanted.every(([key, value]) => Object.hasOwn(carried, key) && carried[key] === value);
}
