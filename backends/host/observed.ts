// SPDX-License-Identifier: Apache-2.0
// What the TSHost controller reports of a host, in the words of the port.
import { isIP } from 'node:net';
import { ConditionType, Reason } from '../../api/conditions.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { HostState } from '../../api/tshost-status.ts';
import type { MachineAddress } from '../../api/tsmachine.ts';
import type { Observed } from '../backend.ts';
import { type HeldHost, providerIDOf } from './held.ts';

/** Changes of a TSHost wake its machine; this is for an event that got lost. */
export const POLL_MS = 60_000;

/** After these nothing comes of the machine any more: whoever made it replaces it. */
const FAILURES: readonly string[] = [
  Reason.BootstrapFailed,
  Reason.BootstrapInterrupted,
  Reason.BootstrapTimedOut,
  Reason.BootstrapDataUnsupported,
];

/** The machine on this host. */
export function observedOn(host: HeldHost): Observed {
  const { state } = host.status;
  const seen = {
    providerID: providerIDOf(host),
    addresses: addressesOf(host),
    failureDomain: host.failureDomain,
    message: saying(host),
    pollMs: POLL_MS,
  };
  const isWorkedOn = state !== undefined && WORKED_ON.includes(state);
  const failure = isWorkedOn ? failureOf(host, seen) : undefined;
  if (failure !== undefined) return failure;
  const reason = isWorkedOn ? host.status.error?.reason : undefined;
  return { state: (state && PHASES[state]) ?? 'pending', ...seen, ...(reason !== undefined && { reason }) };
}

/** What a machine is while its host is in this state; pending in all others. After a move the status is lost, and found again. */
const PHASES: Partial<Record<HostState, 'running' | 'stopped'>> = {
  Provisioned: 'running',
  Releasing: 'stopped',
  Cleaning: 'stopped',
  Quarantined: 'stopped',
};

const WORKED_ON: readonly HostState[] = ['Claimed', 'Preparing', 'Bootstrapping'];

function failureOf(
  { name, status: { error } }: HeldHost,
  seen: Omit<Observed & { state: 'failed' }, 'state'>,
): Observed | undefined {
  if (error === undefined || !FAILURES.includes(error.reason)) return undefined;
  return { state: 'failed', ...seen, reason: error.reason, message: `Host ${name}: ${error.message}` };
}

/** One line: what the host does, and what is in its way. */
export function saying(host: HeldHost): string {
  const { state, operation, error } = host.status;
  const step = operation?.step === undefined ? '' : `, step ${operation.step}`;
  const parts = [`${state ?? 'Claimed'}${step}`, obstacle(host), error?.message ?? waitingFor(host)];
  return `Host ${host.name}: ${parts.filter((part) => part !== undefined).join('; ')}`;
}

function obstacle({ maintenance, status: { operationalStatus } }: HeldHost): string | undefined {
  if (operationalStatus === 'Unreachable') return 'it cannot be reached';
  return maintenance || operationalStatus === 'Maintenance' ? 'it is in maintenance' : undefined;
}

/** What the TSHost itself says where it is not ready, such as whose turn it waits for. That it has this machine is no news. */
function waitingFor({ claim: { machine }, status: { conditions = [] } }: HeldHost): string | undefined {
  const ready = conditions.find(({ type }) => type === ConditionType.Ready);
  const isNews = ready?.message !== '' && ready?.message !== `TSMachine ${machine.namespace}/${machine.name}`;
  return ready?.status === 'False' && isNews ? ready.message : undefined;
}

/** Why the machine is not gone yet. With what a person can do where it does not go on by itself. */
export function releasing(host: HeldHost): string {
  const { error, operationalStatus } = host.status;
  const isStuck = error !== undefined || operationalStatus === 'Unreachable' || host.maintenance;
  if (!isStuck) return saying(host);
  return (
    `${saying(host)}. Mend the host; or, if nothing of the machine can ever run again, give it up with: ` +
    `kubectl annotate tshost -n ${host.namespace} ${host.name} ${FORCE_RELEASE_ANNOTATION}=${providerIDOf(host)}`
  );
}

/** The way in first, as the Node's own address usually is; then what else the host has, as its kubelet may choose another. */
function addressesOf({ address, status: { hostname, hardware } }: HeldHost): MachineAddress[] {
  const measured = (hardware?.nics ?? []).flatMap(({ addresses }) => addresses.map(withoutPrefix));
  const internal = new Set([...(isIP(address) === 0 ? [] : [address]), ...measured]);
  const hostnames = hostname === undefined || hostname === '' ? [] : [hostname];
  return [
    ...hostnames.map((name): MachineAddress => ({ type: 'Hostname', address: name })),
    ...[...internal].map((one): MachineAddress => ({ type: 'InternalIP', address: one })),
  ];
}

/** `10.0.0.7/24` is `10.0.0.7`. */
function withoutPrefix(address: string): string {
  return address.split('/')[0] ?? address;
}
