// SPDX-License-Identifier: Apache-2.0
// Says which object is not where it should be, and which of its conditions tells why.
import type { Condition } from '../../api/meta.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { Client } from '../../runtime/client.ts';
import type { KubeObject } from '../../runtime/object.ts';
import type { Server } from '../stack/process.ts';
import { isRunning, readSnapshot } from './snapshot.ts';

/** The conditions that sum up the others of their object: their messages name those that are not true. */
const SUMMARIES = ['Ready', 'Available'];

const LOG_LINES = 2;

/** Servers that have died, then a line per object that is not as it should be, then the last complaints of the servers. */
export async function diagnose(client: Client, servers: readonly Server[]): Promise<string[]> {
  const dead = servers.filter((server) => !server.running());
  const died = dead.map(({ name, logFile }) => `${name} does not run any more, see ${logFile}`);
  return [...died, ...(await complaintsOf(client)), ...servers.flatMap(lastErrors)];
}

async function complaintsOf(client: Client): Promise<string[]> {
  try {
    const { owners, machines, tsMachines } = await readSnapshot(client);
    const unwell = machines.filter((machine) => !isRunning(machine));
    const names = new Set(unwell.map(({ name }) => name));
    return [
      ...owners.flatMap((object) => complaints(labelOf(object), conditionsOf(object))),
      ...unwell.flatMap(({ name, phase, conditions }) =>
        complaints(`Machine ${name} (${phase || 'New'})`, conditions),
      ),
      ...tsMachines
        .filter(({ metadata }) => names.has(metadata.name))
        .flatMap((object) => complaints(labelOf(object), conditionsOf(object))),
    ];
  } catch (error) {
    return [`the management API server does not answer: ${errorMessage(error)}`];
  }
}

/**
 * `Machine a: Ready is False, NotReady: BootstrapConfigReady: ...`. Of the conditions that sum up, the first that is not true, and
 * why it is on its way out where it is. An object without conditions says so.
 */
export function complaints(label: string, conditions: readonly Condition[]): string[] {
  if (conditions.length === 0) return [`${label}: has no conditions yet`];
  const summary = SUMMARIES.map((wanted) => conditions.find(({ type }) => type === wanted))
    .filter((condition) => condition !== undefined)
    .find(({ status }) => status !== 'True');
  const deleting = conditions.find(({ type, status }) => type === 'Deleting' && status === 'True');
  return [summary, deleting]
    .filter((condition) => condition !== undefined)
    .map((one) => `${label}: ${lineOf(one)}`);
}

function lineOf({ type, status, reason, message }: Condition): string {
  const detail = message === '' ? '' : `: ${message.replaceAll(/\s*\n\s*/g, ' ')}`;
  return `${type} is ${status}, ${reason}${detail}`;
}

function labelOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

function conditionsOf(object: KubeObject): readonly Condition[] {
  return (object as { status?: { conditions?: Condition[] } }).status?.conditions ?? [];
}

/** The last errors in the log, of klog and of pino, and our own warnings. */
function lastErrors(server: Server): string[] {
  const lines = server.tail(500).split('\n');
  const bad = lines.filter((line) => /^[EF]\d{4} |"level":"(warn|error|fatal)"/.test(line)).slice(-LOG_LINES);
  return bad.map((line) => `${server.name} said: ${line.slice(0, 300)}`);
}
