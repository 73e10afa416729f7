// SPDX-License-Identifier: Apache-2.0
// Hosts as the TSHost controller's driver shows them, scripted: they break on demand, and keep a record of their own of what was done.
import { createHash } from 'node:crypto';
import type {
  HostAccess,
  HostDriver,
  HostFacts,
  HostOwner,
  HostPreparationReport,
  JobProgress,
  LoadBalancerConfig,
  Occupant,
  PrepareJob,
  VirtualIPConfig,
} from '../backends/host-driver.ts';
import type { PreparationInput } from '../preparation/input.ts';
import type { Ctx } from '../runtime/context.ts';
import { TerminalError, TransientError } from '../runtime/errors.ts';

/** One call that reached a host. */
export interface HostCall {
  readonly host: string;
  readonly verb: keyof HostDriver;
  readonly jobID?: string;
  readonly owner?: HostOwner;
}

/** A job that began on a host: each is in the record once, however often it was asked for. */
export interface Launch {
  readonly host: string;
  readonly jobID: string;
  readonly kind: 'prepare' | 'repair' | 'bootstrap' | 'clean';
  readonly owner: HostOwner | undefined;
}

/** What lives on a host that is a Node. */
export const NODE: readonly Occupant[] = [
  { kind: 'process', what: 'kubelet (pid 812)', running: true },
  { kind: 'file', what: '/etc/kubernetes/kubelet.conf', running: false },
];

const OURS: Occupant = { kind: 'file', what: '/var/lib/ts-provider', running: false };

interface Job {
  readonly kind: Launch['kind'];
  progress: JobProgress;
}

/** One host. A test changes it at will. */
export class FakeHost {
  /** `hanging` answers when the caller gives up; an Error is thrown. */
  link: 'up' | 'down' | 'hanging' | Error = 'up';
  facts: HostFacts = FACTS;
  /** Of a cluster, or of somebody else; our own folder comes and goes by itself. */
  occupants: Occupant[] = [];
  /** What a clean-up does not get rid of. */
  leftovers: Occupant[] = [];
  owner: HostOwner | undefined;
  /** Shown by a probe while no key is pinned and the first one is trusted. */
  key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFirstSeen';
  balancer: LoadBalancerConfig | undefined;
  virtualIP: VirtualIPConfig | undefined;
  /** The kubelet does not start. */
  isKubeletHeld = false;
  /** A job that prepares makes it and ends it. */
  preparation: HostPreparationReport | undefined;
  /** What the last job that prepares was given. */
  prepared: PrepareJob | undefined;
  /** How a job that prepares fails; absent: as any job. */
  preparationFailure: Partial<Extract<JobProgress, { state: 'failed' }>> = {};
  readonly jobs = new Map<string, Job>();

  get folder(): boolean {
    return this.owner !== undefined || this.jobs.size > 0;
  }

  /** The one job that is under way. */
  get running(): [string, Job] | undefined {
    return [...this.jobs].find(([, job]) => job.progress.state === 'running');
  }

  /** Another step of the running job. */
  step(stage: string): void {
    const job = this.running?.[1];
    if (job === undefined) throw new Error('no job runs on the host');
    job.progress = { state: 'running', stage, message: stage };
  }

  /** As a reboot does: nothing works on the job until it is started again. */
  interrupt(): void {
    const job = this.running?.[1];
    if (job?.progress.state !== 'running') throw new Error('no job runs on the host');
    job.progress = { ...job.progress, stopped: true };
  }

  /** Ends the running job; a failure leaves things half done. */
  finish(result: 'succeeded' | 'failed' = 'succeeded'): void {
    const job = this.running?.[1];
    if (job === undefined) throw new Error('no job runs on the host');
    job.progress =
      result === 'succeeded'
        ? { state: 'succeeded' }
        : { state: 'failed', stage: 'runcmd', exitCode: 1, message: 'kubeadm: it broke' };
    if (job.kind === 'prepare' || job.kind === 'repair') this.#endPreparation(job, result);
    else if (job.kind === 'bootstrap') this.occupants = [...NODE];
    else if (result === 'succeeded') this.occupants = [...this.leftovers];
  }

  /** Another boot: nothing that ran runs on. */
  reboot(): void {
    this.facts = { ...this.facts, bootID: `${this.facts.bootID}+` };
    if (this.running !== undefined) this.interrupt();
  }

