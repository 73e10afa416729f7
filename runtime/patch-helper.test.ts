// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Client } from './client.ts';
import { ApiError } from './errors.ts';
import type { Cache } from './informer.ts';
import type { JsonObject } from './merge-patch.ts';
import type { Condition, Kind, KubeObject } from './object.ts';
import { patchHelper } from './patch-helper.ts';

interface Thing extends KubeObject {
  spec: { size?: number; id?: string; list?: string[] };
  status?: { conditions?: Condition[]; observedGeneration?: number; ready?: boolean };
}
const THING: Kind<Thing> = {
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
};

function condition(type: string, over: Partial<Condition> = {}): Condition {
  return { type, status: 'True', reason: 'R', message: '', lastTransitionTime: 't', ...over };
}

function thing(over: Partial<Thing> = {}, metadata: Partial<KubeObject['metadata']> = {}): Thing {
  return {
    apiVersion: 'example.org/v1',
    kind: 'Thing',
    metadata: { namespace: 'ns', name: 'a', uid: 'u', resourceVersion: '10', generation: 1, ...metadata },
    spec: { size: 1 },
    ...over,
  };
}

interface Write {
  readonly subresource: string | undefined;
  readonly body: JsonObject;
}

/** A server that holds one object, counts generations, checks versions and forgets what has no finalizers and is deleted. */
function setup(object: Thing, failure?: Error) {
  const writes: Write[] = [];
  const absorbed: string[] = [];
  let stored: Thing | undefined = structuredClone(object);
  const client = {
    async patch(_kind: unknown, _name: unknown, body: JsonObject, options: { subresource?: string } = {}) {
      if (failure !== undefined) throw failure;
      if (stored === undefined) throw new ApiError(404, 'NotFound', 'gone');
      const { resourceVersion, ...metadata } = body['metadata'] as JsonObject;
      if (resourceVersion !== stored.metadata.resourceVersion)
        throw new ApiError(409, 'Conflict', 'moved on');
      writes.push({ subresource: options.subresource, body });
      stored = merge(stored, { ...body, metadata }) as unknown as Thing;
      stored.metadata.resourceVersion = String(Number(resourceVersion) + 1);
      if (body['spec'] !== undefined) stored.metadata.generation = (stored.metadata.generation ?? 0) + 1;
      const answer = structuredClone(stored);
      if (stored.metadata.deletionTimestamp !== undefined && (stored.metadata.finalizers ?? []).length === 0)
        stored = undefined;
      return answer;
    },
  } as unknown as Client;
  const cache = {
    absorb: (_kind: unknown, answer: KubeObject) => absorbed.push(answer.metadata.resourceVersion ?? ''),
  } as unknown as Cache;
  const patch = patchHelper({ client, cache, kind: THING, object, ownedConditions: ['Ready', 'Deleting'] });
  const touch = () => {
    if (stored !== undefined) stored.metadata.resourceVersion = '99';
  };
  return { writes, absorbed, patch, touch, stored: () => stored, vanish: () => (stored = undefined) };
}

function merge(target: unknown, patch: JsonObject): JsonObject {
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: JsonObject = isObject ? { ...(target as JsonObject) } : {};
  for (const [key, value] of Object.entries(patch)) {
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (value === null) delete result[key];
    else result[key] = nested ? merge(result[key], value as JsonObject) : value;
  }
  return result;
}

