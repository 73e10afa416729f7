// SPDX-License-Identifier: Apache-2.0
// What a machine is to find when it boots, before anybody has decided whether cloud-init or Ignition brings it there.
import type { DiskSetup, NTP, User } from '../api/bootstrap/machine-contents.ts';

/** What kubeadm does on the machine. */
export type Purpose = 'init' | 'control-plane-join' | 'worker-join';

/** What kubeadm needs to know of the Cluster (KB 6.3). */
export interface ClusterFacts {
  readonly name: string;
  /** Only when it is valid: a host and a port. */
  readonly controlPlaneEndpoint: { readonly host: string; readonly port: number } | undefined;
  readonly serviceDomain: string | undefined;
  readonly serviceCIDRs: readonly string[];
  readonly podCIDRs: readonly string[];
}

/** A file whose content is at hand. Absent fields stay absent in what is rendered. */
export interface ResolvedFile {
  readonly path: string;
  /** `user:group`. */
  readonly owner?: string;
  /** Octal digits as text, such as `0640`. */
  readonly permissions?: string;
  /** How `content` is already encoded. */
  readonly encoding?: 'base64' | 'gzip' | 'gzip+base64';
  readonly append?: boolean;
  readonly content: string;
}

/** A user whose password hash, where one is asked for, has been read. */
export type ResolvedUser = Omit<User, 'passwdFrom'>;

/** Everything that is rendered, in the order in which it is. */
export interface MachineContents {
  readonly purpose: Purpose;
  /** Documents for kubeadm, as YAML text. */
  readonly kubeadmConfig: string;
  /** Certificates first, then the files of the spec, then a kubeconfig for discovery. */
  readonly files: readonly ResolvedFile[];
  readonly users: readonly ResolvedUser[];
  readonly bootCommands: readonly string[];
  readonly preKubeadmCommands: readonly string[];
  readonly postKubeadmCommands: readonly string[];
  readonly mounts: readonly (readonly string[])[];
  readonly diskSetup: DiskSetup | undefined;
  readonly ntp: NTP | undefined;
  /** For kubeadm's `--v`. */
  readonly verbosity: number | undefined;
}
