// SPDX-License-Identifier: Apache-2.0
// What tests of holds and tables begin with.
import type { Measurement } from './measurement.ts';

/** A hundred workers of ours that hold every promise, but for what the test says. */
export function measurementOf(changes: Partial<Measurement> = {}): Measurement {
  return {
    candidate: 'ours',
    kind: 'workers',
    count: 100,
    seconds: 2,
    requests: {
      management: new Map([
        ['patch kubeadmconfigs', 100],
        ['create secrets', 100],
        ['patch kubeadmconfigs/status', 100],
        ['get secrets', 1],
      ]),
      workload: new Map([['create secrets', 100]]),
    },
    failures: 0,
    secondTokens: 0,
    secondWrites: 0,
    peakMiB: 150,
    cpuSeconds: 1,
    serverCPU: { management: 2, workload: 0.5, etcd: 0.5 },
    others: 0.05,
    eventLoopP99Ms: 12,
    idle: undefined,
    ...changes,
  };
}
