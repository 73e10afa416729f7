// SPDX-License-Identifier: Apache-2.0
// What is measured on a host, and how far it is.
import Type, { type Static } from 'typebox';

const text = (description: string, maxLength = 256) => Type.String({ description, maxLength });
const optionalText = (description: string) => Type.Optional(text(description));

/** Schema of {@link HostState}. */
export const HostStateSchema = Type.Enum(
  [
    'Registering',
    'Available',
    'Claimed',
    'Preparing',
    'Bootstrapping',
    'Provisioned',
    'Releasing',
    'Cleaning',
    'Quarantined',
  ],
  { description: 'Where the host is in its life; docs/states/tshost.md draws it.' },
);

/** Where a host is in its life. */
export type HostState = Static<typeof HostStateSchema>;

/** Schema of {@link OperationalStatus}. */
export const OperationalStatusSchema = Type.Enum(['OK', 'Unreachable', 'Maintenance'], {
  description: 'Whether the host can be worked with at present; says nothing of its state.',
});

/** Whether a host can be worked with at present. */
export type OperationalStatus = Static<typeof OperationalStatusSchema>;

const HostErrorSchema = Type.Object(
  {
    reason: text('Why, as one word in CamelCase.'),
    message: text('Why, and what to do.', 4096),
    since: Type.String({ description: 'When it was found first.', format: 'date-time' }),
  },
  { description: 'What is wrong with the host; absent when nothing is.' },
);

/** What is wrong with a host. */
export type HostError = Static<typeof HostErrorSchema>;

const HardwareSchema = Type.Object(
  {
    architecture: optionalText('Processor architecture, as Go names it.'),
    cpus: Type.Optional(Type.Integer({ description: 'Processors.', format: 'int32', minimum: 0 })),
    memory: optionalText('Memory, as a quantity.'),
    disks: Type.Optional(
      Type.Array(
        Type.Object(
          { name: text('Device name.'), size: text('Size, as a quantity.') },
          { description: 'A disk.' },
        ),
        {
          description: 'Whole disks, by name.',
          maxItems: 256,
          'x-kubernetes-list-type': 'atomic',
        },
      ),
    ),
    nics: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: text('Interface name.'),
            mac: text('Hardware address.'),
            addresses: Type.Array(text('An IP address.', 64), {
              description: 'IP addresses without link-local ones.',
              maxItems: 64,
              'x-kubernetes-list-type': 'atomic',
            }),
          },
          { description: 'An interface.' },
        ),
        {
          description: 'Physical interfaces, by name.',
          maxItems: 64,
          'x-kubernetes-list-type': 'atomic',
        },
      ),
    ),
  },
  { description: 'The hardware, as the kernel reports it.' },
);

/** The hardware of a host, as its kernel reports it. */
export type HostHardware = Static<typeof HardwareSchema>;

const OperatingSystemSchema = Type.Object(
  {
    id: optionalText('ID of /etc/os-release, such as ubuntu.'),
    family: optionalText('The oldest relative that it names, such as debian or rhel.'),
    version: optionalText('VERSION_ID of /etc/os-release.'),
    kernel: optionalText('Release of the running kernel.'),
  },
  { description: 'The operating system.' },
);

/** The operating system of a host. */
export type HostOperatingSystem = Static<typeof OperatingSystemSchema>;

const SoftwareSchema = Type.Object(
  {
    kubeadm: optionalText('Version of kubeadm, such as v1.36.3; absent when it is not there.'),
    kubelet: optionalText('Version of the kubelet.'),
    containerd: optionalText('Version of containerd.'),
    crio: optionalText('Version of CRI-O.'),
    serviceManager: optionalText('systemd, or other.'),
  },
  { description: 'What Kubernetes needs of software.' },
);

/** What Kubernetes needs of software on a host. */
export type HostSoftware = Static<typeof SoftwareSchema>;

const OperationSchema = Type.Object(
  {
    id: text('Name of the job on the host.'),
    kind: Type.Enum(['Prepare', 'Bootstrap', 'Repair', 'Clean'], { description: 'What is done.' }),
    attempt: Type.Integer({ description: 'Counts tries.', format: 'int32', minimum: 1 }),
    startedAt: Type.String({ description: 'When this try began.', format: 'date-time' }),
    step: optionalText('The step that is under way, or was last.'),
  },
  { description: 'Work that goes on on the host by itself.' },
);

/** Work that goes on on a host by itself. */
export type HostOperation = Static<typeof OperationSchema>;

const LoadBalancerStatusSchema = Type.Object(
  {
    members: Type.Array(text('A member.'), {
      description: 'host:port of the control plane members in the applied configuration, sorted.',
      maxItems: 64,
      'x-kubernetes-list-type': 'atomic',
    }),
    configHash: text('Hash of the applied configuration.', 128),
  },
  { description: 'What the load balancer on this host serves.' },
);

/** What the load balancer on a host serves. */
export type HostLoadBalancerStatus = Static<typeof LoadBalancerStatusSchema>;

const VirtualIPStatusSchema = Type.Object(
  {
    address: text('The address that the hosts share.', 64),
    peers: Type.Array(text('An address.', 64), {
      description: 'Addresses of the other hosts in the applied configuration, sorted.',
      maxItems: 64,
      'x-kubernetes-list-type': 'atomic',
    }),
    configHash: text('Hash of the applied configuration.', 128),
  },
  { description: 'The part that the host has in the virtual address of its control plane.' },
);

/** The part that a host has in the virtual address of its control plane. */
export type HostVirtualIPStatus = Static<typeof VirtualIPStatusSchema>;

const PreparationStatusSchema = Type.Object(
  {
    hash: text('Hash of the steps that were taken.', 128),
    version: text('Kubernetes version that the host was prepared for.', 64),
    unverifiedRegistries: Type.Optional(
      Type.Array(text('Endpoint of a registry.', 512), {
        description:
          'Registries whose certificates the container runtime does not verify; absent when there are none.',
        maxItems: 20,
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    drift: Type.Optional(
      Type.Array(text('Step, impact of its repair, and path.', 512), {
        description: 'What is not as the preparation left it, sorted; absent when nothing is.',
        maxItems: 50,
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
  },
  { description: 'What the preparation of the host came to; absent while it was not prepared.' },
);

/** What the preparation of a host came to. */
export type HostPreparationStatus = Static<typeof PreparationStatusSchema>;

/** Members of a TSHost's status. */
export const HostStatusFields = {
  state: Type.Optional(HostStateSchema),
  operationalStatus: Type.Optional(OperationalStatusSchema),
  error: Type.Optional(HostErrorSchema),
  hostname: optionalText('Host name, as the host says it.'),
  hardware: Type.Optional(HardwareSchema),
  operatingSystem: Type.Optional(OperatingSystemSchema),
  software: Type.Optional(SoftwareSchema),
  bootID: optionalText('Changes with each boot.'),
  clockSkewSeconds: Type.Optional(
    Type.Integer({
      description:
        'How far the clock of the host is from ours, in whole seconds; small differences are left out.',
      format: 'int64',
    }),
  ),
  occupants: Type.Optional(
    Type.Array(text('Something found.', 512), {
      description: 'What of a cluster was found on the host, sorted; absent when it is clean.',
      maxItems: 50,
      'x-kubernetes-list-type': 'atomic',
    }),
  ),
  operation: Type.Optional(OperationSchema),
  loadBalancer: Type.Optional(LoadBalancerStatusSchema),
  virtualIP: Type.Optional(VirtualIPStatusSchema),
  preparation: Type.Optional(PreparationStatusSchema),
};
