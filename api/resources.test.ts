// SPDX-License-Identifier: Apache-2.0
import { describe, expect, expectTypeOf, it } from 'vitest';
import type * as runtime from '../runtime/object.ts';
import type { Kind } from './kinds.ts';
import * as kinds from './kinds.ts';
import type { Condition, ObjectMeta } from './meta.ts';
import { TSClusterIdentityKind, TSMachinePoolKind } from './kinds.ts';
import { PROVIDERS, RESOURCES } from './resources.ts';

interface Schema {
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
}

/** The schema at a dotted path, or undefined. */
function at(schema: Schema, path: string): Schema | undefined {
  return path.split('.').reduce<Schema | undefined>((inner, name) => inner?.properties?.[name], schema);
}

const resource = (kind: string) => {
  const found = RESOURCES.find((one) => one.kind.kind === kind);
  if (found === undefined) throw new Error(`no resource ${kind}`);
  return found;
};

describe('every resource', () => {
  it.each(RESOURCES)('$kind.kind has the name that core computes (GEN-1, GEN-7)', ({ kind }) => {
    // Core never refers to an identity (IC-15); its plural is English.
    const isIdentity = kind === TSClusterIdentityKind;
    expect(kind.plural).toBe(isIdentity ? 'tsclusteridentities' : `${kind.kind.toLowerCase()}s`);
    expect(kind.namespaced).toBe(!isIdentity);
  });

  it.each(RESOURCES)(
    '$kind.kind publishes no terminal failure and no second condition list (GEN-13, GEN-14)',
    ({ kind, status }) => {
      const fields = Object.keys((status as Schema | undefined)?.properties ?? {});
      expect(fields).not.toEqual(expect.arrayContaining(['failureReason']));
      expect(fields).not.toEqual(expect.arrayContaining(['failureMessage']));
      expect(fields).not.toEqual(expect.arrayContaining(['v1beta2']));
      // Of a pool core reads this one and no other (IMP-4b).
      expect(fields.includes('ready')).toBe(kind === TSMachinePoolKind);
    },
  );

  it.each(RESOURCES)('$kind.kind is installed by the provider of its group', ({ kind, provider }) => {
    expect(PROVIDERS).toContain(provider);
    expect(kind.apiVersion).toMatch(new RegExp(`^${provider.folder}\\.cluster\\.x-k8s\\.io/`));
    expect(provider.label).toBe(`${provider.folder}-ts-provider`);
  });

  it('is a kind of ours, and none is forgotten', () => {
    const ours = Object.values(kinds).filter(
      (value): value is Kind =>
        typeof value === 'object' &&
        [kinds.INFRASTRUCTURE_GROUP, kinds.BOOTSTRAP_GROUP].some((group) =>
          value.apiVersion.startsWith(`${group}/`),
        ),
    );
    expect(RESOURCES.map(({ kind }) => kind)).toEqual(expect.arrayContaining(ours));
    expect(RESOURCES).toHaveLength(ours.length);
  });
});

describe('the paths that core reads', () => {
  it.each<[string, 'spec' | 'status', string, string]>([
    ['TSCluster', 'spec', 'controlPlaneEndpoint.host', 'IC-2'],
    ['TSCluster', 'spec', 'controlPlaneEndpoint.port', 'IC-2'],
    ['TSCluster', 'status', 'initialization.provisioned', 'IC-4'],
    ['TSCluster', 'status', 'failureDomains', 'IC-3'],
    ['TSCluster', 'status', 'conditions', 'IC-7'],
    ['TSClusterTemplate', 'spec', 'template.spec', 'IC-9'],
    ['TSMachine', 'spec', 'providerID', 'IM-2'],
    ['TSMachine', 'status', 'initialization.provisioned', 'IM-5'],
    ['TSMachine', 'status', 'addresses', 'IM-4'],
    ['TSMachine', 'status', 'failureDomain', 'IM-3b'],
    ['TSMachine', 'status', 'conditions', 'IM-7'],
    ['TSMachineTemplate', 'spec', 'template.spec', 'IMT-1'],
    ['TSMachineTemplate', 'spec', 'template.metadata.labels', 'IMT-1'],
    ['TSMachineTemplate', 'status', 'capacity', 'IMT-6'],
    ['TSMachineTemplate', 'status', 'nodeInfo.architecture', 'IMT-6'],
    ['KubeadmConfig', 'status', 'dataSecretName', 'BC-2'],
    ['KubeadmConfig', 'status', 'initialization.dataSecretCreated', 'BC-4'],
    ['KubeadmConfig', 'status', 'conditions', 'BC-7'],
    ['KubeadmConfigTemplate', 'spec', 'template.spec', 'BC-8'],
    ['KubeadmConfigTemplate', 'spec', 'template.metadata.labels', 'BC-8'],
  ])('%s has %s.%s (%s)', (kind, part, path) => {
    expect(at(resource(kind)[part] as Schema, path)).toBeDefined();
  });

  it('leave out spec.failureDomain of the machine, which would overwrite its placement (IM-3c)', () => {
    expect(at(resource('TSMachine').spec as Schema, 'failureDomain')).toBeUndefined();
  });

  it('are omittable where the value comes later (IC-16, IMT-2)', () => {
    expect((resource('TSMachine').spec as Schema).required ?? []).toEqual([]);
    expect(at(resource('TSCluster').spec as Schema, 'controlPlaneEndpoint')?.required ?? []).toEqual([]);
  });
});

describe('a KubeadmConfig', () => {
  it('has one schema for the config and its template (BC-8)', () => {
    const template = resource('KubeadmConfigTemplate').spec as Schema;
    expect(at(template, 'template.spec')?.properties).toBe(
      (resource('KubeadmConfig').spec as Schema).properties,
    );
  });

  it('has no defaults but those that references to keys have in every container (KB-52)', () => {
    const found = new Set(defaultsOf(resource('KubeadmConfig').spec, ''));
    expect([...found].map((path) => path.split('.').slice(-2).join('.')).sort()).toEqual(
      ['configMapKeyRef.name', 'fileKeyRef.optional', 'secretKeyRef.name'].flatMap((name) => [
        name,
        name,
        name,
        name,
      ]),
    );
  });
});

/** Paths of fields with a default. */
function defaultsOf(schema: Schema, path: string): string[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}),
    ...(schema.items === undefined ? [] : [['[]', schema.items] as const]),
  ].flatMap(([name, one]) => defaultsOf(one, `${path}.${name}`));
  return schema.default === undefined ? inner : [path, ...inner];
}

describe('the types', () => {
  it('are the ones that the runtime works on, though neither folder imports the other', () => {
    expectTypeOf<Condition>().toEqualTypeOf<runtime.Condition>();
    expectTypeOf<ObjectMeta>().toEqualTypeOf<runtime.ObjectMeta>();
  });
});
