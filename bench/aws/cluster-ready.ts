// SPDX-License-Identifier: Apache-2.0
import { ClusterKind } from '../../api/kinds.ts';
import { type Server, waitUntil } from '../../hack/stack/process.ts';
import { CLUSTER } from './objects.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 180_000;

/** Settles when core says that the network of the cluster is there. `server` is the candidate: its log tells why it is not. */
export async function untilClusterReady({ client, namespace }: World, server: Server): Promise<void> {
  const isReady = async () => {
    const cluster = await client.get(ClusterKind, { namespace, name: CLUSTER });
    return cluster?.status?.initialization?.infrastructureProvisioned === true;
  };
  const what = `the infrastructure of Cluster ${CLUSTER} to be ready`;
  await waitUntil(isReady, { what, timeoutMs: TIMEOUT_MS, pollMs: 500, server });
}
