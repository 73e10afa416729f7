// SPDX-License-Identifier: Apache-2.0
import Type from 'typebox';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { RESOURCES } from '../../api/resources.ts';
import { crdManifest, kustomization } from './manifest.ts';
import { toOpenAPI } from './open-api.ts';

interface CRD {
  metadata: { name: string; labels: Record<string, string> };
  spec: {
    group: string;
    names: { kind: string; listKind: string; plural: string };
    scope: string;
    versions: {
      name: string;
      served: boolean;
      storage: boolean;
      subresources?: { status?: object };
      schema: { openAPIV3Schema: { required?: string[]; properties: { spec: { default?: object } } } };
    }[];
  };
}

function parseCRD(kind: string): CRD {
  return parse(crdManifest(RESOURCES.find((one) => one.kind.kind === kind)!)) as CRD;
}

const described = { description: 'A value.' };

describe('crdManifest', () => {
  it.each(RESOURCES)(
    '$kind.kind carries what core and clusterctl look for (GEN-2, GEN-5, GEN-7, GEN-8)',
    (resource) => {
      const crd = parse(crdManifest(resource)) as CRD;
      const { folder } = resource.provider;
      const version = folder === 'bootstrap' ? 'v1beta2' : 'v1alpha1';
      expect(crd.spec.group).toBe(`${folder}.cluster.x-k8s.io`);
      expect(crd.metadata.name).toBe(`${crd.spec.names.plural}.${folder}.cluster.x-k8s.io`);
      expect(crd.metadata.labels).toEqual({
        'cluster.x-k8s.io/provider': `${folder}-ts-provider`,
        'cluster.x-k8s.io/v1beta2': version,
        ...(resource.movesByItself && { 'clusterctl.cluster.x-k8s.io/move-hierarchy': '' }),
      });
      expect(crd.spec.names.listKind).toBe(`${crd.spec.names.kind}List`);
      expect(crd.spec.scope).toBe(resource.kind.kind === 'TSClusterIdentity' ? 'Cluster' : 'Namespaced');
      expect(crd.spec.versions).toMatchObject([{ name: version, served: true, storage: true }]);
      expect(crd.spec.versions[0]?.subresources?.status !== undefined).toBe(resource.status !== undefined);
    },
  );

  it.each(RESOURCES)(
    '$kind.kind survives the YAML of Kubernetes and the substitution of clusterctl',
    (resource) => {
      const text = crdManifest(resource);
      // YAML 1.1 turns a bare True, yes or on into a boolean (PIT-16).
      expect(text).not.toMatch(/^\s*- (True|False|yes|no|on|off)$/im);
      // envsubst (PIT-18), anchors that hide what is written.
      expect(text).not.toMatch(/\$\{|\$\$|: &|: \*/);
    },
  );

  it.each([
    ['KubeadmConfig', undefined, undefined],
    ['TSCluster', undefined, {}],
    ['TSMachine', ['spec'], undefined],
  ])('%s asks for its spec, fills it in, or leaves it alone', (kind, required, filledIn) => {
    const { openAPIV3Schema } = parseCRD(kind).spec.versions[0]!.schema;
    expect(openAPIV3Schema.required).toEqual(required);
    expect(openAPIV3Schema.properties.spec.default).toEqual(filledIn);
  });

  it('is the same on every run', () => {
    expect(RESOURCES.map(crdManifest)).toEqual(RESOURCES.map(crdManifest));
  });

  it('is listed for kustomize', () => {
    expect(parse(kustomization(['a.yaml']))).toMatchObject({ kind: 'Kustomization', resources: ['a.yaml'] });
  });
});

describe('toOpenAPI', () => {
  it('writes a record as additionalProperties', () => {
    const schema = Type.Record(Type.String(), Type.String({ maxLength: 9 }), described);
    expect(toOpenAPI({ ...schema }, 'x')).toEqual({
      type: 'object',
      ...described,
      additionalProperties: { type: 'string', maxLength: 9 },
    });
  });

  it('writes an integer or a string as the API server wants it', () => {
    const either = {
      ...described,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
      'x-kubernetes-int-or-string': true,
    };
    expect(toOpenAPI({ ...Type.Unsafe<string | number>(either) }, 'x')).toEqual(either);
  });

  it('writes a list of words as an enum of strings', () => {
    expect(toOpenAPI({ ...Type.Enum(['a', 'b'], described) }, 'x')).toEqual({
      type: 'string',
      ...described,
      enum: ['a', 'b'],
    });
  });

  it.each([
    [
      'a keyword that the API server does not know',
      Type.Number({ ...described, multipleOf: 2 }),
      /x: .*"multipleOf"/,
    ],
    ['a union', Type.Union([Type.String(), Type.Number()], described), /x: .*"anyOf"/],
    [
      'a field without a description',
      Type.Object({ a: Type.String() }, described),
      /x\.a: give it a description/,
    ],
    [
      'an item without a description',
      Type.Object({ a: Type.Array(Type.String(), described) }, described),
      /x\.a\[\]: give it a description/,
    ],
  ])('refuses %s', (_name, schema, message) => {
    expect(() => toOpenAPI({ ...schema }, 'x')).toThrow(message);
  });
});
