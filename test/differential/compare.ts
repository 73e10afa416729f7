// SPDX-License-Identifier: Apache-2.0
// Where two outcomes differ, one line for each place.
import type { Json } from './payload.ts';

export interface Difference {
  /** `data.payload.users[0].sudo`. */
  readonly path: string;
  /** `undefined`: not there. */
  readonly stock: Json | undefined;
  readonly ours: Json | undefined;
}

/** Depth first. Objects are compared by key, lists by index; absent and null differ. */
export function differences(stock: Json | undefined, ours: Json | undefined, path = ''): Difference[] {
  if (Array.isArray(stock) && Array.isArray(ours)) {
    const length = Math.max(stock.length, ours.length);
    return Array.from({ length }, (_, index) =>
      differences(stock[index], ours[index], `${path}[${index}]`),
    ).flat();
  }
  if (isObject(stock) && isObject(ours)) {
    const keys = new Set([...Object.keys(stock), ...Object.keys(ours)]);
    return [...keys].flatMap((key) =>
      differences(stock[key], ours[key], path === '' ? key : `${path}.${key}`),
    );
  }
  return Object.is(stock, ours) ? [] : [{ path, stock, ours }];
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** For a message: values cut to a length at which they can be read. */
export function printed({ path, stock, ours }: Difference): string {
  const short = (value: Json | undefined) => (JSON.stringify(value) ?? 'absent').slice(0, 160);
  return `${path}: stock ${short(stock)}, ours ${short(ours)}`;
}
