// SPDX-License-Identifier: Apache-2.0
// Taints, where unset, empty and set all differ (KB-41), and the other settings of a node for each who registers one.
import type { NodeRegistrationOptions } from '../../../api/bootstrap/node-registration.ts';
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, poolJoin, workerJoin } from './builders.ts';

const PARTS: Readonly<Record<string, NodeRegistrationOptions>> = {
  'taints-empty': { taints: [] },
  'taints-set': {
    taints: [
      { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' },
      { key: 'plain', effect: 'PreferNoSchedule' },
      { key: 'timed', value: '', effect: 'NoExecute', timeAdded: '2024-05-06T07:08:09Z' },
    ],
  },
  'taints-uninitialized': {
    taints: [{ key: 'node.cluster.x-k8s.io/uninitialized', effect: 'NoSchedule' }],
  },
  name: { name: 'node-1.example.org' },
  'pull-always': { imagePullPolicy: 'Always', imagePullSerial: true },
  'pull-never': { imagePullPolicy: 'Never' },
  args: {
    kubeletExtraArgs: [{ name: 'eviction-hard', value: 'memory.available<100Mi,nodefs.available<10%' }],
  },
  'preflight-all': { ignorePreflightErrors: ['all'] },
};

export const nodeRegistrations: readonly Scenario[] = Object.entries(PARTS).flatMap(
  ([name, nodeRegistration]) => {
    const id = `nr-${name}`;
    const joinConfiguration = { nodeRegistration };
    return [
      init(id, { initConfiguration: { nodeRegistration } }),
      init(`${id}-v1beta3`, { initConfiguration: { nodeRegistration } }, { version: 'v1.30.0' }),
      controlPlaneJoin(id, { joinConfiguration }),
      workerJoin(id, { joinConfiguration }),
      workerJoin(`${id}-v1beta3`, { joinConfiguration }, { version: 'v1.30.0' }),
      poolJoin(id, { joinConfiguration }),
    ];
  },
);
