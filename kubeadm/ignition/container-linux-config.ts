// SPDX-License-Identifier: Apache-2.0
// Turns Container Linux Config (YAML for people) into the Ignition config that machines read.
import { InputError } from '../input-error.ts';
import type { IgnitionConfig } from './config-v2.ts';
import { doubts } from './container-linux-doubts.ts';
import { ignitionSection, networkdUnits, passwdSection, systemdUnits } from './container-linux-system.ts';
import { storageSection } from './container-linux-storage.ts';
import { CONTAINER_LINUX_CONFIG } from './container-linux-shape.ts';
import type { ValueOf } from './shape.ts';
import { type Finding, readShape } from './shape-reader.ts';

/** A document as it was read: keys of the document, absent ones undefined. */
export type ContainerLinuxConfig = ValueOf<typeof CONTAINER_LINUX_CONFIG>;

const FIELD = 'spec.ignition.containerLinuxConfig.additionalConfig';

/**
 * Reads `additionalConfig`. Throws InputError with the line and the key of the first thing that is wrong; `strict` makes unknown keys and
 * other doubts wrong too (they are left out, or harmless, otherwise).
 */
export function containerLinuxConfig(yaml: string, options: { strict: boolean }): IgnitionConfig {
  const { value, findings } = readShape(yaml, CONTAINER_LINUX_CONFIG);
  const all = value === undefined ? findings : [...findings, ...doubts(value)];
  const wrong = options.strict ? all : all.filter(({ severity }) => severity === 'error');
  // Errors first: whoever reads one message should read of the one that matters.
  const [worst] = wrong.toSorted((a, b) => a.severity.localeCompare(b.severity));
  if (worst !== undefined) throw new InputError(FIELD, sentence(worst, wrong.length - 1));
  return {
    ignition: ignitionSection(value?.ignition),
    networkd: { units: networkdUnits(value?.networkd) },
    passwd: passwdSection(value?.passwd),
    storage: storageSection(value?.storage),
    systemd: { units: systemdUnits(value?.systemd) },
  };
}

function sentence({ line, path, problem }: Finding, others: number): string {
  const where = line === undefined ? '' : `line ${line}: `;
  const more = others === 0 ? '' : ` (and ${others} more)`;
  return `${where}${path === '' ? 'the document' : path} ${problem}${more}`;
}
