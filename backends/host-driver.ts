// SPDX-License-Identifier: Apache-2.0
// The port through which the TSHost controller works on hosts. Whoever implements it knows no Kubernetes object.
import type { HostHardware, HostOperatingSystem, HostSoftware } from '../api/tshost-status.ts';
import type { PreparationInput } from '../preparation/input.ts';
import type { Impact } from '../preparation/step.ts';
import type { Ctx } from '../runtime/context.ts';
import type { BootstrapData } from './backend.ts';

/** Contents of a credentials Secret. Never logged. */
export interface SshCredentials {
  /** OpenSSH or PEM. */
  readonly privateKey?: string;
  readonly passphrase?: string;
  /** OpenSSH certificate of the private key, as in `id_ed25519-cert.pub`. */
  readonly certificate?: string;
  readonly password?: string;
  readonly sudoPassword?: string;
}

/** One sshd and how to log in to it. */
export interface SshEndpoint {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly credentials: SshCredentials;
  /** Pinned public host keys, `<type> <base64>`. */
  readonly hostKeys: readonly string[];
  /** Accepts any key while none is pinned (invariant 11: asked for, conditioned, counted). */
  readonly trustOnFirstUse: boolean;
}

/** A host. Connections are shared by `key`, `<namespace>/<name>` of the TSHost. */
export interface HostAccess extends SshEndpoint {
  readonly key: string;
  readonly bastion?: SshEndpoint;
}

/** What was measured. */
export interface HostFacts {
  readonly hostname: string;
  readonly hardware: HostHardware;
  readonly operatingSystem: HostOperatingSystem;
  readonly software: HostSoftware;
  readonly bootID: string;
  /** Host's clock minus ours. */
  readonly clockSkewSeconds: number;
}

/** Something of a cluster, or of ours, that is on the host. A clean host has none. */
export interface Occupant {
  readonly kind: 'process' | 'port' | 'container' | 'mount' | 'file' | 'network' | 'rule' | 'unit';
  /** For people, such as `/etc/kubernetes/kubelet.conf` or `kubelet (pid 812)`. */
  readonly what: string;
  /** Something of a cluster may still run: the machine on it is not proven to be gone (invariant 5). */
  readonly running: boolean;
  /** It is ours, and there before a bootstrap begins. */
  readonly early?: true;
}

/** Who the host itself says has it; written before the first step of a job. */
export interface HostOwner {
  /** First 8 hex digits of the client token's SHA-256. */
  readonly token: string;
  readonly generation: number;
}

/** Something that is not as the preparation left it. */
export interface Drift {
  /** Id of the step whose it is. */
  readonly step: string;
  /** Of its repair on pods that run. */
  readonly impact: Impact;
  /** The file, or the package with the version that is there. */
  readonly path: string;
}

/** What the host says of its preparation. */
export interface HostPreparationReport {
  /** Of the steps that were taken, as {@link HostDriver.preparationHash} gives it. */
  readonly hash: string;
  /** Kubernetes version with a leading `v`; '' while it has never come to its end. */
  readonly version: string;
  /** False: it began, and has not come to its end; with a version, that was a later one, or a repair. */
  readonly complete: boolean;
  readonly drifted: readonly Drift[];
  /** Registries whose certificates are not verified (invariant 11: asked for, conditioned, counted). */
  readonly unverified?: readonly string[];
}

/** What a probe found. It changes nothing on the host. */
export interface HostReport {
  readonly facts: HostFacts;
  readonly occupants: readonly Occupant[];
  readonly owner?: HostOwner;
  /** Absent: nothing was prepared since the host was cleaned. */
  readonly preparation?: HostPreparationReport;
  /** Keys that were trusted on first use, to be pinned. */
  readonly seenKeys: { readonly host?: string; readonly bastion?: string };
}

/** A plain host to be made ready for kubeadm. */
export interface PrepareJob {
  /** A DNS label, the same for every try to look at this job. */
  readonly id: string;
  readonly owner: HostOwner;
  readonly preparation: PreparationInput;
  /** Ids of the steps to take; absent: all. */
  readonly only?: readonly string[];
}

/** What keepalived on a control plane host shall do. */
export interface VirtualIPConfig {
  /** IPv4 address that the hosts share. */
  readonly address: string;
  /** TCP port of their API servers, and so of the address. */
  readonly port: number;
  /** Address of this host, and of the others, sorted: VRRP is sent from the one to each of the others. */
  readonly own: string;
  readonly peers: readonly string[];
  /** 1 to 255. */
  readonly routerID: number;
  /** At most eight characters. Never logged. */
  readonly password: string;
  readonly owner: HostOwner;
  /** False: the configuration is written, and nothing is started yet, since others do not know this host. */
  readonly start: boolean;
}

