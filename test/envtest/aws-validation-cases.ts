// SPDX-License-Identifier: Apache-2.0
// What the API server accepts and refuses of machines, clusters, pools and identities on AWS.
import type { ValidationCase } from './validation-cases.ts';

const least = { instanceType: 'm6i.large', image: { id: 'ami-0abc' } };
const network = { vpc: { id: 'vpc-0abc' }, subnets: [{ id: 'subnet-0abc' }] };
const at = { region: 'eu-central-1', identityRef: { name: 'prod' }, network };
const machine = (aws: object) => ({ kind: 'TSMachine', spec: { aws } });
const cluster = (aws: object, spec: object = {}) => ({ kind: 'TSCluster', spec: { aws, ...spec } });
const identity = (aws: object, spec: object = {}) => ({ kind: 'TSClusterIdentity', spec: { aws, ...spec } });
const role = { arn: 'arn:aws:iam::123456789012:role/capi' };

const MACHINES: readonly ValidationCase[] = [
  { name: 'instance with the least', manifest: machine(least), want: 'accepted' },
  {
    name: 'instance with everything',
    manifest: machine({
      ...least,
      image: {
        lookup: {
          owner: 'self',
          name: 'ubuntu-{kubernetesVersion}-*',
          architecture: 'arm64',
          mostRecent: true,
        },
      },
      subnet: { filters: [{ name: 'tag:tier', values: ['private'] }] },
      securityGroups: [{ id: 'sg-0abc' }, { filters: [{ name: 'group-name', values: ['db'] }] }],
      fallbacks: [
        { instanceType: 'm5.large' },
        { subnet: { id: 'subnet-0def' }, market: 'Spot', maxPrice: '0.05' },
      ],
      rootVolume: {
        sizeGiB: 40,
        type: 'gp3',
        iops: 4000,
        throughputMiBps: 250,
        encrypted: true,
        kmsKeyID: 'alias/k',
      },
      volumes: [{ deviceName: '/dev/sdf', sizeGiB: 100, type: 'io2', iops: 1000 }],
      iamInstanceProfile: 'nodes',
      keyName: 'ops',
      publicIP: false,
      privateDNS: { hostnameType: 'resource-name', enableResourceNameDNSARecord: true },
      metadataOptions: {
        httpEndpoint: 'enabled',
        httpTokens: 'required',
        httpPutResponseHopLimit: 2,
        instanceMetadataTags: 'disabled',
      },
      tenancy: 'dedicated',
      placementGroup: { name: 'pg', partition: 2 },
      capacityReservation: { preference: 'open' },
      cpuOptions: { coreCount: 2, threadsPerCore: 1 },
      spot: { maxPrice: '0.1' },
      onInterruption: 'Replace',
      onRebalance: 'Replace',
      userData: { storage: 'SecretsManager' },
      tags: { team: 'a' },
    }),
    want: 'accepted',
  },
  {
    name: 'instance without an image',
    manifest: machine({ instanceType: 'm6i.large' }),
    want: /spec\.aws\.image: Required/,
  },
  {
    name: 'image twice',
    manifest: machine({ ...least, image: { id: 'ami-0abc', ssmParameter: '/a' } }),
    want: /spec\.aws\.image.*set exactly one of id, lookup and ssmParameter/,
  },
  {
    name: 'subnet by id and by filters',
    manifest: machine({
      ...least,
      subnet: { id: 'subnet-0abc', filters: [{ name: 'vpc-id', values: ['vpc-1'] }] },
    }),
    want: /spec\.aws\.subnet.*set either id or filters/,
  },
  {
    name: 'instance type that is none',
    manifest: machine({ ...least, instanceType: 'large' }),
    want: /spec\.aws\.instanceType/,
  },
  {
    name: 'throughput of a volume that has none',
    manifest: machine({ ...least, rootVolume: { type: 'io2', iops: 100, throughputMiBps: 200 } }),
    want: /throughputMiBps is for type gp3 only/,
  },
  {
    name: 'provisioned volume without iops',
    manifest: machine({ ...least, rootVolume: { type: 'io1' } }),
    want: /the types io1 and io2 need iops/,
  },
  {
    name: 'key of a volume that is not encrypted',
    manifest: machine({ ...least, rootVolume: { encrypted: false, kmsKeyID: 'k' } }),
    want: /kmsKeyID encrypts the volume/,
  },
  {
    name: 'tag that belongs to AWS',
    manifest: machine({ ...least, tags: { 'aws:x': 'y' } }),
    want: /tag keys have at most 128 characters and do not begin with "aws:"/,
  },
  {
    name: 'tag that is ours: what is deleted is found by it',
    manifest: machine({ ...least, tags: { 'ts-provider/user-data': 'secretsmanager:1:prod/db' } }),
    want: /tag keys .* do not begin with .*"ts-provider\/"/,
  },
  {
    name: 'tag by which controllers in a cluster know what is theirs',
    manifest: machine({ ...least, tags: { 'kubernetes.io/cluster/other': 'owned' } }),
    want: /tag keys .* do not begin with .*"kubernetes\.io\/cluster\/"/,
  },
  {
    name: 'another type for a living instance',
    manifest: machine(least),
    then: { spec: { aws: { instanceType: 'm6i.xlarge' } } },
    want: /aws\.instanceType is fixed on a machine/,
  },
  {
    name: 'other tags for a living instance',
    manifest: machine(least),
    then: { spec: { aws: { tags: { team: 'b' } } } },
    want: 'accepted',
  },
  {
    name: 'what follows a notice, changed on a living instance',
    manifest: machine(least),
    then: { spec: { aws: { onInterruption: 'Replace', onRebalance: 'Replace' } } },
    want: 'accepted',
  },
  {
    name: 'what follows a rebalance recommendation, in other words',
    manifest: machine({ ...least, onRebalance: 'Delete' }),
    want: /spec\.aws\.onRebalance/,
  },
];

