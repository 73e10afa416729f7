// SPDX-License-Identifier: Apache-2.0
// How a joining machine finds the control plane and knows that it is the right one (KB-18).
import Type, { type Static } from 'typebox';
import type { ValidationRule } from '../meta.ts';
import { atomicList, filled, flag, MAX_TEXT, text } from './fields.ts';

const BootstrapTokenDiscoverySchema = filled(
  {
    token: Type.Optional(text('The bootstrap token. Filled in with a token of its own for each config.')),
    apiServerEndpoint: Type.Optional(
      text('Host and port of the control plane. Filled in from the Cluster when absent.'),
    ),
    caCertHashes: Type.Optional(
      atomicList(
        text('A hash as sha256:<hex> of a public key.'),
        'Public keys of which the CA of the cluster must have one. Filled in from the CA of the cluster when absent.',
        { minItems: 1, maxItems: 100 },
      ),
    ),
    unsafeSkipCAVerification: Type.Optional(
      flag(
        'Whether to trust the control plane without caCertHashes. Whoever has the token may then pose as it.',
      ),
    ),
  },
  'Find the control plane by a token in the cluster. Used unless file is set.',
);

/** Discovery by token; absent fields are filled in. */
export type BootstrapTokenDiscovery = Static<typeof BootstrapTokenDiscoverySchema>;

const KubeConfigClusterSchema = filled(
  {
    server: Type.Optional(text('URL of the API server; of the endpoint of the Cluster when absent.')),
    tlsServerName: Type.Optional(
      text('Name to expect in the certificate of the API server; the host of server when absent.'),
    ),
    insecureSkipTLSVerify: Type.Optional(
      flag('Whether to trust any certificate. Whoever is on the way may then pose as the API server.'),
    ),
    certificateAuthorityData: Type.Optional(
      Type.String({
        description: 'CA certificates as PEM in base64; the CA of the cluster when absent.',
        format: 'byte',
        minLength: 1,
        maxLength: 51_200,
      }),
    ),
    proxyURL: Type.Optional(text('URL of a proxy: http, https or socks5.')),
  },
  'How the API server is reached.',
);

const KubeConfigAuthProviderSchema = Type.Object(
  {
    name: text('Name of the plugin.', 256),
    config: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Settings of the plugin.' }),
    ),
  },
  { description: 'A plugin that is built into the client.' },
);

const KubeConfigAuthExecSchema = Type.Object(
  {
    command: text('The command.', 1024),
    args: Type.Optional(
      atomicList(text('One argument.'), 'Arguments of the command.', { minItems: 1, maxItems: 100 }),
    ),
    env: Type.Optional(
      atomicList(
        Type.Object(
          { name: text('Name of the variable.'), value: text('Its value.') },
          { description: 'One variable.' },
        ),
        'Variables to add to the environment of the command.',
        { minItems: 1, maxItems: 100 },
      ),
    ),
    apiVersion: Type.Optional(
      text('Version in which the command answers; client.authentication.k8s.io/v1 when absent.'),
    ),
    provideClusterInfo: Type.Optional(
      flag('Whether the command is told of the cluster in KUBERNETES_EXEC_INFO; false when absent.'),
    ),
  },
  { description: 'A command that prints credentials.' },
);

const oneOfTheTwo: ValidationRule = {
  rule: '!(has(self.authProvider) && has(self.exec))',
  message: 'set authProvider or exec, not both: remove one of them',
};

const FileDiscoveryKubeConfigSchema = Type.Object(
  {
    cluster: Type.Optional(KubeConfigClusterSchema),
    user: filled(
      {
        authProvider: Type.Optional(KubeConfigAuthProviderSchema),
        exec: Type.Optional(KubeConfigAuthExecSchema),
      },
      'Who the machine is to the API server: authProvider or exec.',
      oneOfTheTwo,
    ),
  },
  { description: 'What to write to kubeConfigPath. Absent: the file is there, or kubeConfigPath is a URL.' },
);

/** From which a kubeconfig is written to the machine. */
export type FileDiscoveryKubeConfig = Static<typeof FileDiscoveryKubeConfigSchema>;

const FileDiscoverySchema = Type.Object(
  {
    kubeConfigPath: text('Path on the machine, or URL, of a kubeconfig of the cluster.', MAX_TEXT),
    kubeConfig: Type.Optional(FileDiscoveryKubeConfigSchema),
  },
  { description: 'Find the control plane by a kubeconfig.' },
);

/** Discovery by kubeconfig. */
export type FileDiscovery = Static<typeof FileDiscoverySchema>;

/** Schema of {@link Discovery}. */
export const DiscoverySchema = filled(
  {
    bootstrapToken: Type.Optional(BootstrapTokenDiscoverySchema),
    file: Type.Optional(FileDiscoverySchema),
    tlsBootstrapToken: Type.Optional(
      text('Token for the first certificate of the kubelet; that of bootstrapToken when absent.'),
    ),
  },
  'How the machine finds the control plane. Filled in with a bootstrap token unless file is set.',
);

/** How a joining machine finds the control plane. */
export type Discovery = Static<typeof DiscoverySchema>;
