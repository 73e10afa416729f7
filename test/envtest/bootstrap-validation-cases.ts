// SPDX-License-Identifier: Apache-2.0
// What an API server accepts and refuses of a KubeadmConfigSpec, as data: a real one judges it, and so does the stock provider.

/** One spec, and what the API server shall say to it in a KubeadmConfig and in a KubeadmConfigTemplate. */
export interface BootstrapCase {
  readonly name: string;
  /** Unknown fields are refused (`fieldValidation=Strict`). */
  readonly spec: unknown;
  readonly want: RegExp | 'accepted';
}

const file = (fields: object) => ({ files: [{ path: '/a', ...fields }] });
const user = (fields: object) => ({ users: [{ name: 'a', ...fields }] });
const secret = (name: string, key: string) => ({ secret: { name, key } });
const partition = (fields: object) => ({ diskSetup: { partitions: [{ device: '/dev/sdb', ...fields }] } });
const layout = (...percentages: number[]) =>
  partition({ diskLayout: percentages.map((percentage) => ({ percentage })) });
const partitionType = (type: string) => partition({ diskLayout: [{ percentage: 100, partitionType: type }] });
const filesystem = (fields: object) => ({
  diskSetup: { filesystems: [{ device: '/dev/sdb', filesystem: 'ext4', ...fields }] },
});
const ignition = (fields: object) => ({ format: 'ignition', ...fields });
const containerLinuxConfig = { containerLinuxConfig: { additionalConfig: 'systemd: {}' } };
const apiServer = (fields: object) => ({ clusterConfiguration: { apiServer: fields } });
const init = (fields: object) => ({ initConfiguration: fields });
const join = (fields: object) => ({ joinConfiguration: fields });
const kubeConfig = (content: object) =>
  join({ discovery: { file: { kubeConfigPath: '/etc/discovery.conf', kubeConfig: content } } });
const token = (text: string) => init({ bootstrapTokens: [{ token: text }] });
const arg = (name: string, value: string) => ({ name, value });

/** The most that the lists with rules may hold: rules have a budget of their own, for each and for all of them. */
const manyArgs = Array.from({ length: 100 }, (_, index) => arg(`${'n'.repeat(253)}${100 + index}`, 'x'));
const manyFiles = Array.from({ length: 200 }, (_, index) => ({ path: `/${'p'.repeat(508)}${100 + index}` }));
const fullDisks = {
  partitions: Array.from({ length: 100 }, () => ({
    device: '/dev/sdb',
    diskLayout: Array.from({ length: 100 }, () => ({
      percentage: 1,
      partitionType: '0fc63daf-8483-4772-8e79-3d69d8477de4',
    })),
  })),
};
const manyUsers = Array.from({ length: 100 }, (_, index) => ({ name: `u${index}`, inactive: false }));

const SHAPE: readonly BootstrapCase[] = [
  { name: 'an empty spec', spec: {}, want: /spec.*should have at least 1 properties/ },
  {
    name: 'an unknown field',
    spec: { kubelet: {} },
    want: /unknown field "spec\.(template\.spec\.)?kubelet"/,
  },
  {
    name: 'an unknown field deep inside',
    spec: join({ nodeRegistration: { labels: {} } }),
    want: /unknown field ".*nodeRegistration\.labels"/,
  },
  {
    name: 'empty clusterConfiguration',
    spec: { clusterConfiguration: {} },
    want: /clusterConfiguration.*at least 1/,
  },
  { name: 'empty initConfiguration', spec: init({}), want: /initConfiguration.*at least 1/ },
  { name: 'empty joinConfiguration', spec: join({}), want: /joinConfiguration.*at least 1/ },
  { name: 'an empty control plane', spec: join({ controlPlane: {} }), want: 'accepted' },
  { name: 'empty discovery', spec: join({ discovery: {} }), want: /discovery.*at least 1/ },
  { name: 'empty timeouts', spec: init({ timeouts: {} }), want: /timeouts.*at least 1/ },
  {
    name: 'an empty list of commands',
    spec: { preKubeadmCommands: [] },
    want: /preKubeadmCommands.*at least 1 items/,
  },
  {
    name: 'an empty command',
    spec: { postKubeadmCommands: [''] },
    want: /postKubeadmCommands\[0\].*at least 1 chars/,
  },
  {
    name: 'a command of 10 KiB',
    spec: { bootCommands: ['x'.repeat(10_240)] },
    want: 'accepted',
  },
  {
    name: 'a command that is too long',
    spec: { bootCommands: ['x'.repeat(10_241)] },
    want: /bootCommands\[0\]: Too long/,
  },
  { name: 'an unknown format', spec: { format: 'butane' }, want: /format: Unsupported value: "butane"/ },
  { name: 'verbosity as text', spec: { verbosity: '5' }, want: /verbosity.*must be of type integer/ },
  { name: 'negative verbosity', spec: { verbosity: -1 }, want: 'accepted' },
  { name: 'an empty mount', spec: { mounts: [[]] }, want: /mounts\[0\].*at least 1 items/ },
  { name: 'a mount', spec: { mounts: [['/dev/sdb', '/data']] }, want: 'accepted' },
];

