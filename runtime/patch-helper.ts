// SPDX-License-Identifier: Apache-2.0
import type { Client } from './client.ts';
import { isNotFound } from './errors.ts';
import type { Cache } from './informer.ts';
import { type JsonObject, mergePatch } from './merge-patch.ts';
import { type Condition, type Kind, type KubeObject, nameOf } from './object.ts';

/** Whether the reconcile looked at all of the spec, or only the conditions of these types did. */
export type Observed = boolean | readonly string[];

/** Writes what a reconcile changed on its copy of one object. */
export interface PatchHelper {
  /**
   * Writes metadata and spec, then status: at most two requests, none when nothing changed. `observedGeneration` says that the
   * reconcile looked at all of the spec: status and owned conditions then carry the generation that our own spec write made.
   * Throws the conflict when the object has moved on. The object then holds what the server holds.
   */
  apply(options: { readonly observedGeneration: Observed; readonly signal?: AbortSignal }): Promise<void>;
  /** Writes metadata and spec only. The object then has the server's metadata and spec (a read-back), and its own status still. */
  applySpec(options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** The part of `status` that all our kinds have. */
interface Status extends JsonObject {
  observedGeneration?: number;
  conditions?: Condition[];
}

interface PatchableObject extends KubeObject {
  spec?: JsonObject;
  status?: Status;
}

export interface PatchHelperOptions<T extends KubeObject> {
  readonly client: Client;
  /** Takes in each answer, so that the next reconcile does not read what we had before. */
  readonly cache?: Cache;
  readonly kind: Kind<T>;
  /** Our own copy as it was read; the caller changes it afterwards. */
  readonly object: T;
  /** Types of the conditions that this controller alone writes. Others are left as they were read. */
  readonly ownedConditions: readonly string[];
}

/** Remembers the object as it is now. Every write is guarded by the resourceVersion that was read. */
export function patchHelper<T extends KubeObject>(options: PatchHelperOptions<T>): PatchHelper {
  const { client, cache, kind } = options;
  const object: PatchableObject = options.object;
  let base = structuredClone(object);

  async function patch(
    body: JsonObject,
    to: { subresource?: 'status'; signal: AbortSignal | undefined },
  ): Promise<void> {
    const { resourceVersion } = base.metadata;
    if (resourceVersion === undefined)
      throw new Error(`${kind.kind} ${object.metadata.name} was never read from the server`);
    const guarded = {
      ...body,
      metadata: { ...(body['metadata'] as JsonObject | undefined), resourceVersion },
    };
    const answer = await client.patch(kind, nameOf(base), guarded, {
      ...(to.subresource === undefined ? {} : { subresource: to.subresource }),
      ...(to.signal === undefined ? {} : { signal: to.signal }),
    });
    cache?.absorb(kind, answer);
    base = structuredClone<PatchableObject>(answer);
  }

  async function patchMain(signal: AbortSignal | undefined): Promise<void> {
    const body = mergePatch(mainOf(base), mainOf(object));
    if (body === undefined) return;
    await patch(body, { signal });
    const { metadata, spec } = structuredClone(base);
    object.metadata = metadata;
    if (spec !== undefined) object.spec = spec;
  }

  async function patchStatus(to: {
    observedGeneration: Observed;
    signal: AbortSignal | undefined;
  }): Promise<void> {
    const wanted = stamped(ownedOnly(object.status, base.status, options.ownedConditions), base, {
      owned: options.ownedConditions,
      observed: to.observedGeneration,
    });
    const body = mergePatch({ status: base.status ?? {} }, { status: wanted });
    if (body !== undefined) await patch(body, { subresource: 'status', signal: to.signal });
    object.metadata = structuredClone(base.metadata);
    if (base.status !== undefined) object.status = structuredClone(base.status);
  }

  return {
    applySpec: ({ signal } = {}) => patchMain(signal),
    async apply({ observedGeneration, signal }) {
      try {
        await patchMain(signal);
        // Without its last finalizer the object is gone: there is no status to write any more.
        if (!isGone(base)) await patchStatus({ observedGeneration, signal });
      } catch (error) {
        const deleting = base.metadata.deletionTimestamp !== undefined;
        if (!deleting || !isNotFound(error)) throw error;
      }
    },
  };
}

function isGone(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0;
}

/** What controllers change outside status. */
function mainOf({ metadata, spec }: PatchableObject): JsonObject {
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  return { metadata: { labels, annotations, finalizers, ownerReferences }, spec };
}

/** `status` with the conditions of others as they were read, in our order; those that we do not know come last. */
function ownedOnly(status: Status | undefined, read: Status | undefined, owned: readonly string[]): Status {
  const others = (read?.conditions ?? []).filter((condition) => !owned.includes(condition.type));
  const ours = (status?.conditions ?? []).flatMap((condition) =>
    owned.includes(condition.type) ? [condition] : others.filter((other) => other.type === condition.type),
  );
  const unknown = others.filter((other) => !ours.includes(other));
  const conditions = [...ours, ...unknown];
  const result: Status = { ...status, conditions };
  if (conditions.length === 0 && read?.conditions === undefined) delete result.conditions;
  return result;
}

/** `observedGeneration` of status and of each owned condition: the present one where the spec was looked at, else what was there. */
function stamped(
  status: Status,
  { metadata: { generation }, status: read }: PatchableObject,
  how: { owned: readonly string[]; observed: Observed },
): Status {
  const looked = (type: string) =>
    typeof how.observed === 'boolean' ? how.observed : how.observed.includes(type);
  const result = withGeneration(status, how.observed === true ? generation : read?.observedGeneration);
  if (status.conditions === undefined) return result;
  result.conditions = status.conditions.map((condition) => {
    if (!how.owned.includes(condition.type)) return condition;
    const known = read?.conditions?.find((other) => other.type === condition.type);
    return withGeneration(condition, looked(condition.type) ? generation : known?.observedGeneration);
  });
  return result;
}

function withGeneration<S extends { observedGeneration?: number }>(
  value: S,
  generation: number | undefined,
): S {
  const copy = { ...value };
  if (generation === undefined) delete copy.observedGeneration;
  else copy.observedGeneration = generation;
  return copy;
}
