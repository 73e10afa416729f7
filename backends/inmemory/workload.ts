// SPDX-License-Identifier: Apache-2.0
import type { Kind } from '../../api/kinds.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Ctx } from '../../runtime/context.ts';

/** Namespace and name; cluster-scoped objects have the namespace ''. */
export interface WorkloadName {
  readonly namespace: string;
  readonly name: string;
}

/** What a guest needs of its cluster's API server. Errors are ApiError (the server's word) or TransientError (no answer). */
export interface WorkloadAPI {
  /** `undefined` when the object does not exist. */
  get<T extends ApiObject>(kind: Kind<T>, name: WorkloadName, signal?: AbortSignal): Promise<T | undefined>;
  create<T extends ApiObject>(kind: Kind<T>, object: T, signal?: AbortSignal): Promise<T>;
  /** A merge patch. A body with `metadata.resourceVersion` is refused with a conflict when the object has moved on. */
  patch<T extends ApiObject>(
    kind: Kind<T>,
    name: WorkloadName,
    body: unknown,
    options?: { readonly subresource?: 'status'; readonly signal?: AbortSignal },
  ): Promise<T>;
  /** An object that is already gone is a success. `uid` keeps a namesake. */
  delete(
    kind: Kind,
    name: WorkloadName,
    options?: { readonly uid?: string; readonly signal?: AbortSignal },
  ): Promise<void>;
}

/** How guests find their cluster's API server. */
export interface Workloads {
  /**
   * `undefined` while the cluster has no kubeconfig Secret. Throws TerminalError, naming the Secret, its key and the way out,
   * when there is one that cannot be used.
   */
  connect(
    ctx: Ctx,
    cluster: { readonly namespace: string; readonly clusterName: string },
  ): Promise<WorkloadAPI | undefined>;
}
