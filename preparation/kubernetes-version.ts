// SPDX-License-Identifier: Apache-2.0
import { PreparationError } from './preparation-error.ts';

/** A version as programs and packages have it. */
export interface KubernetesVersion {
  /** `v1.36.3` */
  readonly tag: string;
  /** `1.36.3`: of packages. */
  readonly number: string;
  /** `v1.36`: of repositories. */
  readonly minor: string;
}

/** Throws PreparationError for what is not a version with three parts. */
export function parseVersion(version: string): KubernetesVersion {
  const found = /^v?((\d+\.\d+)\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$/.exec(version);
  if (!found) throw new PreparationError('kubernetesVersion', `${JSON.stringify(version)} is no version`);
  return { tag: `v${found[1]!}`, number: found[1]!, minor: `v${found[2]!}` };
}
