// SPDX-License-Identifier: Apache-2.0
import type { HostPreparation } from '../../api/preparation.ts';
import type { PreparationInput } from '../input.ts';

/** What a worker of a small cluster is prepared from; `spec` and the rest as the test says. */
export function inputOf(
  spec: HostPreparation = {},
  changes: Partial<PreparationInput> = {},
): PreparationInput {
  return {
    kubernetesVersion: 'v1.36.3',
    spec,
    secrets: { registries: {} },
    packages: [],
    network: {
      podCIDRs: ['10.244.0.0/16'],
      serviceCIDRs: ['10.96.0.0/12'],
      serviceDomain: 'cluster.local',
      endpointHost: 'api.example.org',
      nodeAddress: '10.0.0.7',
    },
    mustServe: [10250, 10256],
    ...changes,
  };
}

/** TCP ports of a control plane machine. */
export const CONTROL_PLANE_PORTS = [6443, 2379, 2380, 10250, 10256, 10257, 10259];
