// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { filled } from './bootstrap/fields.ts';
import { KubeadmConfigSpecSchema } from './kubeadmconfig.ts';
import { type ApiObject, TemplateMetadataSchema } from './meta.ts';

/** Schema of {@link KubeadmConfigTemplateSpec}. */
export const KubeadmConfigTemplateSpecSchema = Type.Object(
  {
    template: filled(
      {
        metadata: Type.Optional(TemplateMetadataSchema),
        spec: Type.Optional(KubeadmConfigSpecSchema),
      },
      'What a KubeadmConfig is made from.',
    ),
  },
  {
    description:
      'The template. It may be changed, but machines are rolled by a new template name, not by new content (KB-50).',
  },
);

/** Desired state of the configs made from a template. */
export type KubeadmConfigTemplateSpec = Static<typeof KubeadmConfigTemplateSpecSchema>;

/** The template of bootstrap configs, for MachineDeployments, MachinePools and ClusterClasses (BC-8). */
export interface KubeadmConfigTemplate extends ApiObject {
  spec?: KubeadmConfigTemplateSpec;
}
