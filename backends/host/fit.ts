// SPDX-License-Identifier: Apache-2.0
// Whether one host will do for one machine, and if not, why: the first reason that is found.
import type { HostHardware } from '../../api/tshost-status.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { MachineFacts } from '../backend.ts';
import { type InventoryHost, unavailability } from '../host-inventory.ts';
import { quantityValue } from './quantity.ts';

/** What a machine asks of a host. Sizes in bytes; what is not asked for is `undefined`. */
export interface Wanted {
  readonly labels: Readonly<Record<string, string>>;
  /** The host runs its Node already; false: it must not. */
  readonly adopt: boolean;
  readonly architecture: string | undefined;
  readonly operatingSystem: string | undefined;
  readonly cpus: number | undefined;
  readonly memory: number | undefined;
  readonly disk: number | undefined;
}

/** Reads the machine's selector. Throws TerminalError(InvalidMachine) for a quantity that is none. */
export function wantedBy(machine: MachineFacts): Wanted {
  const { selector = {}, adopt = false } = machine.spec.host ?? {};
  return {
    labels: selector.matchLabels ?? {},
    adopt,
    architecture: selector.architecture,
    operatingSystem: selector.operatingSystem,
    cpus: selector.minCPU,
    memory: bytes('minMemory', selector.minMemory),
    disk: bytes('minDisk', selector.minDisk),
  };
}

function bytes(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = quantityValue(text);
  if (value !== undefined) return value;
  const message = `spec.host.selector.${field} "${text}" is not a quantity: write one such as "64Gi"`;
  throw new TerminalError('InvalidMachine', message);
}

/** Whether the host carries the labels that the machine asks for. */
export function hasLabels({ labels }: Wanted, host: InventoryHost): boolean {
  return Object.entries(labels).every(([name, value]) => host.labels[name] === value);
}

type Check = (wanted: Wanted, host: InventoryHost) => string | undefined;

const UNMEASURED = 'not measured yet';

/** What was measured is compared; what was not says so, and may still turn out well. */
function compare<T>(asked: T | undefined, measured: T | undefined, fits: boolean, reason: string) {
  if (asked === undefined) return undefined;
  if (measured === undefined) return UNMEASURED;
  return fits ? undefined : reason;
}

const atLeast = (asked: number | undefined, measured: number | undefined, reason: string) =>
  compare(asked, measured, (measured ?? 0) >= (asked ?? 0), reason);

const equal = (asked: string | undefined, measured: string | undefined, reason: string) =>
  compare(asked, measured, measured === asked, reason);

const HARDWARE_CHECKS: readonly Check[] = [
  (wanted, host) => equal(wanted.architecture, host.status.hardware?.architecture, 'another architecture'),
  (wanted, host) =>
    equal(wanted.operatingSystem, host.status.operatingSystem?.family, 'another operating system'),
  (wanted, host) => atLeast(wanted.cpus, host.status.hardware?.cpus, 'too few CPUs'),
  (wanted, host) => atLeast(wanted.memory, memoryOf(host.status.hardware), 'too little memory'),
  (wanted, host) => atLeast(wanted.disk, largestDisk(host.status.hardware), 'too small disks'),
];

/** Memory in bytes, as measured. */
export function memoryOf(hardware: HostHardware | undefined): number | undefined {
  return hardware?.memory === undefined ? undefined : quantityValue(hardware.memory);
}

function largestDisk(hardware: HostHardware | undefined): number | undefined {
  return hardware?.disks && Math.max(0, ...hardware.disks.map(({ size }) => quantityValue(size) ?? 0));
}

function labelsAndUse(wanted: Wanted, host: InventoryHost): string | undefined {
  if (!hasLabels(wanted, host)) return 'other labels';
  if (wanted.adopt === host.adopt) return undefined;
  return host.adopt ? 'for adoption only' : 'not for adoption';
}

/** Why the host will not do, however long one waits; `undefined` also for what is not measured yet. */
export function mismatch(wanted: Wanted, host: InventoryHost): string | undefined {
  const reasons = [labelsAndUse, ...HARDWARE_CHECKS].map((check) => check(wanted, host));
  return reasons.find((reason) => reason !== undefined && reason !== UNMEASURED);
}

/** Why a host that fits cannot be had now; `undefined` when it can. */
export function notNow(wanted: Wanted, host: InventoryHost): string | undefined {
  return unavailability(host) ?? unmeasured(wanted, host);
}

function unmeasured(wanted: Wanted, host: InventoryHost): string | undefined {
  return HARDWARE_CHECKS.some((check) => check(wanted, host) === UNMEASURED) ? UNMEASURED : undefined;
}
