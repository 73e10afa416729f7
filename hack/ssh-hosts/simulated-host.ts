// SPDX-License-Identifier: Apache-2.0
// A host in memory: what is on it, and what it answers to the scripts of a manager.
import { randomUUID } from 'node:crypto';
import { END } from '../../backends/host/probe/script.ts';
import { type Behaviour, type Range } from './behaviour.ts';
import { SimulatedJob } from './job.ts';
import { recognize, type Request } from './recognize.ts';
import { type HostRecord, newRecord } from './record.ts';
import { SimulatedSoftware } from './software.ts';

/** What the host is made of. */
export interface HostMake {
  readonly name: string;
  /** The version of kubeadm and kubelet that it carries, as `v1.36.3`; '' for a plain host. */
  readonly kubernetes: string;
  readonly cpus: number;
  readonly memoryKiB: number;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
}

/** How a script ended. */
export interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
}

/** Lines of the probe that a Node makes. */
const NODE = [
  'process 811 kubelet',
  'port 00000000:280A',
  'container 5f1de0c5a1b2c3d4',
  'file /etc/kubernetes/kubelet.conf',
  'file /var/lib/kubelet',
];

const BALANCER = ['file /etc/haproxy/haproxy.cfg (of ts-provider)', 'balancer haproxy'];

export class SimulatedHost {
  readonly make: HostMake;
  readonly record: HostRecord;
  behaviour: Behaviour;
  /** The kubelet does not start before a manager lets it. */
  isKubeletHeld = false;
  private owner: string | undefined;
  private bootID: string = randomUUID();
  private readonly software: SimulatedSoftware;
  private readonly jobs = new Map<string, SimulatedJob>();
  /** Lines of the probe about what is there besides what follows from jobs. */
  private found: readonly string[] = [];

  constructor(make: HostMake, behaviour: Behaviour) {
    this.make = make;
    this.software = new SimulatedSoftware(make.kubernetes);
    this.record = newRecord(make.name);
    this.behaviour = behaviour;
  }

  /** A number of milliseconds from the range. */
  draw([least, most]: Range): number {
    return least + this.make.random() * (most - least);
  }

  /** Runs a script, as far as others can tell. */
  run(script: string): Answer {
    this.record.sessions++;
    const request = recognize(script);
    this.settle();
    return this.reply(request, script);
  }

  /** Lines of the probe that are on the host from now on: `process 7 kubelet`, `file /var/lib/etcd`. */
  place(lines: readonly string[]): void {
    this.settle();
    this.found = lines;
  }

  /** Jobs stop where they are. What is on the disk stays. */
  reboot(): void {
    for (const job of this.jobs.values()) job.stop(Date.now());
    this.bootID = randomUUID();
    this.record.reboots++;
  }

  private reply(request: Request, script: string): Answer {
    if ('job' in request) return said(this.replyOfJob(request));
    if ('owner' in request) return said(this.foreign(request.owner) ?? this.replyToOwner(request));
    switch (request.kind) {
      case 'probe':
        return said(this.probe());
      case 'name':
        return said(`${this.make.name}\n`);
      case 'wait':
        return said('');
      case 'finish':
        return this.finish();
      case 'unknown':
        this.record.unknown.push(firstLine(script));
        return { exitCode: 127, stdout: '' };
    }
  }

  private replyToOwner(request: Extract<Request, { kind: 'balance' | 'reboot' | 'release' }>): string {
    if (request.kind === 'balance') return this.balance(request);
    if (request.kind === 'release') {
      this.isKubeletHeld = false;
      return 'ts-provider: released\n';
    }
    if (this.bootID !== request.fromBootID) return `ts-provider: ${this.isKubeletHeld ? 'held' : 'done'}\n`;
    this.isKubeletHeld = request.holdKubelet;
    this.reboot();
    return 'ts-provider: asked\n';
  }

  private replyOfJob(request: Extract<Request, { job: string }>): string {
    switch (request.kind) {
      case 'progress':
        return this.jobs.get(request.job)?.answer(Date.now()) ?? 'none\nend of answer\n';
      case 'look':
        return this.refusal(request) ?? this.look(request.job);
      case 'upload':
        return this.refusal(request) ?? this.upload(request);
      case 'launch':
        this.jobs.get(request.job)?.launch(Date.now());
        return 'ts-provider: started\n';
    }
  }

  private foreign(owner: string | undefined): string | undefined {
    const isForeign = owner !== undefined && this.owner !== undefined && this.owner !== owner;
    return isForeign ? `ts-provider: foreign ${this.owner}\n` : undefined;
  }

