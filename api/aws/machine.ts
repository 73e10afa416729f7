// SPDX-License-Identifier: Apache-2.0
// What a TSMachine asks of EC2. Names follow EC2's own where it has one.
import Type, { type Static } from 'typebox';
import { rules } from '../meta.ts';
import { SecurityGroupReferenceSchema, SubnetReferenceSchema, TagsSchema } from './filters.ts';

const ImageSchema = Type.Object(
  {
    id: Type.Optional(
      Type.String({ description: 'Id of the AMI.', pattern: '^ami-[0-9a-f]+$', maxLength: 64 }),
    ),
    lookup: Type.Optional(
      Type.Object(
        {
          owner: Type.String({
            description: 'Account id of the owner, or self, amazon, aws-marketplace.',
            minLength: 1,
            maxLength: 64,
          }),
          name: Type.String({
            description:
              'Name of the AMI; * and ? are wildcards, {kubernetesVersion} stands for the version of the Machine without its v.',
            minLength: 1,
            maxLength: 256,
          }),
          architecture: Type.Optional(
            Type.Enum(['x86_64', 'arm64'], {
              description: 'Architecture of the AMI. Absent: that of the instance type.',
            }),
          ),
          mostRecent: Type.Optional(
            Type.Boolean({
              description: 'Of several matches takes the newest one. Absent: several matches are an error.',
            }),
          ),
        },
        { description: 'Finds the AMI by owner, name and architecture, when the machine is made.' },
      ),
    ),
    ssmParameter: Type.Optional(
      Type.String({
        description:
          'Name of an SSM parameter whose value is the id of the AMI; {kubernetesVersion} stands for the version of the Machine without its v.',
        minLength: 1,
        maxLength: 1011,
      }),
    ),
  },
  {
    description: 'Which AMI the instance boots: by id, by a lookup, or as an SSM parameter says.',
    ...rules({
      rule: '[has(self.id), has(self.lookup), has(self.ssmParameter)].filter(set, set).size() == 1',
      message: 'set exactly one of id, lookup and ssmParameter',
    }),
  },
);

/** Which AMI an instance boots. */
export type AWSImage = Static<typeof ImageSchema>;

const volumeFields = {
  sizeGiB: Type.Optional(
    Type.Integer({ description: 'Size in GiB.', format: 'int32', minimum: 1, maximum: 65536 }),
  ),
  type: Type.Optional(
    Type.Enum(['gp2', 'gp3', 'io1', 'io2', 'st1', 'sc1', 'standard'], {
      description: 'Type of the EBS volume. Absent: gp3.',
    }),
  ),
  iops: Type.Optional(
    Type.Integer({
      description: 'Provisioned IOPS; for gp3, io1 and io2.',
      format: 'int32',
      minimum: 100,
      maximum: 256000,
    }),
  ),
  throughputMiBps: Type.Optional(
    Type.Integer({
      description: 'Throughput in MiB/s; for gp3.',
      format: 'int32',
      minimum: 125,
      maximum: 2000,
    }),
  ),
  encrypted: Type.Optional(Type.Boolean({ description: 'Encrypts the volume. Absent: true.' })),
  kmsKeyID: Type.Optional(
    Type.String({
      description: 'KMS key (id, ARN or alias) of the encryption. Absent: the default key of the account.',
      minLength: 1,
      maxLength: 512,
    }),
  ),
};

const volumeRules = [
  {
    rule: "!has(self.throughputMiBps) || !has(self.type) || self.type == 'gp3'",
    message: 'throughputMiBps is for type gp3 only',
  },
  {
    rule: "!has(self.iops) || !has(self.type) || self.type in ['gp3', 'io1', 'io2']",
    message: 'iops is for the types gp3, io1 and io2 only',
  },
  {
    rule: "!has(self.type) || !(self.type in ['io1', 'io2']) || has(self.iops)",
    message: 'the types io1 and io2 need iops',
  },
  {
    rule: '!has(self.kmsKeyID) || !has(self.encrypted) || self.encrypted',
    message: 'kmsKeyID encrypts the volume: leave encrypted out, or set it to true',
  },
];

const RootVolumeSchema = Type.Object(volumeFields, {
  description: 'The root volume. Absent settings are those of the AMI.',
  minProperties: 1,
  ...rules(...volumeRules),
});

