// SPDX-License-Identifier: Apache-2.0
// How a plain machine is made ready for kubeadm: from package repositories, or from one server of artifacts.
import Type, { type Static } from 'typebox';
import { rules } from './meta.ts';

const URL_FIELD = { minLength: 8, maxLength: 2048, pattern: '^https?://[^\\s]+$' };

const url = (description: string) => Type.String({ description, ...URL_FIELD });

const certificates = Type.Optional(
  Type.String({
    description: 'PEM certificates to trust besides those of the operating system.',
    minLength: 1,
    maxLength: 65_536,
  }),
);

const secretRef = (description: string) =>
  Type.Optional(
    Type.Object(
      {
        name: Type.String({
          description: 'Name of a Secret in the same namespace.',
          minLength: 1,
          maxLength: 253,
        }),
      },
      { description: `${description} A Secret with username and password.` },
    ),
  );

const ContainerRuntimeSchema = Type.Object(
  {
    type: Type.Optional(
      Type.Enum(['containerd', 'crio'], { description: 'containerd (also when absent) or CRI-O.' }),
    ),
    version: Type.Optional(
      Type.String({
        description:
          'Version without a leading v, such as "2.2.3" or "2.2". Absent: the newest of the source.',
        pattern: '^[0-9]+(\\.[0-9]+){0,2}$',
        maxLength: 32,
      }),
    ),
    cgroupDriver: Type.Optional(
      Type.Enum(['systemd', 'cgroupfs'], {
        description: 'systemd (also when absent) or cgroupfs; the kubelet has to be configured the same.',
      }),
    ),
    sandboxImage: Type.Optional(
      Type.String({
        description:
          'Image that holds the namespaces of a pod. Absent: the one that kubeadm of the version names.',
        minLength: 1,
        maxLength: 512,
      }),
    ),
    additionalConfig: Type.Optional(
      Type.String({
        description: 'TOML that the container runtime reads after ours, and that wins over it.',
        minLength: 1,
        maxLength: 65_536,
      }),
    ),
  },
  { description: 'What runs containers.', minProperties: 1 },
);

const repository = (what: string, upstream: string) =>
  Type.Optional(
    Type.Object(
      {
        baseURL: Type.Optional(url(`Where the packages of ${what} are. Absent: ${upstream}`)),
        key: Type.Optional(
          Type.String({
            description:
              'Public key of the repository, ASCII armoured. Absent: fetched from the repository itself.',
            minLength: 1,
            maxLength: 65_536,
          }),
        ),
      },
      { description: `The repository of ${what}.`, minProperties: 1 },
    ),
  );

const PackagesSourceSchema = Type.Object(
  {
    kubernetes: repository('Kubernetes', 'https://pkgs.k8s.io/core:/stable:'),
    containerRuntime: repository('the container runtime', 'its upstream repository'),
  },
  { description: 'Package repositories: those of the distribution, and upstream ones.' },
);

const ArtifactsSourceSchema = Type.Object(
  {
    baseURL: url('Where the manifest lies that "ts-provider artifacts bundle" makes, and what it lists.'),
    caBundle: certificates,
    manifestSHA256: Type.Optional(
      Type.String({
        description: 'SHA-256 of the manifest, in hex. With it, the server need not be trusted.',
        pattern: '^[0-9a-f]{64}$',
        maxLength: 64,
      }),
    ),
  },
  { description: 'One server with all files that a machine needs; nothing else is contacted.' },
);

const SourceSchema = Type.Object(
  { packages: Type.Optional(PackagesSourceSchema), artifacts: Type.Optional(ArtifactsSourceSchema) },
  {
    description: 'Where software comes from. Absent: packages.',
    ...rules({
      rule: 'has(self.packages) != has(self.artifacts)',
      message: 'set exactly one source, packages or artifacts ({} takes the defaults of packages)',
    }),
  },
);

const MirrorSchema = Type.Object(
  {
    endpoint: url('A registry, such as "https://registry.example.org:5000".'),
    caBundle: certificates,
    insecureSkipVerify: Type.Optional(Type.Boolean({ description: 'Takes any certificate. Default false.' })),
    overridePath: Type.Optional(
      Type.Boolean({
        description: 'The path of the endpoint replaces /v2 instead of standing before it. Default false.',
      }),
    ),
    authRef: secretRef('Who pulls.'),
  },
  { description: 'An endpoint that has the images of the registry.' },
);

