// SPDX-License-Identifier: Apache-2.0
// What the whole cluster shares: `spec.clusterConfiguration` of a KubeadmConfig.
import Type, { type Static } from 'typebox';
import { argsSchema } from './args.ts';
import { envsSchema } from './env.ts';
import { atomicList, filled, flag, integer, text, unlimitedText } from './fields.ts';

const ImageRepository = (what: string) => Type.Optional(text(`Registry and path to pull ${what} from.`));
const ImageTag = (what: string) => Type.Optional(text(`Tag of ${what}.`, 256));

/** Subject alternative names of a certificate. */
const sans = (whose: string) =>
  Type.Optional(
    atomicList(
      text('A DNS name or an IP address.', 253),
      `Further names and addresses in the certificate of ${whose}.`,
      { minItems: 1, maxItems: 100 },
    ),
  );

const HostPathMountSchema = Type.Object(
  {
    name: text('Name of the volume in the static Pod.'),
    hostPath: text('Path on the machine.'),
    mountPath: text('Path in the container.'),
    readOnly: Type.Optional(flag('Whether the container may only read.')),
    pathType: Type.Optional(
      unlimitedText(
        'What is at hostPath, as in a hostPath volume of a Pod, such as File or DirectoryOrCreate.',
      ),
    ),
  },
  { description: 'One folder or file of the machine in the static Pod.' },
);

/** A folder or file of the machine in a static Pod. */
export type HostPathMount = Static<typeof HostPathMountSchema>;

const componentFields = {
  extraArgs: Type.Optional(
    argsSchema('extraArgs', 'Flags of the component; they replace those that kubeadm sets.'),
  ),
  extraVolumes: Type.Optional(
    atomicList(HostPathMountSchema, 'Further volumes of the static Pod.', { minItems: 1, maxItems: 100 }),
  ),
  extraEnvs: Type.Optional(
    envsSchema('Environment of the component; it replaces what kubeadm sets. From Kubernetes 1.31 on.'),
  ),
};

const component = (name: string) => filled(componentFields, `Settings of the ${name}.`);
const ControllerManagerSchema = component('controller manager');

/** Settings of the controller manager or of the scheduler. */
export type ControlPlaneComponent = Static<typeof ControllerManagerSchema>;

const APIServerSchema = filled(
  { ...componentFields, certSANs: sans('the API server') },
  'Settings of the API server.',
);

/** Settings of the API server. */
export type APIServer = Static<typeof APIServerSchema>;

const LocalEtcdSchema = filled(
  {
    imageRepository: ImageRepository('etcd'),
    imageTag: ImageTag('the etcd image'),
    dataDir: Type.Optional(text('Folder of the data on the machine; /var/lib/etcd when absent.')),
    extraArgs: Type.Optional(argsSchema('extraArgs', 'Flags of etcd; they replace those that kubeadm sets.')),
    extraEnvs: Type.Optional(
      envsSchema('Environment of etcd; it replaces what kubeadm sets. From Kubernetes 1.31 on.'),
    ),
    serverCertSANs: sans('the etcd server'),
    peerCertSANs: sans('the etcd peer'),
  },
  'An etcd member on each control plane machine.',
);

/** An etcd member on each control plane machine. */
export type LocalEtcd = Static<typeof LocalEtcdSchema>;

const ExternalEtcdSchema = Type.Object(
  {
    endpoints: atomicList(text('URL of one member.'), 'URLs of the members.', { minItems: 1, maxItems: 50 }),
    caFile: text('Path on the machine of the CA that signed the certificates of etcd.'),
    certFile: text('Path on the machine of the client certificate for etcd.'),
    keyFile: text('Path on the machine of the key of the client certificate.'),
  },
  { description: 'An etcd cluster that is run elsewhere. Its CA and client certificate come from Secrets.' },
);

/** An etcd cluster that is run elsewhere. */
export type ExternalEtcd = Static<typeof ExternalEtcdSchema>;

const EtcdSchema = filled(
  { local: Type.Optional(LocalEtcdSchema), external: Type.Optional(ExternalEtcdSchema) },
  'Where etcd runs: local or external. Local when absent.',
);

/** Where etcd runs. */
export type Etcd = Static<typeof EtcdSchema>;

const DNSSchema = filled(
  { imageRepository: ImageRepository('CoreDNS'), imageTag: ImageTag('the CoreDNS image') },
  'The DNS addon of the cluster.',
);

/** The DNS addon of the cluster. */
export type DNS = Static<typeof DNSSchema>;

const EncryptionAlgorithmSchema = Type.Enum(
  ['ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096'],
  {
    description:
      'Kind of key for the CAs that are generated and, from Kubernetes 1.31 on, for what kubeadm signs; RSA-2048 when absent. ' +
      'ECDSA-P384 needs Kubernetes 1.34. A change leaves existing keys as they are.',
  },
);

/** Kind of key for certificates. */
export type EncryptionAlgorithm = Static<typeof EncryptionAlgorithmSchema>;

/** Schema of {@link ClusterConfiguration}. */
export const ClusterConfigurationSchema = filled(
  {
    etcd: Type.Optional(EtcdSchema),
    controlPlaneEndpoint: Type.Optional(
      text('Address of the control plane with an optional port. When absent, it is taken from the Cluster.'),
    ),
    apiServer: Type.Optional(APIServerSchema),
    controllerManager: Type.Optional(ControllerManagerSchema),
    scheduler: Type.Optional(component('scheduler')),
    dns: Type.Optional(DNSSchema),
    certificatesDir: Type.Optional(
      text('Folder of the certificates on the machine; /etc/kubernetes/pki when absent.'),
    ),
    imageRepository: Type.Optional(
      text('Registry and path to pull control plane images from; registry.k8s.io when absent.'),
    ),
    featureGates: Type.Optional(
      Type.Record(Type.String(), Type.Boolean(), { description: 'Feature gates of kubeadm.' }),
    ),
    certificateValidityPeriodDays: Type.Optional(
      integer(
        'Days for which certificates that kubeadm signs are valid; 365 when absent. From Kubernetes 1.31 on.',
        {
          minimum: 1,
          maximum: 1095,
        },
      ),
    ),
    caCertificateValidityPeriodDays: Type.Optional(
      integer('Days for which generated CAs are valid; 3650 when absent.', { minimum: 1, maximum: 36_500 }),
    ),
    encryptionAlgorithm: Type.Optional(EncryptionAlgorithmSchema),
  },
  'Settings of kubeadm that the whole cluster shares. Only kubeadm init reads them.',
);

/** Settings of kubeadm that the whole cluster shares. */
export type ClusterConfiguration = Static<typeof ClusterConfigurationSchema>;

export type { Arg } from './args.ts';
export type { EnvVar } from './env.ts';
