// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';

/** A JSON object. */
export type JsonObject = Record<string, unknown>;

/**
 * The JSON merge patch (RFC 7386) that turns `from` into `to`, or `undefined` when there is nothing to do. Removed keys become
 * null, arrays are replaced as a whole. `undefined` and null in `to` mean "absent": a merge patch cannot say null.
 */
export function mergePatch(from: JsonObject, to: JsonObject): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const difference = differ(from[key], to[key]);
    if (difference !== undefined) patch[key] = difference;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** `undefined` for "equal", null for "remove". */
function differ(from: unknown, to: unknown): unknown {
  const had = from !== undefined && from !== null;
  if (to === undefined || to === null) return had ? null : undefined;
  if (isObject(to)) return isObject(from) ? mergePatch(from, to) : withoutAbsent(to);
  // As it will be on the wire: an `undefined` inside an array's element is not there.
  const sent: unknown = Array.isArray(to) ? JSON.parse(JSON.stringify(to)) : to;
  return isDeepStrictEqual(from, sent) ? undefined : sent;
}

/** A new object is sent whole; a null inside would be read as "remove" by some servers and as a value by others. */
function withoutAbsent(value: JsonObject): JsonObject {
  const present = Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== null);
  return Object.fromEntries(
    present.map(([key, inner]) => [key, isObject(inner) ? withoutAbsent(inner) : inner]),
  );
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
