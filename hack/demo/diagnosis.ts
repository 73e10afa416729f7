// SPDX-License-Identifier: Apache-2.0
// Says which object is not where it should be, and which of its conditions tells why.
import type { Condition } from '../../api/meta.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { Client } from '../../runtime/client.ts';
import type { KubeObject } from '../../runtime/object.ts';
import type { Server } from '../stack/process.ts';
import { isRunning, readSnapshot } from './snapshot.ts';

/** Conditions that are good when they are False. */
const GOOD_WHEN_FALSE = new Set([
  'Paused',
  'Deleting',
  'Remediating',
  'RollingOut',
  'ScalingUp',
  'ScalingDown',
]);

const LOG_LINES = 5;

/** One line per condition that is not as it should be, then what the servers said last that was not information. */
export async function diagnose(client: Client, servers: readonly Server[]): Promise<string[]> {
  try {
    const snapshot = await readSnapshot(client);
    const machines = snapshot.machines.filter((machine) => !isRunning(machine));
    const unwell = new Set(machines.map(({ name }) => name));
    return [
      ...snapshot.owners.flatMap((object) => complaints(labelOf(object), conditionsOf(object))),
      ...machines.flatMap(({ name, phase, conditions }) =>
        complaints(`Machine ${name} (${phase || 'no phase yet'})`, conditions),
      ),
      ...snapshot.tsMachines
        .filter(({ metadata }) => unwell.has(metadata.name))
        .flatMap((object) => complaints(labelOf(object), conditionsOf(object))),
      ...servers.flatMap(troubles),
    ];
  } catch (error) {
    return [
      `the management API server does not answer: ${errorMessage(error)}`,
      ...servers.flatMap(troubles),
    ];
  }
}

/** `Machine demo-x: BootstrapConfigReady is False, NotReady: ...`. Something without any condition says so. */
export function complaints(label: string, conditions: readonly Condition[]): string[] {
  if (conditions.length === 0) return [`${label}: has no conditions yet`];
  return conditions
    .filter(({ type, status }) => status !== (GOOD_WHEN_FALSE.has(type) ? 'False' : 'True'))
    .map(({ type, status, reason, message }) => {
      const detail = message === '' ? '' : `: ${message.replaceAll('\n', ' ')}`;
      return `${label}: ${type} is ${status}, ${reason}${detail}`;
    });
}

function labelOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

function conditionsOf(object: KubeObject): readonly Condition[] {
  return (object as { status?: { conditions?: Condition[] } }).status?.conditions ?? [];
}

/** Errors and warnings at the end of the log, of klog and of pino. */
function troubles(server: Server): string[] {
  const lines = server.tail(500).split('\n');
  const bad = lines
    .filter((line) => /^[EWF]\d{4} |"level":"(warn|error|fatal)"/.test(line))
    .slice(-LOG_LINES);
  const state = server.running() ? [] : [`${server.name} does not run any more (${server.logFile})`];
  return [...state, ...bad.map((line) => `${server.name} says: ${line.slice(0, 400)}`)];
}
