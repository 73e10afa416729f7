// SPDX-License-Identifier: Apache-2.0
// What the API server accepts and refuses of hosts, and of machines and clusters on hosts.
import type { ValidationCase } from './validation-cases.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF00000000000000000000000000000000000000000000';
const ssh = { address: '10.0.0.7', credentialsRef: { name: 'ssh' }, hostKeys: [KEY] };
const host = (spec: object = {}) => ({ kind: 'TSHost', spec: { ssh, ...spec } });
const machine = (spec: object) => ({ kind: 'TSMachine', spec });
const cluster = (spec: object) => ({ kind: 'TSCluster', spec });
const owner = { namespace: 'default', name: 'm', uid: 'u' };
const claim = { generation: 1, for: 'Machine', machine: owner, clientToken: 'token' };
const balancer = { generation: 1, for: 'LoadBalancer', cluster: owner };

const HOSTS: readonly ValidationCase[] = [
  { name: 'host with the least', manifest: host(), want: 'accepted' },
  {
    name: 'host with everything',
    manifest: host({
      ssh: {
        ...ssh,
        port: 2222,
        user: 'ops',
        hostKeyPolicy: 'TrustOnFirstUse',
        bastion: { ...ssh, user: 'b' },
      },
      failureDomain: 'rack-a',
      maintenance: true,
      adopt: true,
    }),
    want: 'accepted',
  },
  { name: 'host without ssh', manifest: { kind: 'TSHost', spec: {} }, want: /spec.ssh: Required/ },
  {
    name: 'host without an address',
    manifest: host({ ssh: { credentialsRef: { name: 's' } } }),
    want: /address: Required/,
  },
  {
    name: 'host key that is none',
    manifest: host({ ssh: { ...ssh, hostKeys: ['SHA256:abcabcabcabcabcabcabcabc'] } }),
    want: /hostKeys\[0\]/,
  },
  {
    name: 'failure domain that no label can hold',
    manifest: host({ failureDomain: 'rack a' }),
    want: /failureDomain/,
  },
  { name: 'host claimed by a machine', manifest: host({ claim }), want: 'accepted' },
  { name: 'host claimed as load balancer', manifest: host({ claim: balancer }), want: 'accepted' },
  {
    name: 'claim without its machine',
    manifest: host({ claim: { generation: 1, for: 'Machine', clientToken: 't' } }),
    want: /a claim names the one owner/,
  },
  {
    name: 'free claim with a machine',
    manifest: host({ claim: { generation: 1, machine: owner } }),
    want: /a claim names the one owner/,
  },
  {
    name: 'claim given back',
    manifest: host({ claim }),
    then: { spec: { claim: { releasing: true } } },
    want: 'accepted',
  },
  {
    name: 'claim freed',
    manifest: host({ claim }),
    then: { spec: { claim: { for: null, machine: null, clientToken: null, previous: '0123abcd' } } },
    want: 'accepted',
  },
  {
    name: 'claim after another',
    manifest: host({ claim: { generation: 1 } }),
    then: { spec: { claim: { ...claim, generation: 2 } } },
    want: 'accepted',
  },
  {
    name: 'claim of a free host under the old generation',
    manifest: host({ claim: { generation: 1 } }),
    then: { spec: { claim } },
    want: /only with a higher generation/,
  },
  {
    name: 'claim taken over under the same generation',
    manifest: host({ claim }),
    then: { spec: { claim: { clientToken: 'another' } } },
    want: /only with a higher generation/,
  },
  {
    name: 'claim with a lower generation',
    manifest: host({ claim: { ...claim, generation: 3 } }),
    then: { spec: { claim: { generation: 2 } } },
    want: /only grows/,
  },
  {
    name: 'claim after a move: another UID, the same token',
    manifest: host({ claim }),
    then: { spec: { claim: { machine: { uid: 'v' } } } },
    want: 'accepted',
  },
  { name: 'claim removed', manifest: host({ claim }), then: { spec: { claim: null } }, want: /keep it/ },
  {
    name: 'address of a host in use',
    manifest: host({ claim }),
    then: { spec: { ssh: { address: '10.0.0.8' } } },
    want: /address of a host in use is fixed/,
  },
  {
    name: 'address of a free host',
    manifest: host({ claim: { generation: 1 } }),
    then: { spec: { ssh: { address: '10.0.0.8' } } },
    want: 'accepted',
  },
];

