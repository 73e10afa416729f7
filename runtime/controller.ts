// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from './context.ts';
import type { InformerEvent } from './informer.ts';
import type { Kind, KubeObject, ObjectName } from './object.ts';
import type { Outcome } from './result.ts';

/** Level-triggered: gets a name, looks at the world, moves it a step. Throwing means back-off (errors.ts). */
export type Reconcile = (ctx: Ctx, name: ObjectName) => Promise<Outcome>;

/** One watched kind and which objects of the controller's own kind an event concerns. Events carry no payload further. */
export interface WatchMapping<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  readonly map: (event: InformerEvent<T>) => readonly ObjectName[];
}

/** A controller before the manager runs it. */
export interface ControllerSpec {
  /** Lower case, as in metrics and logs: `tsmachine`. */
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly watches: readonly WatchMapping[];
  /** Reconciles at once, default 10. */
  readonly concurrency?: number;
}
