// SPDX-License-Identifier: Apache-2.0

/** At least and at most, in milliseconds; every time is drawn anew. */
export type Range = readonly [least: number, most: number];

/** A step that fails. */
export interface StepFailure {
  readonly stage: string;
  readonly exitCode: number;
  readonly log: string;
}

/** How a simulated host behaves. Takes effect at once, also for connections that are open. */
export interface Behaviour {
  /** `refuses`: nothing listens. `hangs`: connections are taken, and nothing is ever said on them. */
  readonly sshd: 'serves' | 'refuses' | 'hangs';
  readonly login: 'accepts' | 'refuses';
  /** `hangs`: a script begins and never ends. */
  readonly scripts: 'answer' | 'hang';
  /** Of a new connection and of every script: half of it before its effect, half behind. */
  readonly latencyMs: Range;
  /** How likely a script's connection breaks, 0 to 1: half the time before its effect, half behind. */
  readonly breaks: number;
  readonly prepareMs: Range;
  readonly bootstrapMs: Range;
  readonly cleanMs: Range;
  /** The step of this stage, or the last one, fails, having written the line to the log. */
  readonly prepareFailure: StepFailure | null;
  readonly bootstrapFailure: StepFailure | null;
  /** Lines of the probe that a clean-up leaves, such as `file /var/lib/etcd` or `process 4711 kubelet`. */
  readonly leftovers: readonly string[];
}

/** A healthy host near by. */
export const HEALTHY: Behaviour = {
  sshd: 'serves',
  login: 'accepts',
  scripts: 'answer',
  latencyMs: [1, 3],
  breaks: 0,
  prepareMs: [200, 400],
  bootstrapMs: [200, 400],
  cleanMs: [200, 400],
  prepareFailure: null,
  bootstrapFailure: null,
  leftovers: [],
};

/** Who behaves how from the beginning: everybody, and some by their place, from 0. */
export interface Plan {
  readonly all?: Partial<Behaviour>;
  readonly hosts?: Readonly<Record<string, Partial<Behaviour>>>;
}

/** The behaviour of the host at this place. */
export function planned({ all = {}, hosts = {} }: Plan, index: number): Behaviour {
  return { ...HEALTHY, ...all, ...hosts[String(index)] };
}