const MACHINES: readonly ValidationCase[] = [
  { name: 'machine on any host', manifest: machine({ host: {} }), want: 'accepted' },
  {
    name: 'machine on a chosen host',
    manifest: machine({
      host: {
        selector: {
          matchLabels: { role: 'worker' },
          minCPU: 16,
          minMemory: '64Gi',
          minDisk: '1Ti',
          architecture: 'amd64',
          operatingSystem: 'debian',
        },
        adopt: true,
      },
    }),
    want: 'accepted',
  },
  {
    name: 'memory as a bare number',
    manifest: machine({ host: { selector: { minMemory: 64 } } }),
    want: /minMemory/,
  },
  {
    name: 'memory that is no quantity',
    manifest: machine({ host: { selector: { minMemory: '64 GB' } } }),
    want: /write a Kubernetes quantity/,
  },
  { name: 'two backends', manifest: machine({ host: {}, inMemory: {} }), want: /exactly one backend/ },
  {
    name: 'machine that moves to another backend',
    manifest: machine({ host: {} }),
    then: { spec: { host: null, inMemory: {} } },
    want: /the backend of a machine is fixed/,
  },
  {
    name: 'machine that wants another host',
    manifest: machine({ host: { selector: { minCPU: 4 } } }),
    then: { spec: { host: { selector: { minCPU: 8 } } } },
    want: /host.selector is fixed/,
  },
];

const selector = { hostSelector: { matchLabels: { role: 'lb' } } };
const CLUSTERS: readonly ValidationCase[] = [
  {
    name: 'cluster behind HAProxy',
    manifest: cluster({ controlPlaneLoadBalancer: { type: 'HAProxy', ...selector } }),
    want: 'accepted',
  },
  {
    name: 'HAProxy without a selector',
    manifest: cluster({ controlPlaneLoadBalancer: { type: 'HAProxy' } }),
    want: /HAProxy needs hostSelector/,
  },
  {
    name: 'a selector for nothing',
    manifest: cluster({ controlPlaneLoadBalancer: { type: 'External', ...selector } }),
    want: /HAProxy needs hostSelector/,
  },
  {
    name: 'another load balancer once there is an endpoint',
    manifest: cluster({
      controlPlaneEndpoint: { host: 'a', port: 6443 },
      controlPlaneLoadBalancer: { type: 'HAProxy', ...selector },
    }),
    then: { spec: { controlPlaneLoadBalancer: { type: 'External', hostSelector: null } } },
    want: /type is fixed/,
  },
  {
    name: 'what hosts of a cluster share',
    manifest: cluster({
      hosts: { failureDomains: ['rack-a', 'rack-b'], cloudControllerManager: 'External' },
    }),
    want: 'accepted',
  },
  {
    name: 'a failure domain twice',
    manifest: cluster({ hosts: { failureDomains: ['rack-a', 'rack-a'] } }),
    want: /Duplicate/,
  },
];

