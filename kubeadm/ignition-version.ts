// SPDX-License-Identifier: Apache-2.0
import { IGNITION_VERSION_ANNOTATION } from '../api/labels.ts';
import { IGNITION_VERSIONS, type IgnitionVersion } from './ignition/render.ts';
import { InputError } from './input-error.ts';

/** What the stock provider writes, and so what machines that are booted from existing images understand. */
const DEFAULT_VERSION: IgnitionVersion = '2.3.0';

/** The Ignition version that a KubeadmConfig asks for with its annotation. Throws InputError for one that we do not write. */
export function ignitionVersionOf(
  annotations: Readonly<Record<string, string>> | undefined,
): IgnitionVersion {
  const asked = annotations?.[IGNITION_VERSION_ANNOTATION];
  if (asked === undefined) return DEFAULT_VERSION;
  const known = IGNITION_VERSIONS.find((version) => version === asked);
  if (known !== undefined) return known;
  throw new InputError(
    `metadata.annotations["${IGNITION_VERSION_ANNOTATION}"]`,
    `there is no Ignition version "${asked}" here: use one of ${IGNITION_VERSIONS.join(', ')}`,
  );
}
