// SPDX-License-Identifier: Apache-2.0
import Type, { type Static } from 'typebox';
import { type ApiObject, TemplateMetadataSchema } from './meta.ts';
import { clusterSpecFields } from './tscluster.ts';

/** Schema of {@link TSClusterTemplateSpec}. */
export const TSClusterTemplateSpecSchema = Type.Object(
  {
    template: Type.Object(
      {
        metadata: Type.Optional(TemplateMetadataSchema),
        spec: Type.Object(clusterSpecFields, {
          description: 'Spec of every TSCluster made from the template.',
          default: {},
        }),
      },
      { description: 'What a TSCluster is made from.' },
    ),
  },
  { description: 'The template. ClusterClass applies its changes to the clusters made from it (TOP-3).' },
);

/** Desired state of the clusters made from a template. */
export type TSClusterTemplateSpec = Static<typeof TSClusterTemplateSpecSchema>;

/** The InfraClusterTemplate of ts-provider, for ClusterClass (IC-9). */
export interface TSClusterTemplate extends ApiObject {
  spec: TSClusterTemplateSpec;
}
