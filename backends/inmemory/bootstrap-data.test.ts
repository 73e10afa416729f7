// SPDX-License-Identifier: Apache-2.0
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { TerminalError } from '../../runtime/errors.ts';
import { readFirstBoot } from './bootstrap-data.ts';
import {
  cloudConfig,
  CONTROL_PLANE_JOIN,
  INIT_CONFIGURATION,
  INIT_FILE,
  JOIN_FILE,
  WORKER_JOIN,
} from './fixtures.ts';

const metadata = { hostname: 'm-1', instanceID: 'i-1', providerID: 'tsinmemory://i-1' };
const read = (value: Buffer, format: 'cloud-config' | 'ignition' = 'cloud-config') =>
  readFirstBoot({ format, value }, metadata);

function encoded(encoding: string, content: string): Buffer {
  return Buffer.from(
    `#cloud-config\nwrite_files:\n  - path: ${JOIN_FILE}\n    encoding: "${encoding}"\n    content: ${content}\n`,
  );
}

function tainted(taint: string): Buffer {
  const configuration = `kind: JoinConfiguration\nnodeRegistration:\n  taints: [{key: b, effect: NoExecute}, ${taint}]`;
  return cloudConfig({ [JOIN_FILE]: configuration });
}

function ignition(source: string, version = '2.3.0'): Buffer {
  const files = [
    { path: '/etc/motd', contents: { source: 'data:,hi' } },
    { path: '/etc/kubeadm.yml', contents: { source } },
  ];
  return Buffer.from(JSON.stringify({ ignition: { version }, storage: { files } }));
}

describe('what a machine does at its first boot', () => {
  it('initializes a cluster', () => {
    const boot = read(
      cloudConfig({ '/etc/kubernetes/pki/ca.key': 'secret', [INIT_FILE]: INIT_CONFIGURATION }),
    );
    expect(boot).toMatchObject({ role: 'init', nodeName: 'm-1', taints: undefined, bindPort: 6443 });
    expect(boot.clusterConfiguration).toMatchObject({
      kubernetesVersion: 'v1.36.3',
      networking: { podSubnet: '192.168.0.0/16' },
    });
  });

  it('joins a control plane, with no taint where the list is empty', () => {
    const boot = read(cloudConfig({ [JOIN_FILE]: CONTROL_PLANE_JOIN }));
    expect(boot).toMatchObject({
      role: 'controlPlaneJoin',
      taints: [],
      bindPort: 7443,
      clusterConfiguration: undefined,
    });
  });

  it('joins as a worker, with the metadata filled in', () => {
    const boot = read(cloudConfig({ [JOIN_FILE]: WORKER_JOIN }));
    expect(boot).toMatchObject({ role: 'workerJoin', nodeName: 'm-1' });
    expect(boot.taints).toEqual([{ key: 'node.cluster.x-k8s.io/uninitialized', effect: 'NoSchedule' }]);
    expect(boot.kubeletExtraArgs.get('provider-id')).toBe('tsinmemory://i-1');
  });

  const map = WORKER_JOIN.replace(
    /kubeletExtraArgs:[^]*?taints:/,
    'kubeletExtraArgs: {v: 4, x: "y"}\n  taints:',
  );
  const base64 = Buffer.from(WORKER_JOIN).toString('base64');
  const zipped = gzipSync(WORKER_JOIN).toString('base64');
  it.each([
    ['the whole of it gzipped', gzipSync(cloudConfig({ [JOIN_FILE]: WORKER_JOIN })), 'cloud-config'],
    ['arguments as kubeadm v1beta3 has them', cloudConfig({ [JOIN_FILE]: map }), 'cloud-config'],
    ['a base64 file', encoded('base64', base64), 'cloud-config'],
    ['a gzipped file', encoded('gzip+base64', zipped), 'cloud-config'],
    ['Ignition, URL encoded', ignition(`data:,${encodeURIComponent(WORKER_JOIN)}`), 'ignition'],
    ['Ignition, base64', ignition(`data:text/plain;charset=utf-8;base64,${base64}`, '3.4.0'), 'ignition'],
    ['Ignition, gzipped', ignition(`data:;base64,${zipped}`, '3.4.0'), 'ignition'],
  ] as const)('reads %s', (_name, value, format) => {
    const boot = read(value, format);
    expect(boot.role).toBe('workerJoin');
    expect(boot.nodeName).toBe('m-1');
    expect(boot.taints).toHaveLength(1);
  });

  it('passes over entries that are no objects, as cloud-init and Ignition do', () => {
    const file = { path: '/etc/kubeadm.yml', contents: { source: `data:;base64,${base64}` } };
    const sparse = Buffer.from(JSON.stringify({ storage: { files: [null, 'x', file] } }));
    expect(read(sparse, 'ignition').role).toBe('workerJoin');
    const args = WORKER_JOIN.replace(/- name: node-labels/, '- null\n    - name: node-labels');
    const { kubeletExtraArgs } = read(cloudConfig({ [JOIN_FILE]: args }));
    expect([...kubeletExtraArgs.keys()]).toEqual(['node-labels', 'provider-id']);
  });

  it.each([
    ["'{{ ds.meta_data.local_hostname }}.example'", 'm-1.example'],
    ["'{{ v1.instance_id }}'", 'i-1'],
    ['\'{{ ds["meta_data"]["local_hostname"] }}\'', 'm-1'],
    ['Given.Name', 'given.name'],
    ['$HOSTNAME', 'm-1'],
    ['""', 'm-1'],
  ])('names the node %s', (name, want) => {
    expect(
      read(cloudConfig({ [JOIN_FILE]: `kind: JoinConfiguration\nnodeRegistration:\n  name: ${name}` }))
        .nodeName,
    ).toBe(want);
  });
});

