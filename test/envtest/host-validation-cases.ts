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

/** Hosts, machines on hosts, clusters of hosts. */
export const HOST_CASES: readonly ValidationCase[] = [...HOSTS, ...MACHINES, ...CLUSTERS];
