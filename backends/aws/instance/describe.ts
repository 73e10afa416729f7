// SPDX-License-Identifier: Apache-2.0
// DescribeInstances, page by page, into the store.
import { DescribeInstancesCommand, type Filter, type Instance } from '@aws-sdk/client-ec2';
import type { Ctx } from '../../../runtime/context.ts';
import type { AWSSession } from '../session/session.ts';
import { recordOf } from './record.ts';
import type { InstanceStore } from './store.ts';

/** EC2's largest page. */
const PAGE = 1000;
/** EC2 takes so many values in one filter. */
export const MAX_FILTER_VALUES = 200;

/**
 * Asks for the instances that match one filter and puts them into the store. Answers their ids. A filter, and never a list of ids: one
 * id that EC2 does not know (yet) would fail the call for all.
 */
export async function describeInto(
  ctx: Ctx,
  { session, store }: { readonly session: AWSSession; readonly store: InstanceStore },
  filter: Filter,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  let NextToken: string | undefined;
  do {
    const command = new DescribeInstancesCommand({ Filters: [filter], MaxResults: PAGE, NextToken });
    const page = await session.ec2(ctx, command);
    for (const { Instances = [] } of page.Reservations ?? [])
      for (const id of putAll(store, Instances)) ids.add(id);
    NextToken = page.NextToken === '' ? undefined : page.NextToken;
  } while (NextToken !== undefined);
  return ids;
}

/** Puts what an answer tells of instances into the store; answers their ids. */
export function putAll(store: InstanceStore, instances: readonly Instance[]): string[] {
  const records = instances.flatMap((instance) => recordOf(instance) ?? []);
  records.forEach((record) => store.put(record));
  return records.map(({ id }) => id);
}