  private refusal({ job, owner, alone }: Extract<Request, { kind: 'look' | 'upload' }>): string | undefined {
    const foreign = this.foreign(owner);
    if (foreign !== undefined) return foreign;
    const other = [...this.jobs].find(([id, one]) => id !== job && one.runs(Date.now()));
    return alone && other !== undefined ? `ts-provider: occupied ${other[0]}\n` : undefined;
  }

  private look(id: string): string {
    const job = this.jobs.get(id);
    if (job === undefined) return 'ts-provider: absent\n';
    const now = Date.now();
    return job.isDone(now) || job.runs(now) ? 'ts-provider: busy\n' : 'ts-provider: stopped\n';
  }

  /** A job whose folder is there already is only started, which does nothing while it runs. */
  private upload(request: Extract<Request, { kind: 'upload' }>): string {
    const { job: id, owner, plan, secrets, preparation } = request;
    const begunMs = Date.now();
    const known = this.jobs.get(id);
    if (known !== undefined) {
      known.launch(begunMs);
      return 'ts-provider: started\n';
    }
    const { durationMs, ending } = this.courseOf(request);
    const endsMs = begunMs + this.draw(durationMs);
    const record = { id, begunMs, endsMs, launches: 1, ...(owner !== undefined && { owner }) };
    this.record.jobs.push(record);
    this.own(owner);
    if (preparation !== undefined) this.software.begin(id, preparation, this.jobs);
    // The first step of a clean-up ends everything else.
    else if (owner === undefined) for (const other of this.jobs.values()) other.stop(begunMs);
    else this.found = NODE;
    this.jobs.set(id, new SimulatedJob({ record, plan, secrets, ending }));
    return 'ts-provider: started\n';
  }

  private courseOf({ owner, preparation }: Extract<Request, { kind: 'upload' }>) {
    const { prepareMs, bootstrapMs, cleanMs, prepareFailure, bootstrapFailure } = this.behaviour;
    if (preparation !== undefined) return { durationMs: prepareMs, ending: prepareFailure };
    return owner === undefined
      ? { durationMs: cleanMs, ending: null }
      : { durationMs: bootstrapMs, ending: bootstrapFailure };
  }

  private own(owner: string | undefined): void {
    if (owner === undefined || this.owner === owner) return;
    this.owner = owner;
    this.record.owners.push(owner);
  }

  /** What jobs that have ended since then have changed. */
  private settle(): void {
    this.software.settle(this.jobs);
    for (const [id, job] of this.jobs)
      if (id.startsWith('clean-') && job.isDone(Date.now())) this.found = this.behaviour.leftovers;
  }

  private finish(): Answer {
    const running = [...this.jobs].find(([, job]) => job.runs(Date.now()));
    if (running !== undefined) return { exitCode: 3, stdout: `running ${running[0]}\n` };
    this.jobs.clear();
    this.software.forget();
    this.owner = undefined;
    return said('');
  }

  private balance({ owner, config }: Extract<Request, { kind: 'balance' }>): string {
    this.own(owner);
    this.found = BALANCER;
    if (this.record.configs.at(-1) !== config) this.record.configs.push(config);
    return 'ts-provider: applied\n';
  }

  private probe(): string {
    const { name, cpus, memoryKiB } = this.make;
    const number = Number(/\d+$/.exec(name)?.[0] ?? 0) + 1;
    const state = this.owner !== undefined || this.jobs.size > 0 ? ['file /var/lib/ts-provider'] : [];
    const lines = [
      `clock ${Math.floor(Date.now() / 1000)}`,
      `hostname ${name}`,
      'kernel 6.12.41',
      'machine x86_64',
      `cpus ${cpus}`,
      `memory ${memoryKiB}`,
      `boot ${this.bootID}`,
      'os ID=debian',
      'os VERSION_ID="13"',
      'service systemd',
      'disk sda 209715200',
      `nic eth0 physical 02:00:00:00:${hex(number >> 8)}:${hex(number & 255)}`,
      `address eth0 10.20.${number >> 8}.${number & 255}/16`,
      ...this.software.lines(),
      ...(this.owner === undefined ? [] : [`owner ${this.owner}`]),
      ...state,
      ...this.found,
      END,
      '',
    ];
    return lines.join('\n');
  }
}

function said(stdout: string): Answer {
  return { exitCode: 0, stdout };
}

function firstLine(script: string): string {
  return script.split('\n').find((line) => line.trim() !== '') ?? '';
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
