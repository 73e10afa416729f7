// SPDX-License-Identifier: Apache-2.0
// A preparation of one host without a management cluster: the job that a TSHost controller would start, over a shell instead of SSH.
import { contextOf } from '../../backends/host/inventory.fixtures.ts';
import type { Job } from '../../backends/host/job/job.ts';
import { jobProgress } from '../../backends/host/job/progress.ts';
import { startJob } from '../../backends/host/job/start-job.ts';
import { prepareJob } from '../../backends/host/prepare/prepare-job.ts';
import type { RemoteHost } from '../../backends/host/ssh/remote-host.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { pause } from '../../hack/stack/process.ts';
import type { PreparationInput } from '../../preparation/input.ts';
import { systemClock } from '../../runtime/clock.ts';
import { preparationFrom } from './plain-cluster.ts';
import type { SiteServers } from './site-servers.ts';

const ctx = contextOf(systemClock);

/** Of a control plane machine, as the controller would make it for a site. */
export function preparationInput(
  { supply, registries }: SiteServers,
  kubernetesVersion: string,
): PreparationInput {
  return {
    kubernetesVersion,
    spec: preparationFrom(supply),
    secrets: {
      registries: Object.fromEntries(supply.registries.map((endpoint) => [endpoint, registries.login])),
    },
    packages: ['keepalived'],
    network: { podCIDRs: ['10.244.0.0/16'], serviceCIDRs: ['10.96.0.0/16'], serviceDomain: 'cluster.local' },
    mustServe: [6443, 2379, 2380, 10250, 10257, 10259],
  };
}

export function preparationJob(input: PreparationInput, attempt = 1): Job {
  const owner = { token: '0123abcd', generation: 1 };
  return prepareJob({ id: `prepare-1-${attempt}-01234567`, owner, preparation: input });
}

function remoteOf(host: TestHost): RemoteHost {
  return {
    seenKeys: {},
    run: async (_ctx, script) => {
      const { code, stdout, stderr } = await host.exec(['/bin/sh', '-s'], { input: script });
      return { exitCode: code, stdout, stderr };
    },
  };
}

/** Starts it, or lets it go on where it was. */
export async function start(host: TestHost, job: Job): Promise<void> {
  await startJob(ctx, remoteOf(host), job);
}

/** Until the job has succeeded; throws what it says when it failed. */
export async function untilDone(host: TestHost, job: Job, timeoutMs = 240_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await pause(200)) {
    const progress = await jobProgress(ctx, remoteOf(host), job.id);
    if (progress.state === 'succeeded') return;
    if (progress.state === 'failed') throw new Error(JSON.stringify(progress));
  }
  throw new Error(`${job.id} is not done in time`);
}

/** Lines of the job's journal. */
export async function journalOf(host: TestHost, job: Job): Promise<string[]> {
  const { stdout } = await host.exec(['cat', `/var/lib/ts-provider/jobs/${job.id}/journal`]);
  return stdout.trim().split('\n');
}