const LIMITS: readonly BootstrapCase[] = [
  {
    name: 'every list at its limit at once',
    spec: {
      format: 'ignition',
      clusterConfiguration: {
        apiServer: { extraArgs: manyArgs },
        controllerManager: { extraArgs: manyArgs },
        scheduler: { extraArgs: manyArgs },
        etcd: { local: { extraArgs: manyArgs } },
      },
      initConfiguration: { nodeRegistration: { kubeletExtraArgs: manyArgs } },
      joinConfiguration: { nodeRegistration: { kubeletExtraArgs: manyArgs } },
      files: manyFiles,
      users: manyUsers,
      diskSetup: fullDisks,
    },
    want: 'accepted',
  },
];

const CLUSTER: readonly BootstrapCase[] = [
  {
    name: 'a value of an argument that is empty (KB-44)',
    spec: apiServer({ extraArgs: [arg('feature-gates', '')] }),
    want: 'accepted',
  },
  {
    name: 'an argument without a value (KB-44)',
    spec: apiServer({ extraArgs: [{ name: 'v' }] }),
    want: /extraArgs\[0\]\.value: Required value/,
  },
  {
    name: 'a name of an argument twice (KB-44)',
    spec: apiServer({ extraArgs: [arg('v', '1'), arg('v', '2')] }),
    want: /extraArgs.*each name in extraArgs must be unique: keep one entry/,
  },
  {
    name: 'an argument of the kubelet twice (KB-44)',
    spec: join({ nodeRegistration: { kubeletExtraArgs: [arg('v', '1'), arg('v', '2')] } }),
    want: /kubeletExtraArgs.*each name in kubeletExtraArgs must be unique: keep one entry/,
  },
  {
    name: 'as many arguments as there may be, each with the longest name',
    spec: apiServer({ extraArgs: manyArgs }),
    want: 'accepted',
  },
  {
    name: 'too many arguments',
    spec: apiServer({ extraArgs: Array.from({ length: 101 }, (_, index) => arg(`n${index}`, 'x')) }),
    want: /extraArgs: Too many/,
  },
  {
    name: 'a variable twice, as in containers',
    spec: apiServer({
      extraEnvs: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    }),
    want: 'accepted',
  },
  {
    name: 'a divisor that is no quantity',
    spec: apiServer({
      extraEnvs: [
        { name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: 'much' } } },
      ],
    }),
    want: /divisor.*should match/,
  },
  {
    name: 'a volume without hostPath',
    spec: apiServer({ extraVolumes: [{ name: 'a', mountPath: '/a' }] }),
    want: /hostPath: Required value/,
  },
  {
    name: 'an unknown kind of key',
    spec: { clusterConfiguration: { encryptionAlgorithm: 'Ed25519' } },
    want: /encryptionAlgorithm: Unsupported value: "Ed25519"/,
  },
  {
    name: 'certificates for more than three years',
    spec: { clusterConfiguration: { certificateValidityPeriodDays: 1096 } },
    want: /certificateValidityPeriodDays.*less than or equal to 1095/,
  },
  {
    name: 'CAs for more than a hundred years',
    spec: { clusterConfiguration: { caCertificateValidityPeriodDays: 36_501 } },
    want: /caCertificateValidityPeriodDays.*less than or equal to 36500/,
  },
  {
    name: 'external etcd without a key',
    spec: {
      clusterConfiguration: { etcd: { external: { endpoints: ['a'], caFile: 'b', certFile: 'c' } } },
    },
    want: /keyFile: Required value/,
  },
  {
    name: 'external etcd without endpoints',
    spec: {
      clusterConfiguration: {
        etcd: { external: { endpoints: [], caFile: 'b', certFile: 'c', keyFile: 'd' } },
      },
    },
    want: /endpoints.*at least 1 items/,
  },
];

