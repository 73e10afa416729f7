// SPDX-License-Identifier: Apache-2.0
// A stand-in for a workload cluster's API server in unit tests: a map that behaves as the real one where guests depend on it.
import type { Kind } from '../../api/kinds.ts';
import type { ApiObject } from '../../api/meta.ts';
import { ApiError } from '../../runtime/errors.ts';
import type { WorkloadAPI, WorkloadName } from './workload.ts';

interface Stored extends ApiObject {
  spec?: { taints?: { key: string; effect: string }[]; [field: string]: unknown };
  status?: Record<string, unknown>;
  data?: Record<string, string>;
}

/** Keeps objects by `Kind/namespace/name`. `before` runs before each write and may throw, or never settle. */
export class FakeWorkload implements WorkloadAPI {
  readonly objects = new Map<string, Stored>();
  readonly writes: string[] = [];
  before: (write: string) => Promise<void> = async () => {};
  private version = 0;

  async get<T extends ApiObject>(kind: Kind<T>, name: WorkloadName): Promise<T | undefined> {
    const found = this.objects.get(keyOf(kind, name));
    return found === undefined ? undefined : (structuredClone(found) as unknown as T);
  }

  async create<T extends ApiObject>(kind: Kind<T>, object: T): Promise<T> {
    const name = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
    const key = await this.write('create', kind, name);
    if (this.objects.has(key)) throw new ApiError(409, 'AlreadyExists', `${key} already exists`);
    const made = structuredClone(object) as unknown as Stored;
    made.metadata.uid = `uid-${key}-${this.version}`;
    // What admission and the strategies of the real server do.
    if (kind.kind === 'Node') made.spec = { ...made.spec, taints: [...(made.spec?.taints ?? []), NOT_READY] };
    if (kind.kind === 'Pod') made.status = { phase: 'Pending' };
    return this.store(key, made) as unknown as T;
  }

  async patch<T extends ApiObject>(
    kind: Kind<T>,
    name: WorkloadName,
    body: unknown,
    options: { readonly subresource?: 'status' } = {},
  ): Promise<T> {
    const key = await this.write(options.subresource === 'status' ? 'patch status' : 'patch', kind, name);
    const known = this.objects.get(key);
    if (known === undefined) throw new ApiError(404, 'NotFound', `${key} not found`);
    const { metadata, ...fields } = body as { metadata?: ApiObject['metadata'] } & Record<string, object>;
    const expected = metadata?.resourceVersion;
    if (expected !== undefined && expected !== known.metadata.resourceVersion) {
      throw new ApiError(409, 'Conflict', `${key} has been modified`);
    }
    const merged = Object.entries(fields).map(([field, value]) => [
      field,
      { ...(known as unknown as Record<string, object>)[field], ...value },
    ]);
    return this.store(key, { ...known, ...(Object.fromEntries(merged) as object) }) as unknown as T;
  }

  async delete(kind: Kind, name: WorkloadName, options: { readonly uid?: string } = {}): Promise<void> {
    const key = await this.write('delete', kind, name);
    const known = this.objects.get(key);
    if (options.uid !== undefined && known !== undefined && known.metadata.uid !== options.uid) {
      throw new ApiError(409, 'Conflict', `${key} is another object`);
    }
    this.objects.delete(key);
  }

  node(name: string): Stored | undefined {
    return this.objects.get(`Node//${name}`);
  }

  /** Keys of the objects of a kind, sorted. */
  keys(kind: string): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(`${kind}/`)).sort();
  }

  private async write(verb: string, kind: Kind, name: WorkloadName): Promise<string> {
    const key = keyOf(kind, name);
    await this.before(`${verb} ${key}`);
    this.writes.push(`${verb} ${key}`);
    return key;
  }

  private store(key: string, object: Stored): Stored {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } };
    this.objects.set(key, stored);
    return structuredClone(stored);
  }
}

const NOT_READY = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

function keyOf(kind: Kind, name: WorkloadName): string {
  return `${kind.kind}/${name.namespace}/${name.name}`;
}