  #endPreparation(job: Job, result: 'succeeded' | 'failed'): void {
    if (job.progress.state === 'failed') job.progress = { ...job.progress, ...this.preparationFailure };
    const { preparation } = this.prepared ?? {};
    if (result === 'failed' || preparation === undefined) return;
    const version = preparation.kubernetesVersion;
    this.preparation = { hash: preparationHash(preparation), version, complete: true, drifted: [] };
    const { software } = this.facts;
    this.facts = { ...this.facts, software: { ...software, kubeadm: version, kubelet: version } };
  }
}

/** As good as any: another input has another hash. */
function preparationHash(input: PreparationInput): string {
  return createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 16);
}

/** All hosts of a test, by `namespace/name` of the TSHost, and the driver to them. */
export class FakeHosts {
  readonly calls: HostCall[] = [];
  readonly launches: Launch[] = [];
  readonly disconnected: string[] = [];
  /** Called when a call has reached the host, before it does anything; throw to lose it. */
  before: (call: HostCall) => void = () => {};
  /** Called after the host has done it; throw to crash after the side effect. */
  after: (call: HostCall) => void = () => {};
  /** Called when a job begins. */
  launched: (launch: Launch) => void = () => {};
  readonly #hosts = new Map<string, FakeHost>();

  /** The host, made on first use: up and clean. */
  of(key: string): FakeHost {
    const host = this.#hosts.get(key) ?? new FakeHost();
    this.#hosts.set(key, host);
    return host;
  }

  /** How often a verb reached a host. */
  count(verb: keyof HostDriver, key?: string): number {
    return this.calls.filter((call) => call.verb === verb && (key === undefined || call.host === key)).length;
  }

  readonly driver: HostDriver = {
    probe: (ctx, access) => this.#call(ctx, access, { verb: 'probe' }, (host) => report(host, access)),
    progress: (ctx, access, jobID) =>
      this.#call(ctx, access, { verb: 'progress', jobID }, (host) => progressOf(host, jobID)),
    bootstrap: (ctx, access, job) =>
      this.#call(ctx, access, { verb: 'bootstrap', jobID: job.id, owner: job.owner }, (host) => {
        refuseOthers(host, job.owner);
        host.owner = job.owner;
        return this.#launch(access.key, { kind: 'bootstrap', jobID: job.id, owner: job.owner });
      }),
    clean: (ctx, access, jobID, owner) =>
      this.#call(ctx, access, { verb: 'clean', jobID }, (host) => {
        refuseOthers(host, owner);
        return this.#launch(access.key, { kind: 'clean', jobID, owner: host.owner });
      }),
    finishClean: (ctx, access, owner) =>
      this.#call(ctx, access, { verb: 'finishClean' }, (host) => {
        refuseOthers(host, owner);
        host.owner = undefined;
        host.preparation = undefined;
        host.virtualIP = undefined;
        host.jobs.clear();
      }),
    balance: (ctx, access, config) =>
      this.#call(ctx, access, { verb: 'balance', owner: config.owner }, (host) => {
        host.balancer = structuredClone(config);
        return createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
      }),
    preparationHash,
    prepare: (ctx, access, job) =>
      this.#call(ctx, access, { verb: 'prepare', jobID: job.id, owner: job.owner }, (host) => {
        refuseOthers(host, job.owner);
        host.owner = job.owner;
        const kind = job.only === undefined ? 'prepare' : 'repair';
        return this.#prepare(host, { host: access.key, kind, jobID: job.id, owner: job.owner }, job);
      }),
    virtualIP: (ctx, access, config) =>
      this.#call(ctx, access, { verb: 'virtualIP', owner: config.owner }, (host) => {
        refuseOthers(host, config.owner);
        host.owner = config.owner;
        host.virtualIP = structuredClone(config);
        return createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
      }),
    reboot: (ctx, access, request) =>
      this.#call(ctx, access, { verb: 'reboot', owner: request.owner }, (host) => {
        refuseOthers(host, request.owner);
        if (host.facts.bootID !== request.fromBootID)
          return request.holdKubelet && host.isKubeletHeld ? 'held' : 'done';
        host.isKubeletHeld = request.holdKubelet;
        host.reboot();
        return 'asked';
      }),
    releaseKubelet: (ctx, access, owner) =>
      this.#call(ctx, access, { verb: 'releaseKubelet', owner }, (host) => {
        refuseOthers(host, owner);
        host.isKubeletHeld = false;
      }),
    disconnect: (key) => void this.disconnected.push(key),
  };

  /** One at a time: the host refuses a second one, and forgets those that have ended. */
  #prepare(host: FakeHost, launch: Launch, job: PrepareJob): JobProgress {
    const [other] = [...host.jobs].filter(([id, { progress }]) => id !== launch.jobID && works(progress));
    if (other !== undefined)
      throw new TransientError(`the job ${other[0]} still works on the host`, { retryAfterMs: 5_000 });
    const isNew = !host.jobs.has(launch.jobID);
    if (isNew) for (const [id, { kind }] of host.jobs) if (kind === launch.kind) host.jobs.delete(id);
    host.prepared = structuredClone(job);
    if (isNew && launch.kind === 'prepare')
      host.preparation = {
        hash: preparationHash(job.preparation),
        version: '',
        complete: false,
        drifted: [],
      };
    return this.#launch(launch.host, launch);
  }

  async #call<T>(
    ctx: Ctx,
    access: HostAccess,
    what: Omit<HostCall, 'host'>,
    act: (host: FakeHost) => T,
  ): Promise<T> {
    const host = this.of(access.key);
    const call = { host: access.key, ...what };
    if (host.link instanceof Error) throw host.link;
    if (host.link === 'down')
      throw new TransientError(`${access.address}:${access.port} refused the connection`);
    if (host.link === 'hanging') await untilAborted(ctx.signal);
    this.before(call);
    this.calls.push(call);
    const answer = act(host);
    this.after(call);
    return answer;
  }

  /** Starts a job that never began, and says how far it is. */
  #launch(key: string, job: Omit<Launch, 'host'>): JobProgress {
    const host = this.of(key);
    const known = host.jobs.get(job.jobID);
    if (known?.progress.state === 'running') {
      const { stage, message } = known.progress;
      known.progress = { state: 'running', stage, message };
    }
    if (known === undefined) {
      host.jobs.set(job.jobID, {
        kind: job.kind,
        progress: { state: 'running', stage: 'start', message: 'start' },
      });
      const launch = { ...job, host: key };
      this.launches.push(launch);
      this.launched(launch);
    }
    return progressOf(host, job.jobID);
  }
}

