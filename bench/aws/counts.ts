// SPDX-License-Identifier: Apache-2.0
// What was counted by key: `ec2.RunInstances`, `patch tsmachines/status`.

/** Of all keys together. */
export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0);
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/**
 * The writes among API server requests by verb and resource. Events are told apart: nobody acts on them, and they are joined, so that
 * their number says nothing of how often an object was written.
 */
export function writesOf(requests: ReadonlyMap<string, number>): { objects: number; events: number } {
  const writes = { objects: 0, events: 0 };
  for (const [key, count] of requests) {
    const [verb = '', resource = ''] = key.split(' ');
    if (WRITES.has(verb)) writes[resource === 'events' ? 'events' : 'objects'] += count;
  }
  return writes;
}
