// SPDX-License-Identifier: Apache-2.0
// Looks into the instance database beside the manager that works with it, as an operator looks into the console of a cloud.
import { DatabaseSync } from 'node:sqlite';

/** An instance that was made in a namespace. */
export interface InstanceRow {
  readonly name: string;
  readonly state: string;
}

/** Every instance ever made in the namespace, tombstones (`terminated`) included, oldest first. */
export function instancesOf(database: string, namespace: string): InstanceRow[] {
  const db = new DatabaseSync(database, { readOnly: true });
  try {
    const rows = db
      .prepare('SELECT name, state FROM instances WHERE namespace = ? ORDER BY ordinal')
      .all(namespace);
    return rows.map((row) => ({ name: String(row['name']), state: String(row['state']) }));
  } finally {
    db.close();
  }
}

/** Names of those that are not gone. */
export function liveInstances(database: string, namespace: string): string[] {
  return instancesOf(database, namespace)
    .filter(({ state }) => state !== 'terminated')
    .map(({ name }) => name);
}
