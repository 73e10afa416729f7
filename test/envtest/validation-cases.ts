// SPDX-License-Identifier: Apache-2.0
// What the API server accepts and refuses of our kinds, as data: a real one judges it.

/** One object, perhaps changed afterwards, and what the API server shall say to the last request. */
export interface ValidationCase {
  readonly name: string;
  /** Without `metadata.name`: the runner gives each case its own. Unknown fields are refused (`fieldValidation=Strict`). */
  readonly manifest: { readonly kind: string; readonly spec?: unknown };
  /** A merge patch (RFC 7386) of the accepted manifest; with `status` in it, of the status subresource. */
  readonly then?: object;
  readonly want: RegExp | 'accepted';
}

const machine = (spec?: unknown) => ({ kind: 'TSMachine', ...(spec === undefined ? {} : { spec }) });
const cluster = (spec?: unknown) => ({ kind: 'TSCluster', ...(spec === undefined ? {} : { spec }) });
const machineTemplate = (spec: unknown) => ({ kind: 'TSMachineTemplate', spec: { template: { spec } } });
const endpoint = (host: string, port: number) => ({ controlPlaneEndpoint: { host, port } });
const intent = { attempt: 1, clientToken: 'token-1', requestHash: 'abc' };
const domains = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `zone-${index}` }));
const condition = (type: string) => ({
  type,
  status: 'True',
  reason: 'Ready',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const MACHINES: readonly ValidationCase[] = [
  { name: 'machine with defaults', manifest: machine({ inMemory: {} }), want: 'accepted' },
  {
    name: 'machine with everything',
    manifest: machine({
      providerID: 'tsinmemory://one',
      createIntent: intent,
      inMemory: {
        bootDelaySeconds: 0,
        capacity: { cpu: '500m', memory: '8Gi' },
        failures: { neverBoots: true, provisioningError: 'no', diesAfterSeconds: 1, throttledCalls: 2 },
      },
    }),
    want: 'accepted',
  },
  {
    name: 'machine without a backend',
    manifest: machine({}),
    want: /set exactly one backend, one of: inMemory/,
  },
  { name: 'machine without a spec', manifest: machine(), want: /spec: Required value/ },
  {
    name: 'machine with an unknown backend',
    manifest: machine({ vsphere: {} }),
    want: /unknown field "spec\.vsphere"/,
  },
  {
    name: 'machine with a known and an unknown backend',
    manifest: machine({ inMemory: {}, vsphere: {} }),
    want: /unknown field "spec\.vsphere"/,
  },
  {
    name: 'machine with spec.failureDomain, which core would copy over the placement (IM-3c)',
    manifest: machine({ inMemory: {}, failureDomain: 'a' }),
    want: /unknown field "spec\.failureDomain"/,
  },
  {
    name: 'boot delay too long',
    manifest: machine({ inMemory: { bootDelaySeconds: 3601 } }),
    want: /bootDelaySeconds.*less than or equal to 3600/,
  },
  {
    name: 'boot delay negative',
    manifest: machine({ inMemory: { bootDelaySeconds: -1 } }),
    want: /bootDelaySeconds.*greater than or equal to 0/,
  },
  {
    name: 'capacity as a number',
    manifest: machine({ inMemory: { capacity: { cpu: 4 } } }),
    want: /capacity\.cpu.*must be of type string/,
  },
  {
    name: 'capacity that is no quantity',
    manifest: machine({ inMemory: { capacity: { memory: '8 gigabytes' } } }),
    want: /write a Kubernetes quantity as a string, such as "4", "500m" or "8Gi"/,
  },
  {
    name: 'capacity of nothing',
    manifest: machine({ inMemory: { capacity: {} } }),
    want: /at least 1 properties/,
  },
  {
    name: 'providerID too long',
    manifest: machine({ inMemory: {}, providerID: 'x'.repeat(513) }),
    want: /providerID: Too long/,
  },
  {
    name: 'providerID empty',
    manifest: machine({ inMemory: {}, providerID: '' }),
    want: /providerID.*at least 1 chars long/,
  },
  {
    name: 'attempt 0',
    manifest: machine({ inMemory: {}, createIntent: { ...intent, attempt: 0 } }),
    want: /createIntent\.attempt.*greater than or equal to 1/,
  },
];

const MACHINE_CHANGES: readonly ValidationCase[] = [
  {
    name: 'providerID set for the first time',
    manifest: machine({ inMemory: {} }),
    then: { spec: { providerID: 'tsinmemory://one' } },
    want: 'accepted',
  },
  {
    name: 'providerID changed',
    manifest: machine({ inMemory: {}, providerID: 'tsinmemory://one' }),
    then: { spec: { providerID: 'tsinmemory://two' } },
    want: /spec\.providerID.*delete the Machine to have it replaced/,
  },
  {
    name: 'providerID removed',
    manifest: machine({ inMemory: {}, providerID: 'tsinmemory://one' }),
    then: { spec: { providerID: null } },
    want: /spec\.providerID.*delete the Machine to have it replaced/,
  },
  {
    name: 'create intent recorded',
    manifest: machine({ inMemory: {} }),
    then: { spec: { createIntent: intent } },
    want: 'accepted',
  },
  {
    name: 'create intent of the next attempt',
    manifest: machine({ inMemory: {}, createIntent: intent }),
    then: { spec: { createIntent: { attempt: 2, clientToken: 'token-2' } } },
    want: 'accepted',
  },
  {
    name: 'create intent with another token for the same attempt',
    manifest: machine({ inMemory: {}, createIntent: intent }),
    then: { spec: { createIntent: { clientToken: 'token-2' } } },
    want: /createIntent belongs to the controller/,
  },
  {
    name: 'create intent removed',
    manifest: machine({ inMemory: {}, createIntent: intent }),
    then: { spec: { createIntent: null } },
    want: /createIntent belongs to the controller: keep it/,
  },
  {
    name: 'backend removed',
    manifest: machine({ inMemory: {} }),
    then: { spec: { inMemory: null } },
    want: /set exactly one backend/,
  },
  {
    name: 'boot delay changed',
    manifest: machine({ inMemory: { bootDelaySeconds: 1 } }),
    then: { spec: { inMemory: { bootDelaySeconds: 2 } } },
    want: /spec\.inMemory\.bootDelaySeconds.*make a new TSMachineTemplate/,
  },
  {
    name: 'boot delay added',
    manifest: machine({ inMemory: {} }),
    then: { spec: { inMemory: { bootDelaySeconds: 2 } } },
    want: /spec\.inMemory\.bootDelaySeconds.*make a new TSMachineTemplate/,
  },
  {
    name: 'capacity changed',
    manifest: machine({ inMemory: { capacity: { cpu: '1' } } }),
    then: { spec: { inMemory: { capacity: { cpu: '2' } } } },
    want: /spec\.inMemory\.capacity.*make a new TSMachineTemplate/,
  },
  {
    name: 'failures changed on a living machine',
    manifest: machine({ inMemory: { bootDelaySeconds: 1, failures: { neverBoots: true } } }),
    then: { spec: { inMemory: { failures: { neverBoots: null, diesAfterSeconds: 5 } } } },
    want: 'accepted',
  },
];

const CLUSTERS: readonly ValidationCase[] = [
  { name: 'cluster without a spec', manifest: cluster(), want: 'accepted' },
  {
    name: 'cluster with an endpoint',
    manifest: cluster(endpoint('api.example.org', 6443)),
    want: 'accepted',
  },
  {
    name: 'endpoint with an empty host',
    manifest: cluster(endpoint('', 6443)),
    want: /host.*at least 1 chars long/,
  },
  {
    name: 'endpoint with a long host',
    manifest: cluster(endpoint('h'.repeat(513), 6443)),
    want: /host: Too long/,
  },
  {
    name: 'endpoint with port 0',
    manifest: cluster(endpoint('a', 0)),
    want: /port.*greater than or equal to 1/,
  },
  {
    name: 'endpoint with port 65536',
    manifest: cluster(endpoint('a', 65536)),
    want: /port.*less than or equal to 65535/,
  },
  {
    name: 'endpoint completed',
    manifest: cluster({ controlPlaneEndpoint: { port: 6443 } }),
    then: { spec: { controlPlaneEndpoint: { host: 'a' } } },
    want: 'accepted',
  },
  {
    name: 'endpoint changed',
    manifest: cluster(endpoint('a', 6443)),
    then: { spec: { controlPlaneEndpoint: { port: 8443 } } },
    want: /spec\.controlPlaneEndpoint.*make a new Cluster for another endpoint/,
  },
  {
    name: 'endpoint removed',
    manifest: cluster(endpoint('a', 6443)),
    then: { spec: { controlPlaneEndpoint: null } },
    want: /spec\.controlPlaneEndpoint.*make a new Cluster for another endpoint/,
  },
  {
    name: 'load balancer that does not exist',
    manifest: cluster({ controlPlaneLoadBalancer: { type: 'ELB' } }),
    want: /controlPlaneLoadBalancer\.type: Unsupported value: "ELB": supported values: "External"/,
  },
  {
    name: 'a failure domain twice',
    manifest: cluster({ inMemory: { failureDomains: [{ name: 'a' }, { name: 'a' }] } }),
    want: /failureDomains\[1\]: Duplicate value/,
  },
  {
    name: 'failure domains up to the limit',
    manifest: cluster({ inMemory: { failureDomains: domains(100) } }),
    want: 'accepted',
  },
  {
    name: 'too many failure domains',
    manifest: cluster({ inMemory: { failureDomains: domains(101) } }),
    want: /failureDomains: Too many/,
  },
];

const STATUS: readonly ValidationCase[] = [
  {
    name: 'status as the contract has it',
    manifest: machine({ inMemory: {} }),
    then: {
      status: {
        initialization: { provisioned: true },
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        failureDomain: 'a',
        conditions: [condition('Ready'), condition('Paused')],
        observedGeneration: 1,
      },
    },
    want: 'accepted',
  },
  {
    name: 'initialization of nothing (IC-6)',
    manifest: machine({ inMemory: {} }),
    then: { status: { initialization: {} } },
    want: /initialization.*at least 1 properties/,
  },
  {
    name: 'a condition twice',
    manifest: machine({ inMemory: {} }),
    then: { status: { conditions: [condition('Ready'), condition('Ready')] } },
    want: /conditions\[1\]: Duplicate value/,
  },
  {
    name: 'failure domains of a cluster as a list (IC-3)',
    manifest: cluster({}),
    then: { status: { failureDomains: [{ name: 'a', controlPlane: true, attributes: { rack: '7' } }] } },
    want: 'accepted',
  },
  {
    name: 'failure domains of a cluster as a map, as older contracts had them (GEN-6)',
    manifest: cluster({}),
    then: { status: { failureDomains: { a: { controlPlane: true } } } },
    want: /unknown field "status\.failureDomains\.a"/,
  },
];

const TEMPLATES: readonly ValidationCase[] = [
  { name: 'machine template', manifest: machineTemplate({ inMemory: {} }), want: 'accepted' },
  {
    name: 'machine template without a backend',
    manifest: machineTemplate({}),
    want: /set exactly one backend/,
  },
  {
    name: 'machine template with a providerID (IMT-2)',
    manifest: machineTemplate({ inMemory: {}, providerID: 'tsinmemory://one' }),
    want: /leave providerID out of a template/,
  },
  {
    name: 'machine template with a create intent',
    manifest: machineTemplate({ inMemory: {}, createIntent: intent }),
    want: /leave createIntent out of a template/,
  },
  {
    name: 'machine template changed, as ClusterClass dry runs do (IMT-4)',
    manifest: machineTemplate({ inMemory: { bootDelaySeconds: 1 } }),
    then: { spec: { template: { spec: { inMemory: { bootDelaySeconds: 2 } } } } },
    want: 'accepted',
  },
  {
    name: 'capacity for scaling from zero (IMT-6)',
    manifest: machineTemplate({ inMemory: {} }),
    then: {
      status: {
        capacity: { cpu: '4', memory: '8Gi', 'nvidia.com/gpu': '1' },
        nodeInfo: { architecture: 'arm64', operatingSystem: 'linux' },
      },
    },
    want: 'accepted',
  },
  {
    name: 'an architecture that Cluster API does not know',
    manifest: machineTemplate({ inMemory: {} }),
    then: { status: { nodeInfo: { architecture: 'vax' } } },
    want: /architecture: Unsupported value: "vax"/,
  },
  {
    name: 'cluster template',
    manifest: { kind: 'TSClusterTemplate', spec: { template: { spec: {} } } },
    want: 'accepted',
  },
  {
    name: 'cluster template without a spec for the clusters',
    manifest: { kind: 'TSClusterTemplate', spec: { template: {} } },
    want: 'accepted',
  },
];

/** Every case; names are unique. */
export const VALIDATION_CASES: readonly ValidationCase[] = [
  ...MACHINES,
  ...MACHINE_CHANGES,
  ...CLUSTERS,
  ...STATUS,
  ...TEMPLATES,
];