const DataVolumeSchema = Type.Object(
  {
    deviceName: Type.String({
      description: 'Device name as EC2 calls it, such as /dev/sdf.',
      pattern: '^(/dev/)?(sd[b-z]|xvd[b-z]{1,2})[1-9]?[0-9]?$',
      maxLength: 32,
    }),
    ...volumeFields,
  },
  {
    description: 'One further volume. It goes with the instance.',
    ...rules(...volumeRules, { rule: 'has(self.sizeGiB)', message: 'a further volume needs sizeGiB' }),
  },
);

/** A volume; `deviceName` on those that are not the root. */
export type AWSVolume = Static<typeof RootVolumeSchema>;

/** A volume beside the root. */
export type AWSDataVolume = Static<typeof DataVolumeSchema>;

const SpotSchema = Type.Object(
  {
    maxPrice: Type.Optional(
      Type.String({
        description:
          'Most that is paid for an hour, in US dollars, such as "0.05". Absent: the on-demand price.',
        pattern: '^[0-9]+([.][0-9]+)?$',
        maxLength: 16,
      }),
    ),
  },
  { description: 'Runs the instance on spare capacity, which AWS may take back with two minutes of notice.' },
);

const OfferSchema = Type.Object(
  {
    instanceType: Type.Optional(
      Type.String({
        description: 'Another instance type.',
        pattern: '^[a-z0-9-]+[.][a-z0-9-]+$',
        maxLength: 64,
      }),
    ),
    subnet: Type.Optional(SubnetReferenceSchema),
    market: Type.Optional(
      Type.Enum(['OnDemand', 'Spot'], { description: 'OnDemand or Spot. Absent: as the machine says.' }),
    ),
    maxPrice: Type.Optional(
      Type.String({
        description: 'For Spot: most that is paid for an hour, in US dollars.',
        pattern: '^[0-9]+([.][0-9]+)?$',
        maxLength: 16,
      }),
    ),
  },
  { description: 'What is asked for instead. What it leaves out is as the machine says.', minProperties: 1 },
);

/** One fallback of a machine. */
export type AWSOffer = Static<typeof OfferSchema>;

const MetadataOptionsSchema = Type.Object(
  {
    httpEndpoint: Type.Optional(Type.Enum(['enabled', 'disabled'], { description: 'Absent: enabled.' })),
    httpTokens: Type.Optional(
      Type.Enum(['required', 'optional'], { description: 'required: IMDSv2 only. Absent: required.' }),
    ),
    httpPutResponseHopLimit: Type.Optional(
      Type.Integer({
        description: 'How many network hops a token may travel. Absent: 1, so that pods do not reach it.',
        format: 'int32',
        minimum: 1,
        maximum: 64,
      }),
    ),
    instanceMetadataTags: Type.Optional(
      Type.Enum(['enabled', 'disabled'], {
        description: 'Tags of the instance in its metadata. Absent: disabled.',
      }),
    ),
  },
  { description: 'Who may read the metadata of the instance, its user data among them.', minProperties: 1 },
);

/** Options of the metadata service. */
export type AWSMetadataOptions = Static<typeof MetadataOptionsSchema>;

