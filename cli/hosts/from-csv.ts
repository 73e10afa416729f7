// SPDX-License-Identifier: Apache-2.0
import { parse } from 'csv-parse/sync';
import { UsageError } from '../manifests.ts';
import { type EndpointEntry, type HostEntry, objectName, portOf } from './entry.ts';

/** Columns of the file, in any order; the first line names them. Only address and key are required. */
export const CSV_COLUMNS = [
  'name',
  'address',
  'port',
  'user',
  'key',
  'sudo_password_file',
  'host_key',
  'labels',
  'failure_domain',
  'bastion_address',
  'bastion_port',
  'bastion_user',
  'bastion_key',
  'bastion_host_key',
] as const;

type Row = Partial<Record<(typeof CSV_COLUMNS)[number], string>>;

/** Reads hosts.csv. Throws UsageError naming the line and the column. */
export function hostsFromCsv(text: string): HostEntry[] {
  const rows = records(text);
  if (rows.length === 0) throw new UsageError('the file has no host: the first line names the columns');
  const unknown = Object.keys(rows[0]!).filter((column) => !CSV_COLUMNS.some((one) => one === column));
  if (unknown.length > 0) {
    throw new UsageError(
      `there is no column "${unknown.join('", "')}"; there are: ${CSV_COLUMNS.join(', ')}`,
    );
  }
  // The first line names the columns.
  return rows.map((row, index) => entryOf(row, `line ${index + 2}`));
}

function records(text: string): Row[] {
  try {
    return parse(text, {
      columns: (names: string[]) => names.map((name) => name.toLowerCase()),
      bom: true,
      comment: '#',
      comment_no_infix: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (error) {
    throw new UsageError(`not a CSV file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function entryOf(row: Row, line: string): HostEntry {
  const address = required(row, 'address', line);
  return {
    name: objectName(row.name === undefined || row.name === '' ? address : row.name),
    address,
    port: portOf(row.port, `${line}, column port`),
    user: row.user === undefined || row.user === '' ? 'root' : row.user,
    keyFile: required(row, 'key', line),
    hostKeys: listOf(row.host_key),
    labels: labelsOf(row.labels ?? '', line),
    failureDomain: row.failure_domain === '' ? undefined : row.failure_domain,
    sudoPasswordFile: row.sudo_password_file === '' ? undefined : row.sudo_password_file,
    bastion: bastionOf(row, line),
  };
}

function bastionOf(row: Row, line: string): EndpointEntry | undefined {
  if (row.bastion_address === undefined || row.bastion_address === '') return undefined;
  return {
    address: row.bastion_address,
    port: portOf(row.bastion_port, `${line}, column bastion_port`),
    user: row.bastion_user === undefined || row.bastion_user === '' ? 'root' : row.bastion_user,
    keyFile:
      row.bastion_key === undefined || row.bastion_key === '' ? required(row, 'key', line) : row.bastion_key,
    hostKeys: listOf(row.bastion_host_key),
  };
}

function required(row: Row, column: 'address' | 'key', line: string): string {
  const value = row[column];
  if (value === undefined || value === '') throw new UsageError(`${line}: column ${column} is empty`);
  return value;
}

function listOf(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(';').map((key) => key.trim());
}

/** `role=worker;rack=7`. */
function labelsOf(text: string, line: string): Record<string, string> {
  const pairs = text.split(';').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value, ...rest] = pair.split('=').map((part) => part.trim());
      if (key === '' || value === undefined || rest.length > 0) {
        throw new UsageError(`${line}: write labels as role=worker;rack=7, not "${pair}"`);
      }
      return [key, value];
    }),
  );
}
