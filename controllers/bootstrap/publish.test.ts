// SPDX-License-Identifier: Apache-2.0
// Data that could not work, or do not fit, are never published; large ones are packed where that can be.
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SecretKind } from '../../api/kinds.ts';
import { COMPRESSION_ANNOTATION, DATA_LIMIT_ANNOTATION } from '../../api/labels.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { BootstrapWorld } from '../../test/bootstrap-world.ts';

const largeFiles = (count: number, content = 'x'.repeat(10_000)) =>
  Array.from({ length: count }, (_, index) => ({ path: `/f${index}`, content }));
const available = (world: BootstrapWorld, name = 'w1') => world.condition(name, 'DataSecretAvailable');
const STATUS_ONLY = ['patch_status KubeadmConfig w1'];
const writes = (world: BootstrapWorld) => world.requests.filter((one) => !/^(workload )?get/.test(one));

async function joinable(): Promise<BootstrapWorld> {
  const world = new BootstrapWorld();
  await world.controlPlane();
  return world;
}

describe('input that could not work', () => {
  it('of a join is told at once, and leaves nothing behind', async () => {
    const world = await joinable();
    const files = [{ path: '/a', permissions: 'canary', content: '{{ canary | quote }}' }];
    world.machine('w1', { spec: { files, joinConfiguration: { caCertPath: 'ca.pem' } } });
    await expect(world.reconcile('w1')).rejects.toThrow(TerminalError);
    expect(available(world)?.status).toBe('False');
    expect(available(world)?.message).toMatch(
      /^no machine could come up with this: spec\.joinConfiguration\.caCertPath must be .*; spec\.files\[0\]\.permissions must be .*; spec\.files\[0\] has a filter .*\(file \/a\)/,
    );
    expect(available(world)?.message).not.toContain('canary');
    expect(writes(world)).toEqual(STATUS_ONLY);
    expect(world.tokens()).toEqual([]);
  });

  it('of an init takes no lock and makes no certificates', async () => {
    const world = new BootstrapWorld();
    world.machine('cp1', {
      controlPlane: true,
      spec: { clusterConfiguration: { certificatesDir: 'pki' } },
    });
    await expect(world.reconcile('cp1')).rejects.toThrow(/certificatesDir must be an absolute path/);
    expect(writes(world)).toEqual(['patch_status KubeadmConfig cp1']);
    expect(world.lock()).toBeUndefined();
  });

  it('names a few of many problems, and how many more there are', async () => {
    const world = await joinable();
    const files = Array.from({ length: 9 }, (_, index) => ({ path: `/f${index}`, permissions: 'no' }));
    world.machine('w1', { spec: { files } });
    await expect(world.reconcile('w1')).rejects.toThrow(/files\[4\]\.permissions [^;]*; and 4 more$/);
  });
});

describe('large data', () => {
  it('are packed for a TSMachine, and the same on every pass', async () => {
    const world = await joinable();
    world.machine('w1', { spec: { files: largeFiles(6) } });
    await world.reconcile('w1');
    const { value = '', format = '' } = world.dataSecret('w1')?.data ?? {};
    expect(value.length).toBeLessThan(4_000);
    expect(Buffer.from(format, 'base64').toString()).toBe('cloud-config');
    expect(gunzipSync(Buffer.from(value, 'base64')).toString()).toMatch(/^## template: jinja\n/);
  });

  it('that another release has packed otherwise are not written again', async () => {
    const world = await joinable();
    world.machine('w1', { spec: { files: largeFiles(6) } });
    world.api.beforeWrite = ({ verb, kind }) => {
      if (verb === 'patch_status' && kind === 'KubeadmConfig') throw new Error('killed');
    };
    await expect(world.reconcile('w1')).rejects.toThrow('killed');
    world.api.beforeWrite = () => undefined;
    const secret = world.dataSecret('w1')!;
    const text = gunzipSync(Buffer.from(secret.data?.['value'] ?? '', 'base64'));
    const value = gzipSync(text, { level: 1 }).toString('base64');
    expect(value).not.toBe(secret.data?.['value']);
    world.api.put({ ...secret, data: { ...secret.data, value } });
    world.restart();
    world.forget();
    await world.reconcile('w1');
    expect(world.requests).not.toContain('patch Secret w1');
    expect(world.api.read(SecretKind, { namespace: 'ns', name: 'w1' })?.data?.['value']).toBe(value);
  });

  it.each([
    ['the annotation says that they may not be', { [COMPRESSION_ANNOTATION]: 'none' }, 'TSMachine'],
    ['nobody says that they may be', {}, 'OtherMachine'],
  ])('stay as they are where %s', async (_why, annotations, kind) => {
    const world = await joinable();
    const infrastructureRef = { apiGroup: 'infrastructure.cluster.x-k8s.io', kind, name: 'w1' };
    world.machine('w1', { spec: { files: largeFiles(6) }, annotations, machine: { infrastructureRef } });
    await world.reconcile('w1');
    expect(world.data('w1').length).toBeGreaterThan(60_000);
  });

  it('that do not fit into a Secret: nothing is made, and the largest files are named', async () => {
    const world = await joinable();
    const annotations = { [COMPRESSION_ANNOTATION]: 'none' };
    world.machine('w1', { spec: { files: largeFiles(120) }, annotations });
    await expect(world.reconcile('w1')).rejects.toThrow(
      /have 12\d{5} bytes, and a Secret allows 1048564, the largest files are \/f0 10000, \/f1 10000, \/f2 10000: make files smaller/,
    );
    expect(writes(world)).toEqual(STATUS_ONLY);
    expect(world.tokens()).toEqual([]);
  });

  it('that exceed the limit of the infrastructure: the way out is named, and works', async () => {
    const world = await joinable();
    const infrastructureRef = {
      apiGroup: 'infrastructure.cluster.x-k8s.io',
      kind: 'OtherMachine',
      name: 'w1',
    };
    const limit = { [DATA_LIMIT_ANNOTATION]: '8192' };
    const spec = { files: largeFiles(1) };
    world.machine('w1', { spec, annotations: limit, machine: { infrastructureRef } });
    await expect(world.reconcile('w1')).rejects.toThrow(
      /annotation bootstrap\.cluster\.x-k8s\.io\/data-limit allows 8192.*set annotation bootstrap\.cluster\.x-k8s\.io\/compression to gzip/,
    );
    const annotations = { ...limit, [COMPRESSION_ANNOTATION]: 'gzip' };
    world.machine('w1', { spec, annotations, machine: { infrastructureRef } });
    await world.reconcile('w1');
    expect(available(world)?.status).toBe('True');
    expect(world.dataSecret('w1')?.data?.['value']).toMatch(/^H4sI/);
  });

  it('an annotation that cannot be read is told', async () => {
    const world = await joinable();
    world.machine('w1', { annotations: { [DATA_LIMIT_ANNOTATION]: '16Ki' } });
    await expect(world.reconcile('w1')).rejects.toThrow(/data-limit"\]: must be a whole number of bytes/);
    expect(writes(world)).toEqual(STATUS_ONLY);
  });
});