function report(host: FakeHost, access: HostAccess) {
  const { facts, owner, preparation } = host;
  const occupants = [...host.occupants, ...(host.folder ? [OURS] : [])];
  const isNew = access.trustOnFirstUse && access.hostKeys.length === 0;
  const seenKeys = isNew ? { host: host.key } : {};
  return structuredClone({
    ...{ facts, occupants, seenKeys },
    ...(owner && { owner }),
    ...(preparation && { preparation }),
  });
}

function works(progress: JobProgress): boolean {
  return progress.state === 'running' && progress.stopped !== true;
}

function progressOf(host: FakeHost, jobID: string): JobProgress {
  return host.jobs.get(jobID)?.progress ?? { state: 'none' };
}

function refuseOthers({ owner }: FakeHost, asking: HostOwner | undefined): void {
  if (owner === undefined || asking === undefined || sameOwner(owner, asking)) return;
  throw new TerminalError('HostClaimedElsewhere', `The host belongs to ${owner.token}`);
}

function sameOwner(a: HostOwner, b: HostOwner): boolean {
  return a.token === b.token && a.generation === b.generation;
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  throw new TransientError('the host does not answer');
}

/** What a host measures unless a test says otherwise. */
export const FACTS: HostFacts = {
  hostname: 'rack-a-07',
  hardware: {
    architecture: 'amd64',
    cpus: 8,
    memory: '16Gi',
    disks: [{ name: 'sda', size: '100Gi' }],
    nics: [{ name: 'eth0', mac: '02:00:00:00:00:07', addresses: ['10.0.0.7'] }],
  },
  operatingSystem: { id: 'debian', family: 'debian', version: '13', kernel: '6.12.0' },
  software: {
    kubeadm: 'v1.36.3',
    kubelet: 'v1.36.3',
    containerd: '2.1.0',
    serviceManager: 'systemd',
  },
  bootID: 'boot-1',
  clockSkewSeconds: 0,
};