const CLUSTERS: readonly ValidationCase[] = [
  { name: 'cluster in a network that exists', manifest: cluster(at), want: 'accepted' },
  {
    name: 'another queue for a cluster that has made something',
    manifest: cluster({ ...at, interruptionQueue: 'one' }, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { interruptionQueue: 'An_other-1' } } },
    want: 'accepted',
  },
  {
    name: 'queue by its URL',
    manifest: cluster({ ...at, interruptionQueue: 'https://sqs.eu-central-1.amazonaws.com/1/q' }),
    want: /spec\.aws\.interruptionQueue/,
  },
  {
    name: 'queue with a name that is too long',
    manifest: cluster({ ...at, interruptionQueue: 'q'.repeat(81) }),
    want: /spec\.aws\.interruptionQueue/,
  },
  {
    name: 'cluster in a network that is made',
    manifest: cluster(
      { ...at, network: { managed: { cidrBlock: '10.1.0.0/16', natGateways: 'Single' } } },
      { controlPlaneLoadBalancer: { type: 'NLB', nlb: { scheme: 'Internal' } } },
    ),
    want: 'accepted',
  },
  {
    name: 'cluster without an identity',
    manifest: cluster({ region: 'eu-central-1', network }),
    want: /identityRef: Required/,
  },
  {
    name: 'tag of a cluster that is ours',
    manifest: cluster({ ...at, tags: { 'ts-provider/cluster': 'other' } }),
    want: /tag keys .* do not begin with .*"ts-provider\/"/,
  },
  {
    name: 'region that is none',
    manifest: cluster({ ...at, region: 'frankfurt' }),
    want: /spec\.aws\.region/,
  },
  {
    name: 'network that exists and is made',
    manifest: cluster({ ...at, network: { ...network, managed: {} } }),
    want: /set either managed .* or vpc with subnets/,
  },
  {
    name: 'VPC without subnets',
    manifest: cluster({ ...at, network: { vpc: { id: 'vpc-0abc' } } }),
    want: /vpc and subnets go together/,
  },
  {
    name: 'CIDR block that is none',
    manifest: cluster({ ...at, network: { managed: { cidrBlock: '10.0.0.0' } } }),
    want: /write a CIDR block/,
  },
  {
    name: 'ports of a protocol that has none',
    manifest: cluster({
      ...at,
      network: { ...network, ingressRules: [{ description: 'x', protocol: 'esp', fromPort: 1, toPort: 2 }] },
    }),
    want: /tcp and udp need fromPort and toPort, other protocols have none/,
  },
  {
    name: 'NLB without AWS',
    manifest: { kind: 'TSCluster', spec: { controlPlaneLoadBalancer: { type: 'NLB' } } },
    want: /type NLB needs aws/,
  },
  {
    name: 'settings of an NLB for another type',
    manifest: cluster(at, { controlPlaneLoadBalancer: { nlb: { scheme: 'Internal' } } }),
    want: /nlb is for the type NLB only/,
  },
  {
    name: 'another region for a cluster that has made something',
    manifest: cluster(at, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { region: 'eu-west-1' } } },
    want: /aws\.region is fixed/,
  },
  {
    name: 'another account for a cluster that has made something',
    manifest: cluster({ ...at, accountID: '111111111111' }, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { accountID: '222222222222' } } },
    want: /aws\.accountID is fixed/,
  },
  {
    name: 'the account of a cluster that has made something, taken away',
    manifest: cluster({ ...at, accountID: '111111111111' }, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { accountID: null } } },
    want: /aws\.accountID is fixed/,
  },
  {
    name: 'the account of a cluster of an older version, recorded',
    manifest: cluster(at, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { accountID: '111111111111' } } },
    want: 'accepted',
  },
  {
    name: 'another account for a cluster that has made nothing',
    manifest: cluster({ ...at, accountID: '111111111111' }),
    then: { spec: { aws: { accountID: '222222222222' } } },
    want: 'accepted',
  },
  {
    name: 'an account that is none',
    manifest: cluster({ ...at, accountID: '1111' }),
    want: /aws\.accountID/,
  },
  {
    name: 'another load balancer for an endpoint that leads to the old one',
    manifest: cluster(at, {
      controlPlaneEndpoint: { host: 'nlb.example.org', port: 6443 },
      controlPlaneLoadBalancer: { type: 'NLB', nlb: { name: 'one' } },
    }),
    then: { spec: { controlPlaneLoadBalancer: { nlb: { name: 'two' } } } },
    want: /nlb\.name and nlb\.scheme are fixed once there is an endpoint/,
  },
  {
    name: 'other health checks of a load balancer',
    manifest: cluster(at, {
      controlPlaneEndpoint: { host: 'nlb.example.org', port: 6443 },
      controlPlaneLoadBalancer: { type: 'NLB', nlb: { scheme: 'Internal' } },
    }),
    then: { spec: { controlPlaneLoadBalancer: { nlb: { healthCheck: { protocol: 'TCP' } } } } },
    want: 'accepted',
  },
  {
    name: 'infrastructureID taken away',
    manifest: cluster(at, { infrastructureID: 'c-1' }),
    then: { spec: { infrastructureID: null } },
    want: /infrastructureID belongs to the controller/,
  },
  {
    name: 'another VPC for a cluster that has made something',
    manifest: cluster(at, { infrastructureID: 'c-1' }),
    then: { spec: { aws: { network: { vpc: { id: 'vpc-0def' } } } } },
    want: /the VPC of a cluster is fixed/,
  },
];

