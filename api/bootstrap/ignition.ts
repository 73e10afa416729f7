// SPDX-License-Identifier: Apache-2.0
// Settings of Ignition: `spec.ignition` of a KubeadmConfig, and what Ignition cannot do (KB-51).
import Type, { type Static } from 'typebox';
import type { ValidationRule } from '../meta.ts';
import { filled, flag, text } from './fields.ts';

const ContainerLinuxConfigSchema = filled(
  {
    additionalConfig: Type.Optional(
      text('A Container Linux Config, as YAML, that is merged into what is rendered.', 32_768),
    ),
    strict: Type.Optional(flag('Whether warnings about additionalConfig count as errors.')),
  },
  'A further Container Linux Config.',
);

/** A further Container Linux Config. */
export type ContainerLinuxConfig = Static<typeof ContainerLinuxConfigSchema>;

/** Schema of {@link IgnitionSpec}. */
export const IgnitionSpecSchema = filled(
  { containerLinuxConfig: Type.Optional(ContainerLinuxConfigSchema) },
  'Settings of Ignition. Only with format ignition.',
);

/** Settings of Ignition. */
export type IgnitionSpec = Static<typeof IgnitionSpecSchema>;

const OTHER_FORMAT = "!has(self.format) || self.format != 'ignition'";

const needsFormat: ValidationRule = {
  rule: "!has(self.ignition) || (has(self.format) && self.format == 'ignition')",
  message: 'ignition needs format "ignition": set format, or remove ignition',
  fieldPath: '.format',
};

/** Ignition has no word for these; they are refused rather than left out in silence. */
const cannot = (fieldPath: string, rule: string, wayOut: string): ValidationRule => ({
  rule: `${OTHER_FORMAT} || ${rule}`,
  message: `not possible with format "ignition": ${wayOut}`,
  fieldPath,
});

/** Rules of the whole spec. */
export const ignitionRules: readonly ValidationRule[] = [
  needsFormat,
  cannot(
    '.users',
    '!has(self.users) || self.users.all(x, !has(x.inactive) || !x.inactive)',
    'remove inactive of the user, or the user',
  ),
  cannot(
    '.files',
    "!has(self.files) || self.files.all(x, !has(x.encoding) || x.encoding == 'base64')",
    'give the content of the file in plain text or with encoding "base64"',
  ),
  cannot(
    '.bootCommands',
    '!has(self.bootCommands)',
    'use preKubeadmCommands or a unit in place of bootCommands',
  ),
  cannot(
    '.diskSetup.partitions',
    "!has(self.diskSetup) || !has(self.diskSetup.partitions) || self.diskSetup.partitions.all(x, !has(x.tableType) || x.tableType == 'gpt')",
    'set tableType to "gpt" or leave it out',
  ),
  cannot(
    '.diskSetup.filesystems',
    '!has(self.diskSetup) || !has(self.diskSetup.filesystems) || self.diskSetup.filesystems.all(x, !has(x.replaceFS))',
    'remove replaceFS of the file system',
  ),
  cannot(
    '.diskSetup.filesystems',
    '!has(self.diskSetup) || !has(self.diskSetup.filesystems) || self.diskSetup.filesystems.all(x, !has(x.partition))',
    'remove partition of the file system and name the partition in device',
  ),
];
