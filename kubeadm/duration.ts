// SPDX-License-Identifier: Apache-2.0
// Durations and times as kubeadm reads them.
import { InputError } from './input-error.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const HOURS_A_DAY = 24;

/** Whole seconds in Go's notation, such as `1m40s`: every unit below the largest one is written (KB-42). */
export function durationOfSeconds(seconds: number): string {
  const hours = Math.trunc(seconds / HOUR);
  const minutes = Math.trunc((seconds % HOUR) / MINUTE);
  const rest = `${seconds % MINUTE}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

/** Whole days in Go's notation, which has no unit above the hour: 365 days are `8760h0m0s` (KB-42). */
export function durationOfDays(days: number): string {
  return durationOfSeconds(days * HOURS_A_DAY * HOUR);
}

/** A point in time in UTC with whole seconds, however it was written. `field` is where it stands. Throws InputError. */
export function timeInUTC(text: string, field: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new InputError(field, 'is not a time, write it like 2026-01-31T12:00:00Z');
  }
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
