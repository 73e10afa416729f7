// SPDX-License-Identifier: Apache-2.0
// What kubeadm init and kubeadm join share.
import Type, { type Static } from 'typebox';
import { argsSchema } from './args.ts';
import { atomicList, filled, flag, integer, text, time, unlimitedText } from './fields.ts';

const TaintSchema = Type.Object(
  {
    key: unlimitedText('Key of the taint.'),
    value: Type.Optional(unlimitedText('Value of the taint.')),
    effect: unlimitedText('What it does to Pods: NoSchedule, PreferNoSchedule or NoExecute.'),
    timeAdded: Type.Optional(time('When it was added.')),
  },
  { description: 'One taint.' },
);

/** A taint of the Node. */
export type Taint = Static<typeof TaintSchema>;

/** Schema of {@link NodeRegistrationOptions}. */
export const NodeRegistrationSchema = filled(
  {
    name: Type.Optional(
      text('Name of the Node; the host name when absent. May hold a jinja expression of cloud-init.', 253),
    ),
    criSocket: Type.Optional(text('Socket of the container runtime; found by kubeadm when absent.')),
    // An empty list is not an absent one (KB-41), so it has no lower limit.
    taints: Type.Optional(
      Type.Array(TaintSchema, {
        description:
          'Taints of the Node. Absent: a control plane Node gets the taint of kubeadm. An empty list: no taint at all.',
        minItems: 0,
        maxItems: 100,
      }),
    ),
    kubeletExtraArgs: Type.Optional(
      argsSchema('kubeletExtraArgs', 'Flags of the kubelet; they replace those that kubeadm sets.'),
    ),
    ignorePreflightErrors: Type.Optional(
      atomicList(text('Name of a check, or all.'), 'Checks of kubeadm whose failure is only a warning.', {
        minItems: 1,
        maxItems: 50,
      }),
    ),
    imagePullPolicy: Type.Optional(
      Type.Enum(['Always', 'IfNotPresent', 'Never'], {
        description: 'When kubeadm pulls images; IfNotPresent when absent.',
      }),
    ),
    imagePullSerial: Type.Optional(
      flag('Whether images are pulled one after the other; true when absent. From Kubernetes 1.31 on.'),
    ),
  },
  'How the Node is registered. Keep it the same in initConfiguration and joinConfiguration of a control plane.',
);

/** How the Node is registered. `taints` absent and empty differ (KB-41). */
export type NodeRegistrationOptions = Static<typeof NodeRegistrationSchema>;

/** Schema of {@link APIEndpoint}. */
export const APIEndpointSchema = filled(
  {
    advertiseAddress: Type.Optional(
      text(
        'IP address that the API server of this machine announces; of the default interface when absent.',
        39,
      ),
    ),
    bindPort: Type.Optional(
      integer('Port that the API server of this machine listens on; 6443 when absent.', { minimum: 1 }),
    ),
  },
  'Where the API server of this machine answers, as opposed to the endpoint of the whole control plane.',
);

/** Where the API server of one machine answers. */
export type APIEndpoint = Static<typeof APIEndpointSchema>;

const seconds = (what: string, absent: number) =>
  Type.Optional(integer(`Seconds to wait ${what}; ${absent} when absent.`, { minimum: 0 }));

/** Schema of {@link Timeouts}. */
export const TimeoutsSchema = filled(
  {
    controlPlaneComponentHealthCheckSeconds: seconds('for a control plane component to be healthy', 240),
    kubeletHealthCheckSeconds: seconds('for the kubelet to be healthy', 240),
    kubernetesAPICallSeconds: seconds('for an answer of the API server', 60),
    etcdAPICallSeconds: seconds('for an answer of etcd', 120),
    tlsBootstrapSeconds: seconds('for the kubelet of a joining machine to get its certificate', 300),
    discoverySeconds: seconds('for a joining machine to verify the API server', 300),
  },
  'How long kubeadm waits. From Kubernetes 1.31 on, except for the first and for tlsBootstrapSeconds of a join.',
);

/** How long kubeadm waits. */
export type Timeouts = Static<typeof TimeoutsSchema>;

/** Schema of {@link Patches}. */
export const PatchesSchema = filled(
  {
    directory: Type.Optional(
      text(
        'Folder on the machine with files such as kube-apiserver0+merge.yaml: component, suffix, kind of patch. Bring them with files.',
      ),
    ),
  },
  'Patches of what kubeadm writes for the components.',
);

/** Patches of what kubeadm writes. */
export type Patches = Static<typeof PatchesSchema>;

/** Schema of `skipPhases`. */
export const SkipPhasesSchema = atomicList(
  text('Name of a phase, as kubeadm --help lists them.', 256),
  'Phases of kubeadm to leave out.',
  { minItems: 1, maxItems: 50 },
);