/** Schema of {@link AWSMachineSpec}. */
export const AWSMachineSpecSchema = Type.Object(
  {
    instanceType: Type.String({
      description: 'Instance type, such as m6i.large.',
      pattern: '^[a-z0-9-]+[.][a-z0-9-]+$',
      maxLength: 64,
    }),
    image: ImageSchema,
    subnet: Type.Optional(SubnetReferenceSchema),
    securityGroups: Type.Optional(
      Type.Array(SecurityGroupReferenceSchema, {
        description: 'Security groups besides those of the role.',
        minItems: 1,
        maxItems: 10,
      }),
    ),
    fallbacks: Type.Optional(
      Type.Array(OfferSchema, {
        description:
          'What is asked for, in this order, where AWS has no capacity for the machine as it is described.',
        minItems: 1,
        maxItems: 20,
      }),
    ),
    rootVolume: Type.Optional(RootVolumeSchema),
    volumes: Type.Optional(
      Type.Array(DataVolumeSchema, {
        description: 'Further volumes.',
        minItems: 1,
        maxItems: 20,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['deviceName'],
      }),
    ),
    iamInstanceProfile: Type.Optional(
      Type.String({ description: 'Name of the instance profile.', minLength: 1, maxLength: 128 }),
    ),
    keyName: Type.Optional(
      Type.String({
        description: 'Name of the EC2 key pair for SSH. Absent: none.',
        minLength: 1,
        maxLength: 255,
      }),
    ),
    publicIP: Type.Optional(
      Type.Boolean({ description: 'Gives the instance a public address. Absent: as the subnet says.' }),
    ),
    privateDNS: Type.Optional(
      Type.Object(
        {
          hostnameType: Type.Optional(
            Type.Enum(['ip-name', 'resource-name'], { description: 'What the host name is made of.' }),
          ),
          enableResourceNameDNSARecord: Type.Optional(
            Type.Boolean({ description: 'Answers the resource name with the IPv4 address.' }),
          ),
          enableResourceNameDNSAAAARecord: Type.Optional(
            Type.Boolean({ description: 'Answers the resource name with the IPv6 address.' }),
          ),
        },
        { description: 'Private DNS name of the instance.', minProperties: 1 },
      ),
    ),
    metadataOptions: Type.Optional(MetadataOptionsSchema),
    tenancy: Type.Optional(
      Type.Enum(['default', 'dedicated', 'host'], { description: 'Whom the hardware is shared with.' }),
    ),
    placementGroup: Type.Optional(
      Type.Object(
        {
          name: Type.String({ description: 'Name of the placement group.', minLength: 1, maxLength: 255 }),
          partition: Type.Optional(
            Type.Integer({
              description: 'Number of the partition.',
              format: 'int32',
              minimum: 1,
              maximum: 7,
            }),
          ),
        },
        { description: 'A placement group that exists.' },
      ),
    ),
    capacityReservation: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(
            Type.String({ description: 'Id of the reservation.', pattern: '^cr-[0-9a-f]+$', maxLength: 64 }),
          ),
          preference: Type.Optional(
            Type.Enum(['open', 'none', 'capacity-reservations-only'], {
              description: 'Whether matching reservations are used.',
            }),
          ),
        },
        {
          description: 'Capacity reservation that the instance uses.',
          ...rules({ rule: 'has(self.id) != has(self.preference)', message: 'set either id or preference' }),
        },
      ),
    ),
    cpuOptions: Type.Optional(
      Type.Object(
        {
          coreCount: Type.Optional(
            Type.Integer({ description: 'Cores.', format: 'int32', minimum: 1, maximum: 512 }),
          ),
          threadsPerCore: Type.Optional(
            Type.Integer({ description: 'Threads of a core.', format: 'int32', minimum: 1, maximum: 2 }),
          ),
          amdSevSnp: Type.Optional(
            Type.Enum(['enabled', 'disabled'], { description: 'AMD SEV-SNP: encrypted memory.' }),
          ),
        },
        { description: 'Processor options.', minProperties: 1 },
      ),
    ),
    spot: Type.Optional(SpotSchema),
    onInterruption: Type.Optional(
      Type.Enum(['Report', 'Replace'], {
        description:
          'What follows a spot notice or scheduled maintenance. Report (also when absent): a condition. ' +
          'Replace: the Machine is deleted, so that Cluster API cordons, drains and replaces it. Control plane machines are only reported.',
      }),
    ),
    onRebalance: Type.Optional(
      Type.Enum(['Report', 'Replace'], {
        description:
          'What follows a rebalance recommendation, which only comes by aws.interruptionQueue of the TSCluster. ' +
          'Report and Replace as of onInterruption; absent: Report.',
      }),
    ),
    userData: Type.Optional(
      Type.Object(
        {
          storage: Type.Optional(
            Type.Enum(['Inline', 'SecretsManager', 'ParameterStore'], {
              description:
                'Where bootstrap data wait for the instance. Absent: inline where they fit into 16 KB (compressed if needed), else SecretsManager. ' +
                'The others need an instance profile that may read and delete them.',
            }),
          ),
        },
        { description: 'How bootstrap data reach the instance.', minProperties: 1 },
      ),
    ),
    tags: Type.Optional(TagsSchema),
  },
  {
    description: 'An instance of EC2.',
    ...rules({
      rule: '!has(self.cpuOptions) || !has(self.cpuOptions.coreCount) || has(self.cpuOptions.threadsPerCore)',
      message: 'cpuOptions.coreCount needs threadsPerCore',
    }),
  },
);

/** What a TSMachine asks of EC2. */
export type AWSMachineSpec = Static<typeof AWSMachineSpecSchema>;
