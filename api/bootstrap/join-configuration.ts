// SPDX-License-Identifier: Apache-2.0
// What kubeadm join does on every other machine: `spec.joinConfiguration` of a KubeadmConfig.
import Type, { type Static } from 'typebox';
import { DiscoverySchema } from './discovery.ts';
import { filled, text } from './fields.ts';
import {
  APIEndpointSchema,
  NodeRegistrationSchema,
  PatchesSchema,
  SkipPhasesSchema,
  TimeoutsSchema,
} from './node-registration.ts';

export type {
  BootstrapTokenDiscovery,
  Discovery,
  FileDiscovery,
  FileDiscoveryKubeConfig,
} from './discovery.ts';

const JoinControlPlaneSchema = Type.Object(
  { localAPIEndpoint: Type.Optional(APIEndpointSchema) },
  {
    description:
      'Makes the machine join as control plane, also when empty. Filled in for control plane Machines; leave it out for workers.',
  },
);

/** Present, perhaps empty, for a machine that joins as control plane. */
export type JoinControlPlane = Static<typeof JoinControlPlaneSchema>;

/** Schema of {@link JoinConfiguration}. */
export const JoinConfigurationSchema = filled(
  {
    nodeRegistration: Type.Optional(NodeRegistrationSchema),
    caCertPath: Type.Optional(
      text('Path on the machine of the CA of the cluster; /etc/kubernetes/pki/ca.crt when absent.'),
    ),
    discovery: Type.Optional(DiscoverySchema),
    controlPlane: Type.Optional(JoinControlPlaneSchema),
    skipPhases: Type.Optional(SkipPhasesSchema),
    patches: Type.Optional(PatchesSchema),
    timeouts: Type.Optional(TimeoutsSchema),
  },
  'Settings of kubeadm join, for every machine but the first.',
);

/** Settings of kubeadm join. */
export type JoinConfiguration = Static<typeof JoinConfigurationSchema>;
