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
    names: { kind: string; listKind: string; plural: string };
    scope: string;
    versions: { name: string; served: boolean; storage: boolean; subresources?: { status?: object } }[];
  };
}

const described = { description: 'A value.' };

describe('crdManifest', () => {
  it.each(RESOURCES)(
    '$kind.kind carries what core and clusterctl look for (GEN-2, GEN-5, GEN-7, GEN-8)',
    (resource) => {
      const crd = parse(crdManifest(resource)) as CRD;
      expect(crd.metadata.name).toBe(`${crd.spec.names.plural}.infrastructure.cluster.x-k8s.io`);
      expect(crd.metadata.labels).toEqual({
        'cluster.x-k8s.io/provider': 'infrastructure-ts-provider',
        'cluster.x-k8s.io/v1beta2': 'v1alpha1',
      });
      expect(crd.spec.names.listKind).toBe(`${crd.spec.names.kind}List`);
      expect(crd.spec.scope).toBe('Namespaced');
      expect(crd.spec.versions).toMatchObject([{ name: 'v1alpha1', served: true, storage: true }]);
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