const RegistrySchema = Type.Object(
  {
    name: Type.String({
      description: 'The registry as image names have it, such as "registry.k8s.io"; "*" is every other one.',
      pattern: '^(\\*|[A-Za-z0-9.-]+(:[0-9]+)?)$',
      minLength: 1,
      maxLength: 253,
    }),
    mirrors: Type.Array(MirrorSchema, {
      description: 'In the order in which they are asked; the next one when one does not answer.',
      minItems: 1,
      maxItems: 16,
      'x-kubernetes-list-type': 'atomic',
    }),
    fallback: Type.Optional(
      Type.Boolean({
        description: 'The registry itself is asked after all mirrors. Default false: only mirrors are asked.',
      }),
    ),
  },
  { description: 'Where the images of a registry are pulled from.' },
);

const ProxySchema = Type.Object(
  {
    http: Type.Optional(url('Proxy of http requests, without credentials.')),
    https: Type.Optional(url('Proxy of https requests, without credentials.')),
    noProxy: Type.Optional(
      Type.Array(
        Type.String({
          description: 'A host, a domain with a leading dot, or a CIDR.',
          minLength: 1,
          maxLength: 253,
          pattern: '^[^\\s,"\\\\$`]+$',
        }),
        {
          description:
            'Asked without the proxy; besides the host itself, the networks of pods and Services, the domain of Services and the endpoint.',
          maxItems: 128,
          'x-kubernetes-list-type': 'set',
        },
      ),
    ),
    credentialsRef: secretRef('Who asks the proxy.'),
  },
  { description: 'Of everything that is fetched: packages, artifacts and images.', minProperties: 1 },
);

/** Schema of {@link HostPreparation}. */
export const HostPreparationSchema = Type.Object(
  {
    source: Type.Optional(SourceSchema),
    containerRuntime: Type.Optional(ContainerRuntimeSchema),
    registries: Type.Optional(
      Type.Array(RegistrySchema, {
        description: 'Mirrors of container image registries.',
        maxItems: 64,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
    proxy: Type.Optional(ProxySchema),
    timeServers: Type.Optional(
      Type.Array(
        Type.String({
          description: 'Name or address of a time server.',
          minLength: 1,
          maxLength: 253,
          pattern: '^[A-Za-z0-9.:-]+$',
        }),
        {
          description: 'Time servers. Absent: those of the operating system.',
          minItems: 1,
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
        },
      ),
    ),
    journalMaxUse: Type.Optional(
      Type.String({
        description: 'Most space of the journal, such as "1G" (also when absent).',
        pattern: '^[1-9][0-9]*[KMGT]$',
        maxLength: 16,
      }),
    ),
    sysctls: Type.Optional(
      Type.Record(
        Type.String(),
        Type.String({ description: 'Value of the setting.', maxLength: 256, pattern: '^[A-Za-z0-9 ._:-]+$' }),
        { description: 'Kernel settings besides those that Kubernetes needs, by name.', maxProperties: 64 },
      ),
    ),
    ignorePreflight: Type.Optional(
      Type.Array(
        Type.Enum(
          ['Clock', 'HostName', 'Ports', 'Disk', 'Cgroups', 'Kernel', 'Memory', 'Firewall', 'Leftovers'],
          { description: 'Name of a check.' },
        ),
        {
          description: 'Checks that may fail.',
          maxItems: 9,
          'x-kubernetes-list-type': 'set',
        },
      ),
    ),
    repair: Type.Optional(
      Type.Enum(['Harmless', 'Never'], {
        description:
          'What of a drift is repaired by itself. Harmless (also when absent): what disturbs no pod. Never: only what was approved.',
      }),
    ),
  },
  {
    description:
      'Makes a plain machine ready for kubeadm of the version of the Machine. Absent: the host is ready already. {} takes package repositories and containerd.',
  },
);

/** How a plain machine is made ready for kubeadm. */
export type HostPreparation = Static<typeof HostPreparationSchema>;

/** Who runs containers. */
export type ContainerRuntime = NonNullable<HostPreparation['containerRuntime']>;

/** Where the images of a registry are pulled from. */
export type RegistryMirrors = NonNullable<HostPreparation['registries']>[number];

/** One endpoint of {@link RegistryMirrors}. */
export type RegistryMirror = RegistryMirrors['mirrors'][number];