const preparation = (spec: object) => machine({ host: { preparation: spec } });
const mirror = { endpoint: 'https://mirror.example:5000' };
const PREPARATIONS: readonly ValidationCase[] = [
  { name: 'preparation with defaults', manifest: preparation({}), want: 'accepted' },
  {
    name: 'preparation with everything',
    manifest: preparation({
      source: { artifacts: { baseURL: 'https://a.example', caBundle: 'x', manifestSHA256: 'a'.repeat(64) } },
      containerRuntime: {
        ...{
          type: 'crio',
          version: '1.36',
          cgroupDriver: 'cgroupfs',
          sandboxImage: 'registry.k8s.io/pause:3.10',
        },
        additionalConfig: 'a = 1',
      },
      registries: [
        { name: '*', mirrors: [mirror] },
        {
          name: 'registry.k8s.io',
          mirrors: [{ ...mirror, caBundle: 'x', overridePath: true, authRef: { name: 'pull' } }, mirror],
          fallback: true,
        },
      ],
      proxy: { https: 'http://proxy:3128', noProxy: ['.example.org'], credentialsRef: { name: 'proxy' } },
      timeServers: ['ntp.example.org'],
      journalMaxUse: '512M',
      sysctls: { 'vm.max_map_count': '262144' },
      ignorePreflight: ['Disk'],
      repair: 'Never',
    }),
    want: 'accepted',
  },
  {
    name: 'two sources',
    manifest: preparation({ source: { packages: {}, artifacts: { baseURL: 'https://a.example' } } }),
    want: /set exactly one source, packages or artifacts/,
  },
  { name: 'no source', manifest: preparation({ source: {} }), want: /set exactly one source/ },
  {
    name: 'artifacts without an address',
    manifest: preparation({ source: { artifacts: {} } }),
    want: /source.artifacts.baseURL: Required/,
  },
  {
    name: 'an address that is none',
    manifest: preparation({ source: { artifacts: { baseURL: 'ftp://a.example' } } }),
    want: /source.artifacts.baseURL/,
  },
  {
    name: 'a hash that is none',
    manifest: preparation({ source: { artifacts: { baseURL: 'https://a.example', manifestSHA256: 'abc' } } }),
    want: /manifestSHA256/,
  },
  {
    name: 'a runtime that nobody knows',
    manifest: preparation({ containerRuntime: { type: 'docker' } }),
    want: /containerRuntime.type: Unsupported value/,
  },
  {
    name: 'a version with a v',
    manifest: preparation({ containerRuntime: { version: 'v2.2.3' } }),
    want: /containerRuntime.version/,
  },
  {
    name: 'a registry twice',
    manifest: preparation({
      registries: [
        { name: '*', mirrors: [mirror] },
        { name: '*', mirrors: [mirror] },
      ],
    }),
    want: /Duplicate value/,
  },
  {
    name: 'a registry without a mirror',
    manifest: preparation({ registries: [{ name: 'docker.io', mirrors: [] }] }),
    want: /registries\[0\].mirrors/,
  },
  {
    name: 'a check that nobody knows',
    manifest: preparation({ ignorePreflight: ['Everything'] }),
    want: /ignorePreflight\[0\]: Unsupported value/,
  },
  {
    name: 'a kernel setting that is a command',
    manifest: preparation({ sysctls: { 'vm.swappiness': '1; reboot' } }),
    want: /sysctls/,
  },
  {
    name: 'exceptions of a proxy that a shell would read',
    manifest: preparation({ proxy: { https: 'http://p:1', noProxy: ['$(reboot)'] } }),
    want: /noProxy\[0\]/,
  },
  {
    name: 'machine that wants another preparation',
    manifest: preparation({}),
    then: { spec: { host: { preparation: { journalMaxUse: '2G' } } } },
    want: /host.preparation is fixed/,
  },
  {
    name: 'machine whose preparation is taken away',
    manifest: preparation({}),
    then: { spec: { host: { preparation: null } } },
    want: /host.preparation is fixed/,
  },
];

