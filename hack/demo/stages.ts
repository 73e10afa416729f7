// SPDX-License-Identifier: Apache-2.0
// The demo as a list of stages: do something, watch until it has come true, or say what stands in the way.
import { setTimeout as pause } from 'node:timers/promises';
import {
  CONTROL_PLANE_MACHINES,
  createCluster,
  deleteCluster,
  type Demo,
  nextPatch,
  scaleWorkers,
  upgradeControlPlane,
  upgradeWorkers,
  WORKER_MACHINES,
} from './cluster.ts';
import type { Screen } from './screen.ts';
import { type DemoSnapshot, isRunning, readSnapshot, readyNodes } from './snapshot.ts';

export interface Stage {
  readonly title: string;
  readonly act: (demo: Demo) => Promise<unknown>;
  /** The state of the machines is right. */
  readonly reached: (snapshot: DemoSnapshot) => boolean;
  /** Nodes that the cluster has then. */
  readonly nodes: number;
  readonly timeoutMs: number;
}

const MANY = 20;
const FEW = 2;
const POLL_MS = 500;

/** What `make demo` does before it stays up. */
export const FIRST_CLUSTER: Stage = {
  title: 'create',
  act: createCluster,
  reached: all({ controlPlane: CONTROL_PLANE_MACHINES, workers: WORKER_MACHINES }),
  nodes: CONTROL_PLANE_MACHINES + WORKER_MACHINES,
  timeoutMs: 600_000,
};

/** What `--check` does besides. */
export function checkStages(from: string): readonly Stage[] {
  const version = nextPatch(from);
  const controlPlane = CONTROL_PLANE_MACHINES;
  return [
    {
      title: `scale workers to ${MANY}`,
      act: (demo) => scaleWorkers(demo, MANY),
      reached: all({ controlPlane, workers: MANY }),
      nodes: controlPlane + MANY,
      timeoutMs: 300_000,
    },
    {
      title: `roll the control plane to ${version}`,
      act: (demo) => upgradeControlPlane(demo, version),
      reached: all({ controlPlane, workers: MANY, controlPlaneVersion: version }),
      nodes: controlPlane + MANY,
      timeoutMs: 600_000,
    },
    {
      title: `roll the workers to ${version}`,
      act: (demo) => upgradeWorkers(demo, version),
      reached: all({ controlPlane, workers: MANY, controlPlaneVersion: version, workerVersion: version }),
      nodes: controlPlane + MANY,
      timeoutMs: 600_000,
    },
    {
      title: `scale workers to ${FEW}`,
      act: (demo) => scaleWorkers(demo, FEW),
      reached: all({ controlPlane, workers: FEW }),
      nodes: controlPlane + FEW,
      timeoutMs: 300_000,
    },
    {
      title: 'delete the cluster',
      act: deleteCluster,
      reached: ({ owners, machines, tsMachines }) =>
        owners.length + machines.length + tsMachines.length === 0,
      nodes: 0,
      timeoutMs: 300_000,
    },
  ];
}

/** Runs one stage; throws when it does not come true in its time, or the reason of `signal`. */
export async function runStage(
  demo: Demo,
  stage: Stage,
  options: { screen: Screen; signal: AbortSignal },
): Promise<void> {
  const { screen, signal } = options;
  const begin = Date.now();
  await stage.act(demo);
  for (;;) {
    signal.throwIfAborted();
    const snapshot = await readSnapshot(demo.client);
    screen.show(stage.title, snapshot);
    if (stage.reached(snapshot) && (await readyNodes(demo.workloadClient)).length === stage.nodes) break;
    if (Date.now() - begin > stage.timeoutMs) {
      throw new Error(`"${stage.title}" was not done within ${stage.timeoutMs / 1000} s`);
    }
    await pause(POLL_MS, undefined, { signal });
  }
  screen.settle();
  screen.say(
    `done: ${stage.title}, ${((Date.now() - begin) / 1000).toFixed(0)} s, ${stage.nodes} Nodes Ready`,
  );
}

interface Wanted {
  controlPlane: number;
  workers: number;
  controlPlaneVersion?: string;
  workerVersion?: string;
}

/** Exactly these machines, all of them running in the wanted version. */
function all(wanted: Wanted): (snapshot: DemoSnapshot) => boolean {
  return ({ machines }) => {
    const controlPlane = machines.filter((one) => one.controlPlane);
    const workers = machines.filter((one) => !one.controlPlane);
    const inVersion = (list: typeof machines, version: string | undefined) =>
      version === undefined || list.every((one) => one.version === version);
    return (
      controlPlane.length === wanted.controlPlane &&
      workers.length === wanted.workers &&
      machines.every(isRunning) &&
      inVersion(controlPlane, wanted.controlPlaneVersion) &&
      inVersion(workers, wanted.workerVersion)
    );
  };
}
