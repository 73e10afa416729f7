// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type JsonObject, mergePatch } from './merge-patch.ts';

/** RFC 7386, section 2, as a server does it. */
function applied(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: JsonObject = isObject ? { ...(target as JsonObject) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applied(result[key], value);
  }
  return result;
}

const CASES: [string, JsonObject, JsonObject, JsonObject | undefined][] = [
  ['equal', { a: { b: [1, { c: 2 }] } }, { a: { b: [1, { c: 2 }] } }, undefined],
  ['equal in another order', { a: 1, b: 2 }, { b: 2, a: 1 }, undefined],
  ['changed scalar', { a: 1, b: 2 }, { a: 1, b: 3 }, { b: 3 }],
  [
    'false, zero and empty text are values',
    { a: true, b: 1, c: 'x' },
    { a: false, b: 0, c: '' },
    { a: false, b: 0, c: '' },
  ],
  ['removed key', { a: 1, b: 2 }, { a: 1 }, { b: null }],
  ['removed nested key', { a: { b: 1, c: 2 } }, { a: { c: 2 } }, { a: { b: null } }],
  ['last nested key', { a: { b: 1 } }, { a: {} }, { a: { b: null } }],
  ['undefined means absent', { a: 1 }, { a: undefined }, { a: null }],
  ['undefined on both sides', { a: undefined }, {}, undefined],
  ['null means absent', { a: 1 }, { a: null }, { a: null }],
  ['null where nothing was', {}, { a: null }, undefined],
  ['a nested null in a new object is left out', {}, { a: { b: null, c: { d: null } } }, { a: { c: {} } }],
  ['new empty object', {}, { a: {} }, { a: {} }],
  ['empty object stays', { a: {} }, { a: {} }, undefined],
  ['removed empty object', { a: {} }, {}, { a: null }],
  ['array grows: as a whole', { a: [1, 2] }, { a: [1, 2, 3] }, { a: [1, 2, 3] }],
  ['array order counts', { a: [1, 2] }, { a: [2, 1] }, { a: [2, 1] }],
  ['array becomes empty', { a: [1] }, { a: [] }, { a: [] }],
  ['undefined inside an element is not there', { a: [{ b: 1 }] }, { a: [{ b: 1, c: undefined }] }, undefined],
  ['array becomes object', { a: [1] }, { a: { b: 1 } }, { a: { b: 1 } }],
  ['object becomes array', { a: { b: 1 } }, { a: [1] }, { a: [1] }],
  ['object becomes scalar', { a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
  ['scalar becomes object', { a: 'x' }, { a: { b: 1 } }, { a: { b: 1 } }],
  [
    'unicode keys and values',
    { 'ключ/ä': '😀' },
    { 'ключ/ä': '日本', neu: '\u0000' },
    { 'ключ/ä': '日本', neu: '\u0000' },
  ],
];

describe('mergePatch', () => {
  it.each(CASES)('%s', (_name, from, to, want) => {
    expect(mergePatch(from, to)).toEqual(want);
  });

  it.each(CASES)(
    '%s: a server that applies it has what we wanted, and nothing is left to do',
    (_name, from, to) => {
      const patch = mergePatch(from, to);
      const result = applied(JSON.parse(JSON.stringify(from)), patch ?? {}) as JsonObject;
      expect(mergePatch(result, to)).toBeUndefined();
    },
  );
});
