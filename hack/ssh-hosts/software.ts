// SPDX-License-Identifier: Apache-2.0
// The software of a simulated host, and what it says of the preparation that put it there.
import type { SimulatedJob } from './job.ts';
import type { Preparation } from './recognize.ts';

export class SimulatedSoftware {
  /** Of kubeadm and kubelet; '' where nothing was installed. */
  private version: string;
  private begun: (Preparation & { readonly job: string }) | undefined;
  private complete: Preparation | undefined;

  constructor(version: string) {
    this.version = version;
  }

  /** A job that prepares begins; the host forgets those before it. */
  begin(job: string, preparation: Preparation, jobs: Map<string, SimulatedJob>): void {
    const [kind = ''] = job.split('-');
    for (const id of jobs.keys()) if (id.startsWith(`${kind}-`)) jobs.delete(id);
    this.begun = { ...preparation, job };
  }

  /** What a job that has ended well since then has put there. */
  settle(jobs: ReadonlyMap<string, SimulatedJob>): void {
    if (this.begun === undefined || jobs.get(this.begun.job)?.hasSucceeded(Date.now()) !== true) return;
    const { hash, version } = this.begun;
    this.complete = { hash, version };
    this.version = version;
    this.begun = undefined;
  }

  /** A clean-up leaves the software. */
  forget(): void {
    this.begun = undefined;
    this.complete = undefined;
  }

  /** Of the probe. */
  lines(): string[] {
    const { version, begun, complete } = this;
    const programs = [
      `version kubeadm ${version}`,
      `version kubelet Kubernetes ${version}`,
      'version containerd containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7',
    ];
    return [
      ...(version === '' ? [] : programs),
      ...(begun === undefined ? [] : [`begun ${begun.hash}`]),
      ...(complete === undefined ? [] : [`complete ${complete.hash} ${complete.version}`]),
    ];
  }
}
