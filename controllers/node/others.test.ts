// SPDX-License-Identifier: Apache-2.0
// A worker's host that lies about its name and addresses: it gets no certificate with which it could pass for somebody else.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind, TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { tsCluster, tsMachine } from '../../test/machine-world.ts';
import { signingRequest } from './fixtures.ts';
import { type Others, othersOf } from './others.ts';
import { objection } from './serving-request.ts';

const CLUSTER: Cluster = {
  ...ClusterKind,
  metadata: { namespace: 'ns', name: 'c1' },
  spec: { clusterNetwork: { services: { cidrBlocks: ['10.128.0.0/12', 'fd01::/108'] } } },
};
const object = tsCluster({ spec: { controlPlaneEndpoint: { host: 'API.example.org', port: 6443 } } });
let api: FakeAPI;

beforeEach(() => {
  api = new FakeAPI();
  add('cp', '10.0.0.1', ['10.0.0.1', 'cp-1', '192.168.0.1']);
});

function add(name: string, sshAddress: string, addresses: string[], labels: object = {}): TSMachine {
  api.put<TSHost>({
    ...TSHostKind,
    metadata: { namespace: 'ns', name: `host-of-${name}` },
    spec: { ssh: { address: sshAddress, credentialsRef: { name: 'ssh' } } },
  });
  const { metadata } = tsMachine();
  return api.put<TSMachine>({
    ...TSMachineKind,
    metadata: { ...metadata, name, uid: `uid-${name}`, labels: { ...metadata.labels, ...labels } },
    spec: { host: {}, providerID: `tshost://ns/host-of-${name}/0123abcd` },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  });
}

function othersThan(machine: TSMachine, cluster = CLUSTER): Others {
  return othersOf(api.cache({ [CLUSTER_INDEX]: byCluster }), { object, cluster, machine });
}

describe('a worker', () => {
  it.each([
    ['10.0.0.1', /another TSMachine/],
    ['CP-1', /another TSMachine/],
    ['192.168.0.1', /another TSMachine/],
    ['api.example.org', /control plane endpoint/],
    ['10.128.0.1', /no machine's own/],
    ['fd01::1', /no machine's own/],
    ['127.0.0.1', /no machine's own/],
    ['::1', /no machine's own/],
    ['localhost', /no machine's own/],
    ['kubernetes', /no machine's own/],
    ['kubernetes.default.svc.cluster.local', /no machine's own/],
    ['10.96.0.1', undefined],
    ['10.0.0.7', undefined],
    ['worker-0', undefined],
    ['kubernetes-7', undefined],
  ])('%s: %s', (asked, whose) => {
    const others = othersThan(add('w0', '10.0.0.7', ['10.0.0.7', asked]));
    if (whose === undefined) expect(others(asked)).toBeUndefined();
    else expect(others(asked)).toMatch(whose);
  });

  it('keeps the address under which a person has listed it, whoever else claims it', () => {
    const worker = add('w0', '10.0.0.7', ['10.0.0.7']);
    add('w1', '10.0.0.8', ['10.0.0.7', '10.0.0.8']);
    expect(othersThan(worker)('10.0.0.7')).toBeUndefined();
  });

  it('has no address of a Service where the Cluster does not say which', () => {
    const others = othersThan(add('w0', '10.0.0.7', ['10.96.0.1']), { ...CLUSTER, spec: {} });
    expect(others('10.96.0.1')).toMatch(/no machine's own/);
  });

  it('its request is left alone', () => {
    const machine = add('w0', '10.0.0.7', ['10.0.0.7', '10.0.0.1']);
    const known = { nodeName: 'worker-0', machine: 'ns/w0', addresses: machine.status?.addresses ?? [] };
    const request = signingRequest({ dns: ['worker-0'], ips: ['10.0.0.7', '10.0.0.1'] });
    expect(objection(request, known)).toBeUndefined();
    expect(objection(request, known, othersThan(machine))).toBe(
      'asks for 10.0.0.1, which another TSMachine of the cluster has as well',
    );
  });
});

it('a control plane machine may have the endpoint for its address', () => {
  const machine = add('cp2', 'cp2.example.org', ['10.0.0.2'], { [CONTROL_PLANE_LABEL]: '' });
  expect(othersThan(machine)('api.example.org')).toBeUndefined();
});