const shared = { type: 'VirtualIP' };
const VIRTUAL_IPS: readonly ValidationCase[] = [
  {
    name: 'cluster behind an address that its hosts share',
    manifest: cluster({
      controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 },
      controlPlaneLoadBalancer: { ...shared, virtualIP: { routerID: 51 } },
    }),
    want: 'accepted',
  },
  {
    name: 'a shared address that nobody gave',
    manifest: cluster({ controlPlaneLoadBalancer: shared }),
    want: /VirtualIP needs controlPlaneEndpoint.host: a free IPv4 address/,
  },
  {
    name: 'a name as shared address',
    manifest: cluster({
      controlPlaneEndpoint: { host: 'api.example.org', port: 6443 },
      controlPlaneLoadBalancer: shared,
    }),
    want: /VirtualIP needs controlPlaneEndpoint.host: a free IPv4 address/,
  },
  {
    name: 'a shared address of IPv6',
    manifest: cluster({
      controlPlaneEndpoint: { host: 'fd00::1', port: 6443 },
      controlPlaneLoadBalancer: shared,
    }),
    want: /VirtualIP needs controlPlaneEndpoint.host: a free IPv4 address/,
  },
  {
    name: 'a router id for nothing',
    manifest: cluster({ controlPlaneLoadBalancer: { type: 'External', virtualIP: { routerID: 51 } } }),
    want: /virtualIP is for the type VirtualIP only/,
  },
  {
    name: 'a router id that VRRP has not',
    manifest: cluster({
      controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 },
      controlPlaneLoadBalancer: { ...shared, virtualIP: { routerID: 256 } },
    }),
    want: /routerID/,
  },
  {
    name: 'another router id',
    manifest: cluster({
      controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 },
      controlPlaneLoadBalancer: { ...shared, virtualIP: { routerID: 51 } },
    }),
    then: { spec: { controlPlaneLoadBalancer: { virtualIP: { routerID: 52 } } } },
    want: /virtualIP.routerID is fixed/,
  },
  {
    name: 'a shared address that becomes a balancer',
    manifest: cluster({
      controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 },
      controlPlaneLoadBalancer: shared,
    }),
    then: { spec: { controlPlaneLoadBalancer: { type: 'HAProxy', ...selector } } },
    want: /controlPlaneLoadBalancer.type is fixed/,
  },
  {
    name: 'hosts for a balancer, where the address is shared',
    manifest: cluster({
      controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 },
      controlPlaneLoadBalancer: { ...shared, ...selector },
    }),
    want: /other types take none/,
  },
  {
    name: 'a shared address where somebody else made the endpoint',
    manifest: cluster({ controlPlaneEndpoint: { host: '10.0.0.100', port: 6443 } }),
    then: { spec: { controlPlaneLoadBalancer: shared } },
    want: /type is fixed/,
  },
];

const remediation = (spec: object) => ({ kind: 'TSRemediation', spec });
const REMEDIATIONS: readonly ValidationCase[] = [
  { name: 'remediation with defaults', manifest: remediation({}), want: 'accepted' },
  {
    name: 'template of a remediation with everything',
    manifest: {
      kind: 'TSRemediationTemplate',
      spec: {
        template: {
          spec: {
            ...{ retryLimit: 0, timeoutSeconds: 60, backoffSeconds: 0 },
            ...{ nodeOutOfService: false, maxConcurrent: 2 },
          },
        },
      },
    },
    want: 'accepted',
  },
  { name: 'reboots without end', manifest: remediation({ retryLimit: 11 }), want: /retryLimit/ },
  {
    name: 'a reboot that takes no time',
    manifest: remediation({ timeoutSeconds: 5 }),
    want: /timeoutSeconds/,
  },
  { name: 'nobody at a time', manifest: remediation({ maxConcurrent: 0 }), want: /maxConcurrent/ },
];

/** Hosts, machines on hosts, clusters of hosts, and what repairs them. */
export const HOST_CASES: readonly ValidationCase[] = [
  ...HOSTS,
  ...MACHINES,
  ...PREPARATIONS,
  ...CLUSTERS,
  ...VIRTUAL_IPS,
  ...REMEDIATIONS,
];
