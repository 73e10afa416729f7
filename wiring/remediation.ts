// SPDX-License-Identifier: Apache-2.0
// What a MachineHealthCheck asks for.
import { TSRemediationKind } from '../api/kinds.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { remediationReconciler } from '../controllers/remediation/reconciler.ts';
import { remediationWatches } from '../controllers/remediation/watches.ts';
import { type Controller, createController } from '../runtime/controller.ts';
import type { Foundation } from './foundation.ts';

/** Needs the informers of all kinds that the others watch. */
export function remediation(base: Foundation): Controller {
  base.informers.add(TSRemediationKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  return createController(
    {
      name: 'tsremediation',
      reconcile: remediationReconciler(base),
      watches: remediationWatches(base.cache),
    },
    base,
  );
}
