// SPDX-License-Identifier: Apache-2.0
// The port of hosts, over SSH: each verb is one or two short runs of a script on the host.
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { BootstrapJob, HostDriver, JobProgress } from '../host-driver.ts';
import { cleanJob } from './cleanup/clean-job.ts';
import { finishClean } from './cleanup/finish.ts';
import { interpret, InterpretError } from './cloud-config/interpret.ts';
import { balance } from './haproxy/balance.ts';
import { hostNameStep } from './host-name.ts';
import type { Job, Step } from './job/job.ts';
import { jobProgress } from './job/progress.ts';
import { startJob } from './job/start-job.ts';
import { virtualIP } from './keepalived/virtual-ip.ts';
import { withProviderID } from './kubeadm-arguments.ts';
import { preparationHash, prepareJob } from './prepare/prepare-job.ts';
import { probeHost } from './probe/probe.ts';
import { reboot, releaseKubelet } from './reboot/reboot.ts';
import type { SshPool, SshStats } from './ssh/pool.ts';
import type { RemoteHost } from './ssh/remote-host.ts';

/** Providers look for it to know that kubeadm has done its work (BC-9). */
const SENTINEL = '/run/cluster-api/bootstrap-success.complete';

/** kubeadm itself waits up to four minutes for a control plane, and pulls images before. */
const BOOTSTRAP_SECONDS = 20 * 60;

/** A {@link HostDriver} that says how much it has open, and ends. */
export interface SshHostDriver extends HostDriver {
  stats(): SshStats;
  close(): Promise<void>;
}

/** Works on hosts through the connections of `pool`. */
export function createHostDriver({ pool }: { readonly pool: SshPool }): SshHostDriver {
  return {
    probe: (ctx, access) => probeHost(ctx, pool.host(access)),
    bootstrap: (ctx, access, job) =>
      ensureJob(ctx, pool.host(access), {
        id: job.id,
        make: () => bootstrapJob(ctx, pool.host(access), job),
      }),
    progress: (ctx, access, jobID) => jobProgress(ctx, pool.host(access), jobID),
    clean: (ctx, access, jobID, owner) =>
      ensureJob(ctx, pool.host(access), { id: jobID, make: async () => cleanJob(jobID, owner) }),
    finishClean: (ctx, access, owner) => finishClean(ctx, pool.host(access), owner),
    balance: (ctx, access, config) => balance(ctx, pool.host(access), config),
    preparationHash,
    prepare: (ctx, access, job) =>
      ensureJob(ctx, pool.host(access), { id: job.id, make: async () => prepareJob(job) }),
    virtualIP: (ctx, access, config) => virtualIP(ctx, pool.host(access), config),
    reboot: (ctx, access, request) => reboot(ctx, pool.host(access), request),
    releaseKubelet: (ctx, access, owner) => releaseKubelet(ctx, pool.host(access), owner),
    disconnect: (key) => pool.disconnect(key),
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
}

/** Looks first: what a job is made of is read only to start it, or to start it again after a reboot. */
async function ensureJob(
  ctx: Ctx,
  remote: RemoteHost,
  { id, make }: { readonly id: string; readonly make: () => Promise<Job> },
): Promise<JobProgress> {
  const progress = await jobProgress(ctx, remote, id);
  if (progress.state !== 'none' && !isForsaken(progress)) return progress;
  const job = await make();
  await startJob(ctx, remote, job);
  if (progress.state !== 'none') return progress;
  return {
    state: 'running',
    stage: job.steps[0]?.stage ?? 'start',
    message: `step 1 of ${job.steps.length}`,
  };
}

/** A reboot has ended whoever worked on it. */
export function isForsaken(progress: JobProgress): boolean {
  return progress.state === 'running' && progress.stopped === true;
}

async function bootstrapJob(ctx: Ctx, remote: RemoteHost, job: BootstrapJob): Promise<Job> {
  if (job.data.format === 'ignition')
    throw unsupported('they are for Ignition, which a running host has not: set format: cloud-config');
  const hostname = await nameOf(ctx, remote);
  const { steps, secrets } = interpreted(job, hostname);
  return {
    id: job.id,
    owner: job.owner,
    steps: withHostName(steps, job.nodeAddress),
    timeoutSeconds: BOOTSTRAP_SECONDS,
    successFile: SENTINEL,
    secrets,
  };
}

/** A host keeps the name that it has, and the Node is called after it. */
async function nameOf(ctx: Ctx, remote: RemoteHost): Promise<string> {
  const { stdout } = await remote.run(ctx, 'uname -n\n');
  const name = stdout.trim();
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(name)) return name;
  throw new TerminalError(
    'HostUnsuitable',
    'the host has no name that a Node can have: set one with hostnamectl on the host',
  );
}

function interpreted(job: BootstrapJob, hostname: string): ReturnType<typeof interpret> {
  const metadata = {
    instance_id: job.owner.token,
    local_hostname: hostname,
    hostname,
    provider_id: job.providerID,
  };
  try {
    return interpret(job.data.value, metadata, ({ content }) => {
      const text = content.toString();
      const changed = withProviderID(text, job.providerID);
      // Bytes that are no text stay what they are.
      return changed === text ? content : changed;
    });
  } catch (error) {
    if (error instanceof InterpretError) throw unsupported(error.message);
    throw error;
  }
}

function unsupported(why: string): TerminalError {
  return new TerminalError('BootstrapDataUnsupported', `The bootstrap data cannot be used on a host: ${why}`);
}

/** Behind what gives the host its name, in front of what needs it. */
function withHostName(steps: readonly Step[], nodeAddress: string): Step[] {
  const own = hostNameStep(nodeAddress);
  const at = steps.findLastIndex(({ id }) => id === 'set_hostname' || id === 'update_etc_hosts') + 1;
  return own === undefined ? [...steps] : steps.toSpliced(at, 0, own);
}