const INIT_AND_JOIN: readonly BootstrapCase[] = [
  { name: 'a bootstrap token', spec: token('abcdef.0123456789abcdef'), want: 'accepted' },
  {
    name: 'a bootstrap token in upper case',
    spec: token('ABCDEF.0123456789abcdef'),
    want: /token.*must be 6 lower-case letters or digits, a dot, and 16 more/,
  },
  {
    name: 'a bootstrap token that is too short',
    spec: token('abcdef.0123'),
    want: /token.*must be 6 lower-case letters or digits, a dot, and 16 more/,
  },
  {
    name: 'a bootstrap token with a negative lifetime',
    spec: init({ bootstrapTokens: [{ token: 'abcdef.0123456789abcdef', ttlSeconds: -1 }] }),
    want: /ttlSeconds.*greater than or equal to 0/,
  },
  {
    name: 'a bootstrap token that ends at no time',
    spec: init({ bootstrapTokens: [{ token: 'abcdef.0123456789abcdef', expires: 'tomorrow' }] }),
    want: /expires.*must be of type date-time/,
  },
  {
    name: 'an unknown pull policy',
    spec: init({ nodeRegistration: { imagePullPolicy: 'Sometimes' } }),
    want: /imagePullPolicy: Unsupported value/,
  },
  {
    name: 'an empty list of taints (KB-41)',
    spec: init({ nodeRegistration: { taints: [] } }),
    want: 'accepted',
  },
  {
    name: 'a taint without an effect',
    spec: init({ nodeRegistration: { taints: [{ key: 'a' }] } }),
    want: /taints\[0\]\.effect: Required value/,
  },
  {
    name: 'port 0',
    spec: init({ localAPIEndpoint: { bindPort: 0 } }),
    want: /bindPort.*greater than or equal to 1/,
  },
  {
    name: 'a negative timeout',
    spec: join({ timeouts: { discoverySeconds: -1 } }),
    want: /discoverySeconds.*greater than or equal to 0/,
  },
  {
    name: 'a duration in place of seconds',
    spec: join({ timeouts: { discoverySeconds: '5m' } }),
    want: /discoverySeconds.*must be of type integer/,
  },
  {
    name: 'discovery by token with nothing filled in',
    spec: join({ discovery: { bootstrapToken: {} } }),
    want: /bootstrapToken.*at least 1/,
  },
  {
    name: 'discovery by a file without its path',
    spec: join({ discovery: { file: {} } }),
    want: /kubeConfigPath: Required value/,
  },
  {
    name: 'discovery by a file that is there already',
    spec: join({ discovery: { file: { kubeConfigPath: '/etc/kubernetes/discovery.conf' } } }),
    want: 'accepted',
  },
  {
    name: 'a kubeconfig without a user',
    spec: kubeConfig({ cluster: { server: 'https://a' } }),
    want: /user: Required value/,
  },
  { name: 'a kubeconfig with an empty user', spec: kubeConfig({ user: {} }), want: /user.*at least 1/ },
  {
    name: 'a kubeconfig with a plugin and a command',
    spec: kubeConfig({ user: { authProvider: { name: 'a' }, exec: { command: 'b' } } }),
    want: /user.*set authProvider or exec, not both: remove one of them/,
  },
  {
    name: 'a CA that is not base64',
    spec: kubeConfig({ cluster: { certificateAuthorityData: '***' }, user: { exec: { command: 'b' } } }),
    want: /certificateAuthorityData.*must be of type byte/,
  },
];

