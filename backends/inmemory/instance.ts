// SPDX-License-Identifier: Apache-2.0
import type { SQLOutputValue } from 'node:sqlite';
import { Reason } from '../../api/conditions.ts';
import { inMemoryProviderID } from '../../api/provider-id.ts';
import type { MachineAddress } from '../../api/tsmachine.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { BootstrapData } from '../backend.ts';

/**
 * Where an instance is in its life: `pending` until its boot time, `booting` while its guest joins the cluster, `running`,
 * `failed` (it never came up), `stopped` (it died), `terminated` (a tombstone that keeps its client token taken).
 */
export type InstanceState = 'pending' | 'booting' | 'running' | 'failed' | 'stopped' | 'terminated';

/** The simulator's remote control of one instance; times in milliseconds. */
export interface Rehearsal {
  readonly bootDelayMs: number;
  readonly neverBoots?: boolean;
  readonly provisioningError?: string;
  readonly diesAfterMs?: number;
}

/** What the guest has to do on the workload cluster: join, be seen as lost, or be forgotten. */
export type GuestWork = 'bringUp' | 'lost' | 'leave';

/** An instance as its cloud shows it. */
export interface Instance {
  /** Random and never reused: the per-machine part of the providerID. */
  readonly id: string;
  readonly providerID: string;
  readonly clientToken: string;
  readonly requestHash: string;
  readonly namespace: string;
  readonly name: string;
  readonly clusterName: string;
  readonly controlPlane: boolean;
  readonly version: string | undefined;
  readonly failureDomain: string | undefined;
  /** Kubernetes quantities that the Node reports. */
  readonly capacity: Readonly<Record<string, string>>;
  readonly rehearsal: Rehearsal;
  readonly state: InstanceState;
  readonly message: string;
  readonly addresses: readonly MachineAddress[];
  readonly internalIP: string;
  /** Known once the guest has read its bootstrap data. */
  readonly nodeName: string | undefined;
  /** Milliseconds since the epoch; `undefined` when it never boots. */
  readonly bootAtMs: number | undefined;
}

/** One piece of guest work that this process has leased. */
export interface GuestJob {
  readonly instance: Instance;
  readonly work: GuestWork;
  /** Present for `bringUp`. */
  readonly bootstrapData: BootstrapData | undefined;
  /** How often this work was taken up, this time included. */
  readonly attempt: number;
}

/** A row as SQLite returns it. */
export type Row = Record<string, SQLOutputValue>;

/** Reads a row of the table `instances`. */
export function instanceOf(row: Row): Instance {
  const id = text(row, 'id');
  const name = text(row, 'name');
  const internalIP = addressOf(Number(row['ordinal']));
  return {
    id,
    providerID: inMemoryProviderID(id),
    clientToken: text(row, 'client_token'),
    requestHash: text(row, 'request_hash'),
    namespace: text(row, 'namespace'),
    name,
    clusterName: text(row, 'cluster'),
    controlPlane: row['control_plane'] === 1,
    version: optionalText(row, 'version'),
    failureDomain: optionalText(row, 'failure_domain'),
    capacity: JSON.parse(text(row, 'capacity')) as Record<string, string>,
    rehearsal: JSON.parse(text(row, 'rehearsal')) as Rehearsal,
    state: text(row, 'state') as InstanceState,
    message: text(row, 'message'),
    addresses: [
      { type: 'InternalIP', address: internalIP },
      { type: 'Hostname', address: name },
    ],
    internalIP,
    nodeName: optionalText(row, 'node_name'),
    bootAtMs: optionalNumber(row, 'boot_at'),
  };
}

/** Reads a row of the table `instances` that was just leased. */
export function jobOf(row: Row): GuestJob {
  const userData = row['user_data'];
  return {
    instance: instanceOf(row),
    work: text(row, 'guest_work') as GuestWork,
    bootstrapData:
      userData instanceof Uint8Array
        ? { format: text(row, 'format') as BootstrapData['format'], value: Buffer.from(userData) }
        : undefined,
    attempt: Number(row['attempts']),
  };
}

/**
 * Throws TerminalError(DuplicateInstances) when the instance was made for another machine than the one of these names: spec
 * travels with a copied object, and the copy must neither serve nor end what belongs to the original.
 */
export function checkOwner(
  instance: Instance,
  machine: { readonly namespace: string; readonly name: string },
): void {
  if (instance.namespace === machine.namespace && instance.name === machine.name) return;
  throw new TerminalError(
    Reason.DuplicateInstances,
    `Instance ${instance.providerID} belongs to ${instance.namespace}/${instance.name}, of which this machine is a copy; ` +
      'delete the copy and take its finalizer off by hand: the instance stays where it belongs',
  );
}

/** Private, unique for the first 16 million instances, and the same after a restart: the ordinal counts instances ever made. */
function addressOf(ordinal: number): string {
  const [HOSTS, NETWORKS] = [254, 256];
  const network = Math.floor(ordinal / HOSTS);
  return `10.${Math.floor(network / NETWORKS) % NETWORKS}.${network % NETWORKS}.${(ordinal % HOSTS) + 1}`;
}

function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new Error(`column ${column} of the instance database holds no text`);
  return value;
}

function optionalText(row: Row, column: string): string | undefined {
  const value = row[column];
  return typeof value === 'string' ? value : undefined;
}

function optionalNumber(row: Row, column: string): number | undefined {
  const value = row[column];
  return typeof value === 'number' ? value : undefined;
}