describe('broken bootstrap data', () => {
  const CANARY = 'canary-0123456789abcdef';
  it.each([
    [
      'no kubeadm file',
      cloudConfig({ '/etc/motd': CANARY }),
      'cloud-config',
      /writes none of .*kubeadm\.yaml/,
    ],
    [
      'not YAML',
      Buffer.from(`write_files: [${CANARY}: {`),
      'cloud-config',
      /not well formed as cloud-config \(\w+ at character \d+\)/,
    ],
    [
      'kubeadm file not YAML',
      cloudConfig({ [INIT_FILE]: `a: "${CANARY}\nb: *x` }),
      'cloud-config',
      /not well formed as kubeadm/,
    ],
    [
      'an unknown alias',
      cloudConfig({ [INIT_FILE]: `kind: *${CANARY}` }),
      'cloud-config',
      /aliases|not well formed/,
    ],
    [
      'no known kind',
      cloudConfig({ [INIT_FILE]: `kind: ${CANARY}` }),
      'cloud-config',
      /neither an InitConfiguration nor/,
    ],
    ['a scalar', Buffer.from(CANARY), 'cloud-config', /writes none of/],
    ['a damaged gzip', Buffer.from([0x1f, 0x8b, 1, 2, 3]), 'cloud-config', /damaged gzip/],
    [
      'Ignition with an outside source',
      ignition(`https://example.org/${CANARY}`),
      'ignition',
      /outside of itself/,
    ],
    ['Ignition with a bad escape', ignition(`data:,%zz${CANARY}`), 'ignition', /not well formed/],
    ['Ignition without files', Buffer.from('{}'), 'ignition', /writes none of/],
    [
      'Ignition with nothing for a file',
      Buffer.from('{"storage":{"files":[null]}}'),
      'ignition',
      /writes none of/,
    ],
    ['a taint that is nothing', tainted('null'), 'cloud-config', /nodeRegistration\.taints/],
    ['a taint that is a word', tainted(CANARY), 'cloud-config', /nodeRegistration\.taints/],
    ['a taint without a key', tainted('{effect: NoSchedule}'), 'cloud-config', /nodeRegistration\.taints/],
    ['a taint without an effect', tainted('{key: a}'), 'cloud-config', /nodeRegistration\.taints/],
    [
      'a taint of an unknown effect',
      tainted(`{key: a, effect: ${CANARY}}`),
      'cloud-config',
      /PreferNoSchedule/,
    ],
    [
      'a taint whose value is a number',
      tainted('{key: a, value: 5, effect: NoExecute}'),
      'cloud-config',
      /taints/,
    ],
  ] as const)('%s is refused, and its content is not told', (_name, value, format, want) => {
    const error = failure(() => read(value, format));
    expect(error).toBeInstanceOf(TerminalError);
    expect(error).toMatchObject({
      reason: 'BootstrapDataInvalid',
      message: expect.stringMatching(want) as string,
    });
    expect(`${String(error)}${JSON.stringify(error)}${String((error as Error).cause)}`).not.toContain(
      'canary',
    );
  });
});

function failure(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('the call must throw');
}