const CONTENTS: readonly BootstrapCase[] = [
  { name: 'a file with content', spec: file({ content: 'a' }), want: 'accepted' },
  { name: 'a file from a Secret', spec: file({ contentFrom: secret('a', 'b') }), want: 'accepted' },
  { name: 'a file without content', spec: file({}), want: 'accepted' },
  {
    name: 'a file with content and contentFrom (KB-51)',
    spec: file({ content: 'a', contentFrom: secret('a', 'b') }),
    want: /files\[0\].*set content or contentFrom of a file, not both: remove one of them/,
  },
  {
    name: 'contentFrom without a Secret (KB-51)',
    spec: file({ contentFrom: {} }),
    want: /contentFrom\.secret: Required value/,
  },
  {
    name: 'contentFrom without the name of the Secret (KB-51)',
    spec: file({ contentFrom: { secret: { key: 'a' } } }),
    want: /contentFrom\.secret\.name: Required value/,
  },
  {
    name: 'contentFrom with an empty name (KB-51)',
    spec: file({ contentFrom: secret('', 'a') }),
    want: /contentFrom\.secret\.name.*at least 1 chars/,
  },
  {
    name: 'contentFrom without a key (KB-51)',
    spec: file({ contentFrom: { secret: { name: 'a' } } }),
    want: /contentFrom\.secret\.key: Required value/,
  },
  {
    name: 'two files of the same path (KB-51)',
    spec: { files: [{ path: '/a' }, { path: '/b' }, { path: '/a', append: true }] },
    want: /files.*each path in files must be unique: join entries of the same path into one/,
  },
  {
    name: 'as many files as there may be, each with the longest path',
    spec: { files: manyFiles },
    want: 'accepted',
  },
  { name: 'a file without a path', spec: { files: [{ content: 'a' }] }, want: /path: Required value/ },
  { name: 'permissions as a number', spec: file({ permissions: 640 }), want: /permissions.*type string/ },
  {
    name: 'an unknown encoding',
    spec: file({ encoding: 'b64' }),
    want: /encoding: Unsupported value: "b64"/,
  },
  {
    name: 'an unknown content format',
    spec: file({ contentFormat: 'template' }),
    want: /contentFormat: Unsupported value: "template"/,
  },
  {
    name: 'content that is too long',
    spec: file({ content: 'x'.repeat(10_241) }),
    want: /content: Too long/,
  },
  {
    name: 'a user with passwd and passwdFrom (KB-51)',
    spec: user({ passwd: 'a', passwdFrom: secret('a', 'b') }),
    want: /users\[0\].*set passwd or passwdFrom of a user, not both: remove one of them/,
  },
  { name: 'a password from a Secret', spec: user({ passwdFrom: secret('a', 'b') }), want: 'accepted' },
  {
    name: 'passwdFrom without the name of the Secret (KB-51)',
    spec: user({ passwdFrom: { secret: { key: 'a' } } }),
    want: /passwdFrom\.secret\.name: Required value/,
  },
  {
    name: 'passwdFrom without a key (KB-51)',
    spec: user({ passwdFrom: { secret: { name: 'a' } } }),
    want: /passwdFrom\.secret\.key: Required value/,
  },
  { name: 'groups as a list', spec: user({ groups: ['a'] }), want: /groups.*must be of type string/ },
  {
    name: 'a key that is too long',
    spec: user({ sshAuthorizedKeys: ['x'.repeat(2049)] }),
    want: /sshAuthorizedKeys\[0\]: Too long/,
  },
  { name: 'two users of the same name', spec: { users: [{ name: 'a' }, { name: 'a' }] }, want: 'accepted' },
  { name: 'time without settings', spec: { ntp: {} }, want: /ntp.*at least 1/ },
];

const DISKS: readonly BootstrapCase[] = [
  { name: 'partitions of 100 percent', spec: layout(33, 33, 34), want: 'accepted' },
  { name: 'partitions of less than 100 percent', spec: layout(1), want: 'accepted' },
  {
    name: 'partitions of 101 percent (KB-51)',
    spec: layout(50, 51),
    want: /diskLayout.*the percentages in diskLayout come to more than 100: make partitions smaller/,
  },
  { name: 'a partition of 0 percent', spec: layout(0), want: /percentage.*greater than or equal to 1/ },
  { name: 'as many full layouts as there may be', spec: { diskSetup: fullDisks }, want: 'accepted' },
  {
    name: 'layout and diskLayout',
    spec: partition({ layout: true, diskLayout: [{ percentage: 1 }] }),
    want: /partitions\[0\].*set exactly one of layout and diskLayout of a partition/,
  },
  {
    name: 'neither layout nor diskLayout',
    spec: partition({}),
    want: /partitions\[0\].*set exactly one of layout and diskLayout of a partition/,
  },
  ...['Linux', 'LinuxSwap', 'LinuxRAID', 'LVM', 'Fat32', 'NTFS', 'LinuxExtended'].map(
    (type): BootstrapCase => ({
      name: `partition type ${type}`,
      spec: partitionType(type),
      want: 'accepted',
    }),
  ),
  {
    name: 'a GUID as partition type',
    spec: partitionType('0fc63daf-8483-4772-8E79-3d69d8477de4'),
    want: 'accepted',
  },
  ...['linux', '83', 'LinuxSwap2', '0fc63daf-8483-4772-8e79-3d69d8477de'].map((type): BootstrapCase => ({
    name: `partition type ${type}`,
    spec: partitionType(type),
    want: /partitionType must be one of Linux, .*, or a whole GPT partition GUID/,
  })),
  {
    name: 'an unknown kind of partition table',
    spec: partition({ layout: true, tableType: 'apm' }),
    want: /tableType: Unsupported value: "apm"/,
  },
  {
    name: 'a file system of no kind',
    spec: { diskSetup: { filesystems: [{ device: '/dev/sdb' }] } },
    want: /filesystem: Required value/,
  },
  { name: 'disks without anything', spec: { diskSetup: {} }, want: /diskSetup.*at least 1/ },
];

