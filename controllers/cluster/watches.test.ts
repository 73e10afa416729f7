// SPDX-License-Identifier: Apache-2.0
// Which changes of a TSHost wake a TSCluster.
import { describe, expect, it } from 'vitest';
import { TSClusterKind, TSHostKind } from '../../api/kinds.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { InformerEvent } from '../../runtime/informer.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { tsCluster } from '../../test/machine-world.ts';
import { clusterWatches } from './watches.ts';

const api = new FakeAPI();
const HAPROXY = { controlPlaneLoadBalancer: { type: 'HAProxy' as const } };
const named = (name: string, change: object) => ({
  ...tsCluster(change),
  metadata: { namespace: 'ns', name },
});
api.put(named('waits', { spec: HAPROXY }));
api.put(named('has', { spec: HAPROXY, status: { initialization: { provisioned: true } } }));
api.put(named('external', {}));
api.put({
  ...named('elsewhere', { spec: HAPROXY }),
  ...TSClusterKind,
  metadata: { namespace: 'other', name: 'elsewhere' },
});

function tsHost(
  change: Partial<TSHost['spec']> = {},
  status: TSHost['status'] = { state: 'Available' },
): TSHost {
  const spec = { ssh: { address: '10.0.0.1', credentialsRef: { name: 'ssh' } }, ...change };
  return { ...TSHostKind, metadata: { namespace: 'ns', name: 'h' }, spec, status };
}

function woken(event: InformerEvent<TSHost>): string[] {
  const watch = clusterWatches(api.cache()).find(({ kind }) => kind.kind === 'TSHost')!;
  return watch.map(event).map(({ namespace, name }) => `${namespace}/${name}`);
}

const claim = {
  generation: 1,
  for: 'LoadBalancer' as const,
  cluster: { namespace: 'ns', name: 'has', uid: 'u' },
};
const machine = {
  generation: 1,
  for: 'Machine' as const,
  machine: { namespace: 'ns', name: 'm', uid: 'u' },
  clientToken: 't',
};
const serving = { state: 'Provisioned' as const, loadBalancer: { members: [], configHash: 'a' } };

describe('a TSHost', () => {
  it.each<[string, InformerEvent<TSHost>, string[]]>([
    ['free and new: who waits for one', { type: 'add', object: tsHost() }, ['ns/waits']],
    [
      'free at last: its last owner and who waits',
      { type: 'update', previous: tsHost({ claim }), object: tsHost({ claim: { generation: 1 } }) },
      ['ns/has', 'ns/waits'],
    ],
    [
      'serves now: its owner',
      { type: 'update', previous: tsHost({ claim }), object: tsHost({ claim }, serving) },
      ['ns/has'],
    ],
    ['gone: its owner', { type: 'delete', object: tsHost({ claim }) }, ['ns/has']],
    [
      'other members: nobody',
      {
        type: 'update',
        previous: tsHost({ claim }, serving),
        object: tsHost({ claim }, { ...serving, loadBalancer: { members: ['x'], configHash: 'b' } }),
      },
      [],
    ],
    [
      'hardware measured: nobody',
      {
        type: 'update',
        previous: tsHost(),
        object: tsHost({}, { state: 'Available', hardware: { cpus: 2 } }),
      },
      [],
    ],
    [
      'a machine’s: nobody',
      { type: 'update', previous: tsHost({ claim: machine }), object: tsHost({ claim: machine }, serving) },
      [],
    ],
  ])('%s', (_name, event, names) => expect(woken(event)).toEqual(names));
});
