// SPDX-License-Identifier: Apache-2.0
// The bootstrap config of one machine, field for field the kind of Cluster API's kubeadm bootstrap provider (KB 6.12).
import Type, { type Static } from 'typebox';
import { ClusterConfigurationSchema } from './bootstrap/cluster-configuration.ts';
import { DiskSetupSchema } from './bootstrap/disk-setup.ts';
import { atomicList, filled, integer, text } from './bootstrap/fields.ts';
import { ignitionRules, IgnitionSpecSchema } from './bootstrap/ignition.ts';
import { InitConfigurationSchema } from './bootstrap/init-configuration.ts';
import { JoinConfigurationSchema } from './bootstrap/join-configuration.ts';
import { FilesSchema, NTPSchema, UsersSchema } from './bootstrap/machine-contents.ts';
import { type ApiObject, ConditionsSchema } from './meta.ts';

const commands = (description: string) =>
  Type.Optional(
    atomicList(text('One command, for a shell.', 10_240), description, { minItems: 1, maxItems: 1000 }),
  );

/** Schema of {@link KubeadmConfigSpec}, for both kinds. There are no defaults: what is unset stays unset (KB-52). */
export const KubeadmConfigSpecSchema = filled(
  {
    clusterConfiguration: Type.Optional(ClusterConfigurationSchema),
    initConfiguration: Type.Optional(InitConfigurationSchema),
    joinConfiguration: Type.Optional(JoinConfigurationSchema),
    files: Type.Optional(FilesSchema),
    diskSetup: Type.Optional(DiskSetupSchema),
    mounts: Type.Optional(
      atomicList(
        Type.Array(text('One word of the line.'), {
          description: 'One line of fstab: device, folder, kind of file system, options.',
          minItems: 1,
          maxItems: 100,
        }),
        'File systems to mount.',
        { minItems: 1, maxItems: 100 },
      ),
    ),
    bootCommands: commands('Commands that run early on every boot. Not with format ignition.'),
    preKubeadmCommands: commands('Commands that run before kubeadm.'),
    postKubeadmCommands: commands('Commands that run after kubeadm.'),
    users: Type.Optional(UsersSchema),
    ntp: Type.Optional(NTPSchema),
    format: Type.Optional(
      Type.Enum(['cloud-config', 'ignition'], {
        description: 'Format of the bootstrap data; cloud-config when absent.',
      }),
    ),
    verbosity: Type.Optional(integer('Level of the log of kubeadm, for its flag --v.')),
    ignition: Type.Optional(IgnitionSpecSchema),
  },
  'What a machine is told when it boots for the first time.',
  ...ignitionRules,
);

/** What a machine is told when it boots for the first time. */
export type KubeadmConfigSpec = Static<typeof KubeadmConfigSpecSchema>;

/** Schema of {@link KubeadmConfigStatus}. */
export const KubeadmConfigStatusSchema = filled(
  {
    initialization: Type.Optional(
      filled(
        {
          dataSecretCreated: Type.Optional(
            Type.Boolean({ description: 'True once the bootstrap data is there; never reverts (BC-4).' }),
          ),
        },
        'How far the first boot is prepared. Cluster API reads it.',
      ),
    ),
    dataSecretName: Type.Optional(text('Name of the Secret with the bootstrap data (BC-2).', 253)),
    conditions: Type.Optional(ConditionsSchema),
    observedGeneration: Type.Optional(
      Type.Integer({
        description: 'The metadata.generation that this status was made from.',
        format: 'int64',
        minimum: 1,
      }),
    ),
  },
  'What was observed. Can be lost and is found again (GEN-18).',
);

/** Observed state of a bootstrap config. */
export type KubeadmConfigStatus = Static<typeof KubeadmConfigStatusSchema>;

/** The bootstrap config (BC-1). The spec may be absent, where every machine does what kubeadm does by default. */
export interface KubeadmConfig extends ApiObject {
  spec?: KubeadmConfigSpec;
  status?: KubeadmConfigStatus;
}