const IGNITION: readonly BootstrapCase[] = [
  { name: 'format ignition alone', spec: { format: 'ignition' }, want: 'accepted' },
  {
    name: 'format ignition with settings',
    spec: ignition({ ignition: containerLinuxConfig }),
    want: 'accepted',
  },
  {
    name: 'settings of Ignition without a format (KB-51)',
    spec: { ignition: containerLinuxConfig },
    want: /format.*ignition needs format "ignition": set format, or remove ignition/,
  },
  {
    name: 'settings of Ignition with cloud-config (KB-51)',
    spec: { format: 'cloud-config', ignition: containerLinuxConfig },
    want: /format.*ignition needs format "ignition": set format, or remove ignition/,
  },
  {
    name: 'an inactive user with Ignition (KB-51)',
    spec: ignition(user({ inactive: true })),
    want: /users.*not possible with format "ignition": remove inactive/,
  },
  {
    name: 'an active user with Ignition',
    spec: ignition(user({ inactive: false })),
    want: 'accepted',
  },
  { name: 'an inactive user with cloud-config', spec: user({ inactive: true }), want: 'accepted' },
  ...['gzip', 'gzip+base64'].map((encoding): BootstrapCase => ({
    name: `a file in ${encoding} with Ignition (KB-51)`,
    spec: ignition(file({ content: 'a', encoding })),
    want: /files.*not possible with format "ignition": give the content of the file in plain text or with encoding "base64"/,
  })),
  {
    name: 'a file in base64 with Ignition',
    spec: ignition(file({ content: 'YQ==', encoding: 'base64' })),
    want: 'accepted',
  },
  {
    name: 'boot commands with Ignition (KB-51)',
    spec: ignition({ bootCommands: ['echo'] }),
    want: /bootCommands.*not possible with format "ignition": use preKubeadmCommands/,
  },
  {
    name: 'an MBR with Ignition (KB-51)',
    spec: ignition(partition({ layout: true, tableType: 'mbr' })),
    want: /diskSetup\.partitions.*not possible with format "ignition": set tableType to "gpt"/,
  },
  {
    name: 'a GPT with Ignition',
    spec: ignition(partition({ layout: true, tableType: 'gpt' })),
    want: 'accepted',
  },
  {
    name: 'a partition table of no kind with Ignition',
    spec: ignition(partition({ layout: true })),
    want: 'accepted',
  },
  {
    name: 'a file system to replace with Ignition (KB-51)',
    spec: ignition(filesystem({ replaceFS: 'ntfs' })),
    want: /diskSetup\.filesystems.*not possible with format "ignition": remove replaceFS/,
  },
  {
    name: 'a partition of a file system with Ignition (KB-51)',
    spec: ignition(filesystem({ partition: 'any' })),
    want: /diskSetup\.filesystems.*not possible with format "ignition": remove partition of the file system/,
  },
  { name: 'a file system with Ignition', spec: ignition(filesystem({ label: 'a' })), want: 'accepted' },
];

/** Every case; names are unique. */
export const BOOTSTRAP_CASES: readonly BootstrapCase[] = [
  ...SHAPE,
  ...LIMITS,
  ...CLUSTER,
  ...INIT_AND_JOIN,
  ...CONTENTS,
  ...DISKS,
  ...IGNITION,
];
