// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../api/cluster-api.ts';
import { ClusterKind } from '../../api/kinds.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { controlPlaneVersion } from './control-plane-version.ts';

const GROUP = 'controlplane.cluster.x-k8s.io';
const cluster = (controlPlaneRef?: { apiGroup: string; kind: string; name: string }): Cluster => ({
  apiVersion: ClusterKind.apiVersion,
  kind: ClusterKind.kind,
  metadata: { namespace: 'ns', name: 'c1' },
  spec: controlPlaneRef === undefined ? {} : { controlPlaneRef },
});
const withRef = cluster({ apiGroup: GROUP, kind: 'TestControlPlane', name: 'cp' });

/** The CRD with this contract label, the object with this version, and the apiVersion under which the object was asked for. */
function world(label: string | undefined, version: string | undefined) {
  const api = new FakeAPI();
  const asked: string[] = [];
  if (label !== undefined) {
    const metadata = { name: `testcontrolplanes.${GROUP}`, labels: { 'cluster.x-k8s.io/v1beta2': label } };
    api.put({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata });
  }
  const spec = version === undefined ? {} : { version };
  const metadata = { namespace: 'ns', name: 'cp' };
  api.put({ apiVersion: `${GROUP}/v1`, kind: 'TestControlPlane', metadata, ...{ spec } });
  const { get } = api.client;
  const client = {
    ...api.client,
    get: ((kind, name, signal) => {
      asked.push(kind.apiVersion);
      return get(kind, name, signal);
    }) as typeof get,
  };
  return { api, asked, versionOf: controlPlaneVersion(client) };
}

describe('the version of the control plane (KB-20b)', () => {
  it.each([
    ['v1.30.0', 'v1.30.0'],
    ['1.30.0', 'v1.30.0'],
    [undefined, undefined],
  ])('%s is %s', async (version, want) => {
    expect(await world('v1beta2', version).versionOf(withRef)).toBe(want);
  });

  it('is nothing without a control plane object, and asks nobody', async () => {
    const { asked, versionOf } = world('v1beta2', 'v1.30.0');
    expect(await versionOf(cluster())).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it.each([
    ['v1alpha1_v1beta1', 'v1beta1'],
    ['v1beta2_v1beta10', 'v1beta10'],
    ['v2beta1_v1', 'v1'],
  ])('GEN-5: of %s it reads %s', async (label, want) => {
    const { asked, versionOf } = world(label, 'v1.30.0');
    await versionOf(withRef);
    expect(asked.at(-1)).toBe(`${GROUP}/${want}`);
  });

  it('asks for the CRD once', async () => {
    const { asked, versionOf } = world('v1beta2', 'v1.30.0');
    await versionOf(withRef);
    await versionOf(withRef);
    expect(asked).toHaveLength(3);
  });

  it('says which object is missing', async () => {
    const missing = world('v1beta2', 'v1.30.0');
    missing.api.remove(
      { apiVersion: `${GROUP}/v1`, kind: 'TestControlPlane', plural: 'testcontrolplanes', namespaced: true },
      { namespace: 'ns', name: 'cp' },
    );
    await expect(missing.versionOf(withRef)).rejects.toThrow(
      /TestControlPlane ns\/cp, which .* Cluster ns\/c1 names/,
    );
    await expect(world(undefined, 'v1.30.0').versionOf(withRef)).rejects.toThrow(
      /CustomResourceDefinition testcontrolplanes\.controlplane/,
    );
  });
});
