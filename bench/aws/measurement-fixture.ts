// SPDX-License-Identifier: Apache-2.0
// What tests of holds and tables begin with.
import type { Measurement, Phase } from './measurement.ts';

/** Of ten machines. */
export function phaseOf(changes: Partial<Phase> = {}): Phase {
  return {
    seconds: 8,
    calls: new Map([['RunInstances', 10]]),
    callFailures: 2,
    requests: new Map([
      ['patch tsmachines/status', 25],
      ['create events', 75],
      ['get secrets', 5],
    ]),
    requestFailures: new Map([['409 patch tsmachines', 3]]),
    cpuSeconds: 0.5,
    serverCPU: { apiServer: 1, etcd: 2, core: 3, moto: 4, proxy: 5 },
    others: 0.25,
    ...changes,
  };
}

/** Ten machines of ours that hold every promise, but for what the test says. */
export function measurementOf(changes: Partial<Measurement> = {}): Measurement {
  return {
    candidate: 'ours',
    title: 'ts-provider',
    count: 10,
    create: phaseOf(),
    delete: phaseOf(),
    instances: { made: 10, living: 10 },
    leftOver: { made: 10, living: 0 },
    peakMiB: 130,
    ...changes,
  };
}