describe('apply', () => {
  it('stamps only the conditions that looked at the spec', async () => {
    const before = [
      condition('Ready', { observedGeneration: 1 }),
      condition('Deleting', { observedGeneration: 1 }),
    ];
    const object = thing({ status: { observedGeneration: 1, conditions: before } }, { generation: 4 });
    const { patch, stored } = setup(object);
    await patch.apply({ observedGeneration: ['Deleting'] });
    expect(stored()).toMatchObject({
      status: { observedGeneration: 1, conditions: [{ observedGeneration: 1 }, { observedGeneration: 4 }] },
    });
  });

  it('writes nothing when nothing changed', async () => {
    const status = {
      observedGeneration: 1,
      conditions: [condition('Ready', { observedGeneration: 1 }), condition('Foreign')],
    };
    const { patch, writes } = setup(thing({ status }));
    await patch.apply({ observedGeneration: true });
    await patch.apply({ observedGeneration: false });
    expect(writes).toEqual([]);
  });

  it('writes metadata and spec, then status with the generation that our own write made, each guarded', async () => {
    const object = thing();
    const { patch, writes, absorbed, stored } = setup(object);
    object.metadata.finalizers = ['f'];
    object.spec.id = 'x';
    object.status = { ready: true, conditions: [condition('Ready')] };
    await patch.apply({ observedGeneration: true });
    expect(writes).toEqual([
      {
        subresource: undefined,
        body: { metadata: { finalizers: ['f'], resourceVersion: '10' }, spec: { id: 'x' } },
      },
      {
        subresource: 'status',
        body: {
          metadata: { resourceVersion: '11' },
          status: {
            observedGeneration: 2,
            ready: true,
            conditions: [condition('Ready', { observedGeneration: 2 })],
          },
        },
      },
    ]);
    expect(absorbed).toEqual(['11', '12']);
    expect(object).toEqual(stored());
    await patch.apply({ observedGeneration: true });
    expect(writes).toHaveLength(2);
  });

  it('only metadata: one request', async () => {
    const object = thing({}, { labels: { a: '1', b: '2' } });
    const { patch, writes } = setup(object);
    delete object.metadata.labels?.['a'];
    await patch.apply({ observedGeneration: false });
    expect(writes).toEqual([
      { subresource: undefined, body: { metadata: { labels: { a: null }, resourceVersion: '10' } } },
    ]);
  });

  it('does not claim to have looked at a spec that it did not finish', async () => {
    const object = thing(
      { status: { observedGeneration: 1, conditions: [condition('Ready', { observedGeneration: 1 })] } },
      { generation: 5 },
    );
    const { patch, stored } = setup(object);
    object.status = {
      observedGeneration: 5,
      conditions: [condition('Ready', { status: 'False', observedGeneration: 5 }), condition('Deleting')],
    };
    await patch.apply({ observedGeneration: false });
    expect(stored()?.status).toEqual({
      observedGeneration: 1,
      conditions: [condition('Ready', { status: 'False', observedGeneration: 1 }), condition('Deleting')],
    });
  });

  it.each<[string, Condition[]]>([
    ['left out', [condition('Ready', { message: 'new' })]],
    ['changed', [condition('Ready', { message: 'new' }), condition('Foreign', { status: 'False' })]],
  ])('a condition of somebody else that we %s stays as it was', async (_name, conditions) => {
    const object = thing({ status: { conditions: [condition('Ready'), condition('Foreign')] } });
    const { patch, stored } = setup(object);
    object.status = { conditions };
    await patch.apply({ observedGeneration: false });
    expect(stored()?.status?.conditions).toEqual([
      condition('Ready', { message: 'new' }),
      condition('Foreign'),
    ]);
  });

  it('does not make conditions that are not ours', async () => {
    const object = thing();
    const { patch, writes } = setup(object);
    object.status = { conditions: [condition('Foreign')] };
    await patch.apply({ observedGeneration: false });
    expect(writes).toEqual([]);
  });

  it('an own condition that we left out goes', async () => {
    const object = thing({ status: { conditions: [condition('Ready'), condition('Deleting')] } });
    const { patch, stored } = setup(object);
    object.status = { conditions: [condition('Ready')] };
    await patch.apply({ observedGeneration: false });
    expect(stored()?.status?.conditions).toEqual([condition('Ready')]);
  });

  it('an object that has moved on is a conflict, and nothing is written', async () => {
    const object = thing();
    const { patch, writes, touch } = setup(object);
    touch();
    object.spec.size = 2;
    object.status = { ready: true };
    await expect(patch.apply({ observedGeneration: true })).rejects.toMatchObject({
      code: 409,
      reason: 'Conflict',
    });
    expect(writes).toEqual([]);
  });
});

describe('deleting', () => {
  const deleting = { deletionTimestamp: 'now', finalizers: ['f'] };

  it('writes no status after the last finalizer', async () => {
    const object = thing({}, deleting);
    const { patch, writes, stored } = setup(object);
    delete object.metadata.finalizers;
    object.status = { conditions: [condition('Deleting')] };
    await patch.apply({ observedGeneration: true });
    expect(writes).toEqual([
      { subresource: undefined, body: { metadata: { finalizers: null, resourceVersion: '10' } } },
    ]);
    expect(stored()).toBeUndefined();
  });

  it('writes status while finalizers of others remain', async () => {
    const object = thing({}, { ...deleting, finalizers: ['f', 'other'] });
    const { patch, stored } = setup(object);
    object.metadata.finalizers = ['other'];
    object.status = { conditions: [condition('Deleting')] };
    await patch.apply({ observedGeneration: false });
    expect(stored()?.status?.conditions).toEqual([condition('Deleting')]);
  });

  it('an object that went meanwhile is fine', async () => {
    const object = thing({}, deleting);
    const { patch, vanish } = setup(object);
    vanish();
    object.status = { ready: false };
    await patch.apply({ observedGeneration: true });
  });

  it('an object that vanished without being deleted is an error', async () => {
    const object = thing();
    const { patch, vanish } = setup(object);
    vanish();
    object.spec.size = 2;
    await expect(patch.apply({ observedGeneration: true })).rejects.toMatchObject({ code: 404 });
  });

  it('other errors are errors', async () => {
    const object = thing({}, deleting);
    const { patch } = setup(object, new ApiError(403, 'Forbidden', 'no'));
    object.status = { ready: false };
    await expect(patch.apply({ observedGeneration: true })).rejects.toMatchObject({ code: 403 });
  });
});

describe('applySpec', () => {
  it('writes spec and finalizer in one request, reads both back, and keeps the status that is not written yet', async () => {
    const object = thing({ status: { ready: false } });
    const { patch, writes } = setup(object);
    object.status = { ready: true };
    object.spec.id = 'x';
    object.metadata.finalizers = ['f'];
    await patch.applySpec();
    expect(writes.map((write) => write.subresource)).toEqual([undefined]);
    expect(object).toMatchObject({
      spec: { size: 1, id: 'x' },
      metadata: { resourceVersion: '11', generation: 2 },
      status: { ready: true },
    });
    await patch.apply({ observedGeneration: true });
    expect(writes[1]).toMatchObject({
      subresource: 'status',
      body: { status: { ready: true, observedGeneration: 2 } },
    });
  });
});
