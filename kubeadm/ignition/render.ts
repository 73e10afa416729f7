// SPDX-License-Identifier: Apache-2.0
// Bootstrap data for machines that boot with Ignition (KB 6.10).
import type { MachineContents } from '../machine-contents.ts';
import { canonicalJSON } from './canonical-json.ts';
import { appendConfig, documentV2, type IgnitionConfig } from './config-v2.ts';
import { containerLinuxConfig } from './container-linux-config.ts';
import { documentV3 } from './config-v3.ts';
import { machineConfig } from './machine-config.ts';

/** Versions of the Ignition specification that we write; the stock provider writes the first. */
export const IGNITION_VERSIONS = ['2.3.0', '3.0.0', '3.1.0', '3.2.0', '3.3.0', '3.4.0'] as const;

export type IgnitionVersion = (typeof IGNITION_VERSIONS)[number];

export interface IgnitionOptions {
  readonly version: IgnitionVersion;
  /** Container Linux Config as YAML; it is laid over what we write. */
  readonly additionalConfig: string | undefined;
  /** Whether what is merely doubtful in additionalConfig is refused too. */
  readonly strict: boolean;
}

/** The config as JSON text with sorted keys. Throws InputError naming the field that Ignition cannot honour. */
export function renderIgnition(contents: MachineContents, options: IgnitionOptions): string {
  const config = withAdditions(machineConfig(contents), options);
  const { version } = options;
  return canonicalJSON(version === '2.3.0' ? documentV2(config) : documentV3(config, version));
}

function withAdditions(config: IgnitionConfig, options: IgnitionOptions): IgnitionConfig {
  const { additionalConfig, strict } = options;
  if (!additionalConfig) return config;
  return appendConfig(config, containerLinuxConfig(additionalConfig, { strict }));
}
