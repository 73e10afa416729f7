// SPDX-License-Identifier: Apache-2.0
// What a person may try while the demo is up: commands to paste as they are.
import { dirname } from 'node:path';
import type { Demo } from './cluster.ts';
import { nextPatch } from './cluster.ts';
import { CLUSTER } from './snapshot.ts';

/** `worker` is the name of a Machine to kill; `kubeconfig` the demo cluster's. */
export function hints(demo: Demo, { worker, kubeconfig }: { worker: string; kubeconfig: string }): string {
  const { stack, management } = demo;
  const next = nextPatch(stack.versions.kubernetes);
  const folders = new Set([dirname(stack.binaries.kubectl), dirname(stack.binaries.clusterctl)]);
  const version = (path: string) => `'${JSON.stringify(nest(path.split('.'), next))}'`;
  const dies = JSON.stringify(nest(['spec', 'inMemory', 'failures', 'diesAfterSeconds'], 1));
  return `
Cluster ${CLUSTER} is up. In another terminal:

  export PATH=${[...folders].join(':')}:$PATH
  export KUBECONFIG=${management.apiServer.kubeconfig}

  # look at it
  clusterctl --config=${management.clusterctl.config} describe cluster ${CLUSTER}
  kubectl get clusters,machines,tsmachines
  kubectl --kubeconfig=${kubeconfig} get nodes

  # scale the workers to 20
  kubectl scale machinedeployment ${CLUSTER}-md-0 --replicas=20

  # roll to another version: the control plane first, then the workers
  kubectl patch kubeadmcontrolplane ${CLUSTER}-control-plane --type=merge -p ${version('spec.version')}
  kubectl patch machinedeployment ${CLUSTER}-md-0 --type=merge -p ${version('spec.template.spec.version')}

  # let a machine die: its health check replaces it about a minute later
  kubectl patch tsmachine ${worker} --type=merge -p '${dies}'
  kubectl get machines --watch

  # delete the cluster
  kubectl delete cluster ${CLUSTER}

Logs are in ${management.apiServer.dir}. Ctrl-C ends everything and removes it.
`;
}

function nest(path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  return first === undefined ? value : { [first]: nest(rest, value) };
}
