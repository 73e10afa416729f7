// SPDX-License-Identifier: Apache-2.0
// Tokens and keys differ from run to run. Each gets a name that stays the same wherever it appears, so that what has to be equal
// within one outcome is still seen to be equal.

/** Text that was made up by a provider, and the name it gets. */
export type Replacements = ReadonlyMap<string, string>;

/** Replaces in every string and key of a JSON value; whole values and parts of them alike. */
export function withPlaceholders<T>(value: T, replacements: Replacements): T {
  const ordered = [...replacements].filter(([text]) => text !== '');
  // A longer text may contain a shorter one: a bundle its certificates.
  ordered.sort(([a], [b]) => b.length - a.length);
  const replaced = (text: string) =>
    ordered.reduce((current, [from, to]) => current.replaceAll(from, to), text);
  return walk(value, replaced) as T;
}

function walk(value: unknown, replaced: (text: string) => string): unknown {
  if (typeof value === 'string') return replaced(value);
  if (Array.isArray(value)) return value.map((item) => walk(item, replaced));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [replaced(key), walk(item, replaced)]),
  );
}