const IDENTITIES: readonly ValidationCase[] = [
  { name: 'identity of the manager', manifest: identity({ source: 'Manager' }), want: 'accepted' },
  {
    name: 'identity with everything',
    manifest: identity(
      {
        source: 'Secret',
        secretRef: { namespace: 'ops', name: 'aws' },
        assumeRoles: [{ ...role, externalID: 'abc', sessionName: 's1', durationSeconds: 900 }],
      },
      { allowedNamespaces: { names: ['team-a'], selector: { matchLabels: { tenant: 'a' } } } },
    ),
    want: 'accepted',
  },
  {
    name: 'identity without its secret',
    manifest: identity({ source: 'Secret' }),
    want: /secretRef goes with source: Secret/,
  },
  {
    name: 'identity of another one without a role',
    manifest: identity({ source: 'Identity', identityRef: { name: 'a' } }),
    want: /source: Identity needs assumeRoles/,
  },
  {
    name: 'role that is none',
    manifest: identity({ source: 'Manager', assumeRoles: [{ arn: 'arn:aws:iam::1:user/x' }] }),
    want: /assumeRoles\[0\]\.arn/,
  },
  {
    name: 'allowed namespaces that say nothing',
    manifest: identity({ source: 'Manager' }, { allowedNamespaces: {} }),
    want: /allowedNamespaces/,
  },
];

const POOLS: readonly ValidationCase[] = [
  {
    name: 'pool with the least',
    manifest: { kind: 'TSMachinePool', spec: { aws: least } },
    want: 'accepted',
  },
  {
    name: 'pool whose machines are replaced for a recommendation',
    manifest: { kind: 'TSMachinePool', spec: { aws: { ...least, onRebalance: 'Replace' } } },
    want: 'accepted',
  },
  {
    name: 'pool of several types',
    manifest: {
      kind: 'TSMachinePool',
      spec: { aws: { ...least, mixedInstances: { instanceTypes: ['m5.large'], onDemandBaseCapacity: 1 } } },
    },
    want: 'accepted',
  },
  {
    name: 'pool without a backend',
    manifest: { kind: 'TSMachinePool', spec: {} },
    want: /set exactly one backend: aws/,
  },
  {
    name: 'another identity of a pool that has made something',
    manifest: { kind: 'TSMachinePool', spec: { aws: least, infrastructureID: 'p-1' } },
    then: { spec: { infrastructureID: 'p-2' } },
    want: /infrastructureID belongs to the controller/,
  },
  {
    name: 'another place of a pool that has made something',
    manifest: { kind: 'TSMachinePool', spec: { aws: least, choice: { region: 'eu-central-1' } } },
    then: { spec: { choice: { region: 'eu-west-1' } } },
    want: /choice belongs to the controller/,
  },
];

export const AWS_CASES: readonly ValidationCase[] = [...MACHINES, ...CLUSTERS, ...IDENTITIES, ...POOLS];
