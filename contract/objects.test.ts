// SPDX-License-Identifier: Apache-2.0
// Tables over what a provider reads from an object before it acts: owners, pause, filter, external management.
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../api/cluster-api.ts';
import type { KubeObject, OwnerReference } from '../runtime/object.ts';
import { isExternallyManaged } from './externally-managed.ts';
import { ownerName } from './owners.ts';
import { pausedMessage } from './paused.ts';
import { servedBy } from './served.ts';
import { byCluster } from './watches.ts';

function machine(metadata: Partial<KubeObject['metadata']> = {}): KubeObject {
  return {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha1',
    kind: 'TSMachine',
    metadata: { name: 'm', namespace: 'ns', ...metadata },
  };
}

function owner(apiVersion: string, kind: string): OwnerReference {
  return { apiVersion, kind, name: 'owner', uid: '1' };
}

describe('owners (IC-12, IM-8)', () => {
  it.each([
    ['of the kind', [owner('cluster.x-k8s.io/v1beta2', 'Machine')], { namespace: 'ns', name: 'owner' }],
    [
      'of an older version',
      [owner('cluster.x-k8s.io/v1beta1', 'Machine')],
      { namespace: 'ns', name: 'owner' },
    ],
    ['of another group', [owner('machine.example.org/v1', 'Machine')], undefined],
    ['of another kind', [owner('cluster.x-k8s.io/v1beta2', 'MachineSet')], undefined],
    ['none', [], undefined],
  ])('%s', (_name, ownerReferences, want) => {
    expect(ownerName(machine({ ownerReferences }), 'Machine')).toEqual(want);
  });
});

describe('paused (GEN-10, GEN-11)', () => {
  const paused = { spec: { paused: true } } as Cluster;
  const annotated = machine({ annotations: { 'cluster.x-k8s.io/paused': '' } });
  it.each([
    ['neither', undefined, machine(), ''],
    ['the Cluster', paused, machine(), 'Cluster spec.paused is set to true'],
    [
      'the annotation, whatever its value',
      undefined,
      annotated,
      'TSMachine has the cluster.x-k8s.io/paused annotation',
    ],
    [
      'both',
      paused,
      annotated,
      'Cluster spec.paused is set to true, TSMachine has the cluster.x-k8s.io/paused annotation',
    ],
  ])('%s', (_name, cluster, object, want) => {
    expect(pausedMessage(cluster, object)).toBe(want);
  });
});

describe('watch filter (GEN-15)', () => {
  const labelled = machine({ labels: { 'cluster.x-k8s.io/watch-filter': 'blue' } });
  it.each([
    [undefined, labelled, true],
    ['', labelled, true],
    ['blue', labelled, true],
    ['green', labelled, false],
    ['blue', machine(), false],
  ])('filter %s', (filter, object, want) => {
    expect(servedBy(filter, object)).toBe(want);
  });
});

describe('externally managed (IC-10, DIV-2)', () => {
  it.each([
    [
      'annotation with a value',
      machine({ annotations: { 'cluster.x-k8s.io/managed-by': 'terraform' } }),
      true,
    ],
    ['annotation without a value', machine({ annotations: { 'cluster.x-k8s.io/managed-by': '' } }), true],
    ['label', machine({ labels: { 'cluster.x-k8s.io/managed-by': 'terraform' } }), false],
  ])('%s', (_name, object, want) => {
    expect(isExternallyManaged(object)).toBe(want);
  });
});

it('indexes by the cluster label (GEN-16)', () => {
  expect(byCluster(machine({ labels: { 'cluster.x-k8s.io/cluster-name': 'c1' } }))).toEqual(['ns/c1']);
  expect(byCluster(machine())).toEqual([]);
});