/** A machine to be made of a host. */
export interface BootstrapJob {
  /** A DNS label, the same for every try to look at this job. */
  readonly id: string;
  readonly owner: HostOwner;
  readonly providerID: string;
  /** Address under which the Node is known; the host's own name is made to resolve to it where it does not. */
  readonly nodeAddress: string;
  readonly data: BootstrapData;
}

/** How far a job on a host is. `message` is one line without secrets. */
export type JobProgress =
  | { readonly state: 'none' }
  | {
      readonly state: 'running';
      readonly stage: string;
      readonly message: string;
      /** Nothing works on it at this moment, as after a reboot: to be started again, which repeats nothing. */
      readonly stopped?: true;
    }
  | { readonly state: 'succeeded' }
  | {
      readonly state: 'failed';
      readonly stage: string;
      readonly exitCode?: number;
      readonly message: string;
    };

/** What a load balancer shall serve. */
export interface LoadBalancerConfig {
  /** TCP port that it listens on. */
  readonly port: number;
  /** Sorted by name. */
  readonly members: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly owner: HostOwner;
}

/** A boot that shall end. */
export interface RebootRequest {
  readonly owner: HostOwner;
  readonly fromBootID: string;
  readonly holdKubelet: boolean;
}

/**
 * `asked`: the host is on its way down. `done`: it has left the boot. `held`: it has, and its kubelet has not run since, as was asked; what
 * rebooted by itself before anything was held is merely done.
 */
export type RebootAnswer = 'asked' | 'done' | 'held';

/**
 * Works on hosts. All calls are idempotent, bounded by `ctx.signal`, and none waits for the work: long work runs by itself on the
 * host and is asked for. Unreachable hosts throw TransientError; what a person must mend throws TerminalError with the reasons
 * HostKeyUnknown, HostKeyMismatch, CredentialsRefused, CredentialsInvalid, SudoRefused, HostClaimedElsewhere, BootstrapDataUnsupported.
 */
export interface HostDriver {
  probe(ctx: Ctx, access: HostAccess): Promise<HostReport>;
  /** Starts the job if it never began, and says how far it is. A job of another owner is refused with HostClaimedElsewhere. */
  bootstrap(ctx: Ctx, access: HostAccess, job: BootstrapJob): Promise<JobProgress>;
  /** Read only, needs no data. */
  progress(ctx: Ctx, access: HostAccess, jobID: string): Promise<JobProgress>;
  /**
   * Starts, or looks at, the job that stops and removes everything of a cluster and of ours. Needs nothing remembered. A host that names
   * another owner than this one refuses it with HostClaimedElsewhere: whoever asks may be late. Without one any host is cleaned.
   */
  clean(ctx: Ctx, access: HostAccess, jobID: string, owner?: HostOwner): Promise<JobProgress>;
  /** Takes away what a clean-up that has ended leaves of itself; the next probe says what stayed. Refused like {@link clean}. */
  finishClean(ctx: Ctx, access: HostAccess, owner?: HostOwner): Promise<void>;
  /** Installs the load balancer where it is missing and makes it serve exactly this; answers a hash of what is applied. */
  balance(ctx: Ctx, access: HostAccess, config: LoadBalancerConfig): Promise<string>;
  /** Of what {@link prepare} would do, without asking a host. TerminalError(PreparationInvalid) names the field. */
  preparationHash(input: PreparationInput): string;
  /** Starts the job if it never began, and says how far it is. Steps that are in place already change nothing. */
  prepare(ctx: Ctx, access: HostAccess, job: PrepareJob): Promise<JobProgress>;
  /** Installs keepalived where it is missing and makes it serve exactly this; answers a hash of what is applied. */
  virtualIP(ctx: Ctx, access: HostAccess, config: VirtualIPConfig): Promise<string>;
  /**
   * Reboots the host unless it has left the boot `fromBootID`. With `holdKubelet` the kubelet does not start before
   * {@link releaseKubelet}. Refused like {@link clean}.
   */
  reboot(ctx: Ctx, access: HostAccess, request: RebootRequest): Promise<RebootAnswer>;
  /** Lets the kubelet start, now and with each boot. Harmless where nothing holds it. Refused like {@link clean}. */
  releaseKubelet(ctx: Ctx, access: HostAccess, owner: HostOwner): Promise<void>;
  /** Closes what is kept open to a host. */
  disconnect(key: string): void;
}
