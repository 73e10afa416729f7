// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { addFinalizer, hasFinalizer, removeFinalizer } from './finalizers.ts';
import type { KubeObject } from './object.ts';

const FINALIZER = 'thing.example.org';

function object(finalizers?: string[], deletionTimestamp?: string): KubeObject {
  const metadata = {
    name: 'a',
    ...(finalizers && { finalizers }),
    ...(deletionTimestamp && { deletionTimestamp }),
  };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

describe('addFinalizer', () => {
  it.each([
    ['to none', object(), true, [FINALIZER]],
    ['after others', object(['other']), true, ['other', FINALIZER]],
    ['not twice', object([FINALIZER]), false, [FINALIZER]],
    ['not while deleting', object(['other'], '2026-01-01T00:00:00Z'), false, ['other']],
  ])('%s', (_name, given, changed, want) => {
    expect(addFinalizer(given, FINALIZER)).toBe(changed);
    expect(given.metadata.finalizers).toEqual(want);
  });

  it('does not change the list that it was given', () => {
    const shared = Object.freeze(['other']) as string[];
    addFinalizer(object(shared), FINALIZER);
    expect(shared).toEqual(['other']);
  });
});

describe('removeFinalizer', () => {
  it.each([
    ['the last one', object([FINALIZER], '2026-01-01T00:00:00Z'), true, undefined],
    ['ours only', object(['a', FINALIZER, 'b']), true, ['a', 'b']],
    ['nothing to do', object(['a']), false, ['a']],
    ['no list', object(), false, undefined],
  ])('%s', (_name, given, changed, want) => {
    expect(removeFinalizer(given, FINALIZER)).toBe(changed);
    expect(given.metadata.finalizers).toEqual(want);
    expect(hasFinalizer(given, FINALIZER)).toBe(false);
  });
});
