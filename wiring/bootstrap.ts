// SPDX-License-Identifier: Apache-2.0
// The manager of the bootstrap provider.
import { randomBytes } from 'node:crypto';
import {
  ClusterKind,
  ConfigMapKind,
  KubeadmConfigKind,
  MachineKind,
  MachinePoolKind,
  SecretKind,
} from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../api/labels.ts';
import { byCluster, CLUSTER_INDEX } from '../contract/watches.ts';
import { createKeyGenerator } from '../controllers/bootstrap/key-pairs.ts';
import { bootstrapReconciler } from '../controllers/bootstrap/reconciler.ts';
import { bootstrapWatches } from '../controllers/bootstrap/watches.ts';
import { createController } from '../runtime/controller.ts';
import type { Manager } from '../runtime/manager.ts';
import type { Flags } from './flags.ts';
import { foundation, type Foundation, managerOf } from './foundation.ts';

/** Serves KubeadmConfig. */
export function bootstrapManager(flags: Flags): Manager {
  const base = foundation(flags, 'ts-provider-bootstrap');
  watchKinds(base);
  const configs = createController(
    {
      name: 'kubeadmconfig',
      reconcile: bootstrapReconciler({
        ...base,
        tokenTTLMs: flags.tokenTTLMs,
        generateKey: createKeyGenerator({}),
        randomBytes,
      }),
      watches: bootstrapWatches(base.cache),
      concurrency: flags.kubeadmConfigConcurrency,
    },
    base,
  );
  return managerOf(flags, base, { lease: 'ts-provider-bootstrap-leader', controllers: [configs] });
}

function watchKinds({ informers }: Foundation): void {
  informers.add(ClusterKind);
  informers.add(KubeadmConfigKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  informers.add(MachineKind, { indexes: { [CLUSTER_INDEX]: byCluster } });
  informers.add(MachinePoolKind);
  // What is in them is read by name when it is needed; that they are there, and changed, is all that wakes anybody.
  for (const kind of [SecretKind, ConfigMapKind])
    informers.add(kind, { labelSelector: CLUSTER_NAME_LABEL, metadataOnly: true });
}
