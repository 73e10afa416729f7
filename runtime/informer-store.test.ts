// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { InformerEvent } from './informer.ts';
import { compareResourceVersions, InformerStore } from './informer-store.ts';
import type { KubeObject, ObjectMeta } from './object.ts';

function thing(version: string, over: Partial<ObjectMeta> = {}): KubeObject {
  const metadata = { namespace: 'ns', name: 'a', uid: 'u1', ...over, resourceVersion: version };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

let store: InformerStore;
let told: string[];
const words = (event: InformerEvent<KubeObject>): string => {
  const { uid, resourceVersion } = event.object.metadata;
  const from = event.type === 'update' ? `${event.previous.metadata.resourceVersion}>` : '';
  return `${event.type} ${uid}@${from}${resourceVersion}`;
};
const version = (name = 'a') => store.get({ namespace: 'ns', name })?.metadata.resourceVersion;

beforeEach(() => {
  told = [];
  store = new InformerStore((event) => told.push(words(event)));
});

describe('watch events', () => {
  it('tells add, update, delete', () => {
    store.upsert(thing('1'));
    store.upsert(thing('2'));
    store.remove(thing('3'));
    expect(told).toEqual(['add u1@1', 'update u1@1>2', 'delete u1@3']);
    expect(store.size).toBe(0);
  });

  it('tells a version once', () => {
    store.upsert(thing('1'));
    store.upsert(thing('1'));
    expect(told).toEqual(['add u1@1']);
  });

  it('a namesake with another uid is another object', () => {
    store.upsert(thing('1'));
    store.upsert(thing('5', { uid: 'u2' }));
    expect(told).toEqual(['add u1@1', 'delete u1@1', 'add u2@5']);
  });

  it('resumes from the last thing told, bookmarks included', () => {
    store.upsert(thing('8'));
    store.upsert(thing('9', { name: 'b', uid: 'u2' }));
    expect(store.resourceVersion).toBe('9');
    store.bookmark('100');
    expect(store.resourceVersion).toBe('100');
  });

  it('what it holds cannot be changed', () => {
    store.upsert(thing('1', { labels: { a: 'b' } }));
    const held = store.list()[0];
    expect(() => Object.assign(held?.metadata.labels ?? {}, { a: 'c' })).toThrow(TypeError);
  });
});

describe('replace', () => {
  it('tells real differences only', () => {
    store.replace(
      [thing('1'), thing('2', { name: 'b', uid: 'u2' }), thing('3', { name: 'c', uid: 'u3' })],
      '5',
    );
    told.length = 0;
    store.replace(
      [thing('1'), thing('7', { name: 'b', uid: 'u2' }), thing('8', { name: 'd', uid: 'u4' })],
      '9',
    );
    expect(told).toEqual(['delete u3@3', 'update u2@2>7', 'add u4@8']);
    expect(store.resourceVersion).toBe('9');
  });

  it('a list that is older than what was told is a restored server: the list is right', () => {
    store.replace([thing('50'), thing('51', { name: 'b', uid: 'u2' })], '60');
    told.length = 0;
    store.replace([thing('40')], '45');
    expect(told).toEqual(['delete u2@51', 'update u1@50>40']);
    store.upsert(thing('46'));
    expect(version()).toBe('46');
  });

  it('a restored server that has moved past what was told is believed, too', () => {
    store.replace([thing('100')], '110');
    told.length = 0;
    store.replace([thing('10')], '150');
    expect(version()).toBe('10');
    expect(told).toEqual(['update u1@100>10']);
  });

  it('even where it gave the same version to something else', () => {
    store.replace([thing('100', { labels: { x: 'before' } })], '110');
    told.length = 0;
    store.replace([thing('100', { labels: { x: 'after' } })], '150');
    expect(store.list()[0]?.metadata.labels).toEqual({ x: 'after' });
    expect(told).toEqual(['update u1@100>100']);
  });
});

describe('absorb', () => {
  it('shows our write at once and tells nobody until the watch does', () => {
    store.upsert(thing('1'));
    store.absorb(thing('2', { labels: { x: 'y' } }));
    expect(version()).toBe('2');
    expect(told).toEqual(['add u1@1']);
    store.upsert(thing('2', { labels: { x: 'y' } }));
    expect(told).toEqual(['add u1@1', 'update u1@1>2']);
  });

  it('a create of ours is told as add by the watch', () => {
    store.absorb(thing('2'));
    expect(version()).toBe('2');
    expect(told).toEqual([]);
    store.upsert(thing('2'));
    expect(told).toEqual(['add u1@2']);
  });

  it('never goes back: an older answer and the step before our write are skipped', () => {
    store.upsert(thing('1'));
    store.absorb(thing('9'));
    store.absorb(thing('8'));
    store.upsert(thing('5'));
    expect(version()).toBe('9');
    store.upsert(thing('9'));
    expect(told).toEqual(['add u1@1', 'update u1@1>9']);
  });

  it('cannot bring back what the watch saw deleted, however late the answer is', () => {
    store.upsert(thing('1'));
    store.remove(thing('5'));
    store.absorb(thing('4'));
    expect(version()).toBeUndefined();
  });

  it('nor what a relist did not find', () => {
    store.replace([thing('1')], '3');
    store.replace([], '9');
    store.absorb(thing('4'));
    expect(store.size).toBe(0);
  });

  it('leaves an object that is gone with this write to the watch', () => {
    store.upsert(thing('1', { deletionTimestamp: 'now', finalizers: ['f'] }));
    store.absorb(thing('2', { deletionTimestamp: 'now', finalizers: [] }));
    expect(version()).toBe('1');
    store.remove(thing('2'));
    expect(store.size).toBe(0);
  });

  it('survives a list that is older than our write, and only such a one', () => {
    store.replace([], '3');
    store.absorb(thing('7'));
    store.replace([], '6');
    expect(version()).toBe('7');
    store.replace([], '8');
    expect(store.size).toBe(0);
    expect(told).toEqual([]);
  });

  it('nor is it changed back by a list that is older than it', () => {
    store.replace([thing('1')], '3');
    store.absorb(thing('7'));
    store.replace([thing('1')], '6');
    expect(version()).toBe('7');
    expect(told).toEqual(['add u1@1']);
  });

  it('our new namesake outlives the late deletion of the old one', () => {
    store.upsert(thing('1'));
    store.absorb(thing('6', { uid: 'u2' }));
    store.remove(thing('5'));
    expect(store.get({ namespace: 'ns', name: 'a' })?.metadata.uid).toBe('u2');
    store.upsert(thing('6', { uid: 'u2' }));
    expect(told).toEqual(['add u1@1', 'delete u1@5', 'add u2@6']);
  });
});

describe('indexes', () => {
  const find = (value: string) => store.byIndex('label', value)?.map((object) => object.metadata.name);
  beforeEach(() => store.addIndex('label', (object) => Object.values(object.metadata.labels ?? {})));

  it('follow add, change, absorb and delete', () => {
    store.upsert(thing('1', { labels: { x: 'one', y: 'two' } }));
    store.upsert(thing('2', { name: 'b', labels: { x: 'one' } }));
    expect(find('one')).toEqual(['a', 'b']);
    store.upsert(thing('3', { labels: { x: 'three' } }));
    expect([find('one'), find('two'), find('three')]).toEqual([['b'], [], ['a']]);
    store.absorb(thing('4', { labels: { x: 'four' } }));
    expect([find('three'), find('four')]).toEqual([[], ['a']]);
    store.remove(thing('5', { labels: { x: 'other' } }));
    expect([find('four'), find('one')]).toEqual([[], ['b']]);
  });

  it('a late index knows what is there already', () => {
    store.upsert(thing('1'));
    store.addIndex('name', (object) => [object.metadata.name]);
    expect(store.byIndex('name', 'a')).toHaveLength(1);
  });

  it('by namespace', () => {
    store.upsert(thing('1'));
    store.upsert(thing('2', { namespace: 'other' }));
    expect(store.list('other').map((object) => object.metadata.resourceVersion)).toEqual(['2']);
    expect(store.list()).toHaveLength(2);
    expect(store.list('none')).toEqual([]);
  });

  it('one that does not exist is told apart from one that finds nothing', () => {
    expect(store.byIndex('nope', 'x')).toBeUndefined();
    expect(find('x')).toEqual([]);
  });
});

describe('compareResourceVersions', () => {
  it.each([
    ['9', '10', -1],
    ['10', '9', 1],
    ['10', '10', 0],
    ['9007199254740992', '9007199254740993', -1],
    [undefined, '1', -1],
    [undefined, undefined, 0],
  ])('%s and %s', (a, b, want) => expect(Math.sign(compareResourceVersions(a, b))).toBe(want));
});
