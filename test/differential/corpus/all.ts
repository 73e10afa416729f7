// SPDX-License-Identifier: Apache-2.0
// The corpus: inputs that people thought of. generated.ts has those that nobody did.
import type { Scenario } from '../scenario.ts';
import { clusterConfigurations } from './cluster-configuration.ts';
import { clusters } from './clusters.ts';
import { files } from './files.ts';
import { heldBack } from './held.ts';
import { ignition } from './ignition.ts';
import { initConfigurations } from './init-configuration.ts';
import { joinConfigurations } from './join-configuration.ts';
import { lifecycles } from './lifecycle.ts';
import { machines } from './machine.ts';
import { nodeRegistrations } from './node-registration.ts';
import { odd } from './odd.ts';
import { versions } from './versions.ts';

export const corpus: readonly Scenario[] = [
  ...versions,
  ...clusterConfigurations,
  ...initConfigurations,
  ...joinConfigurations,
  ...nodeRegistrations,
  ...files,
  ...machines,
  ...ignition,
  ...clusters,
  ...heldBack,
  ...lifecycles,
  ...odd,
];
