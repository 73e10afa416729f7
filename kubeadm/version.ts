// SPDX-License-Identifier: Apache-2.0
// Which Kubernetes a machine runs, and which of kubeadm's APIs that understands.
import { InputError } from './input-error.ts';

/** A Kubernetes version. Pre-release and build are not kept apart: nothing here depends on them (KB-40). */
export interface KubernetesVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** As it was written. */
  readonly text: string;
}

/** The versions of kubeadm's configuration API that we write. */
export type KubeadmAPIVersion = 'kubeadm.k8s.io/v1beta3' | 'kubeadm.k8s.io/v1beta4';

const NUMBER = String.raw`(\d{1,9})`;
const IDENTIFIERS = String.raw`[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*`;
/** The leading v, minor and patch may be missing; pre-release and build only follow a patch (KB-3). */
const VERSION = new RegExp(
  String.raw`^v?${NUMBER}(?:\.${NUMBER}(?:\.${NUMBER}(?:-${IDENTIFIERS})?(?:\+${IDENTIFIERS})?)?)?$`,
);

/** Reads `v1.36.3`, `1.36.3-rc.1+build`, `1.36`. `field` is where the text stands. Throws InputError (KB-3). */
export function parseKubernetesVersion(text: string, field: string): KubernetesVersion {
  const [matched, major, minor = '0', patch = '0'] = VERSION.exec(text.trim()) ?? [];
  if (matched === undefined) {
    throw new InputError(field, `${JSON.stringify(text)} is not a Kubernetes version, write it like v1.36.3`);
  }
  return { major: Number(major), minor: Number(minor), patch: Number(patch), text };
}

/**
 * v1beta4 from Kubernetes 1.31, v1beta3 from 1.22; a pre-release counts as its release, and what is newer than we know is taken
 * to understand v1beta4 (KB-40). Throws InputError for what is older.
 */
export function kubeadmAPIVersion({ major, minor, text }: KubernetesVersion): KubeadmAPIVersion {
  if (major > 1 || (major === 1 && minor >= 31)) return 'kubeadm.k8s.io/v1beta4';
  if (major === 1 && minor >= 22) return 'kubeadm.k8s.io/v1beta3';
  throw new InputError(
    'kubernetesVersion',
    `${text} is too old, kubeadm configuration needs v1.22.0 or newer`,
  );
}
