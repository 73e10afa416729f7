// SPDX-License-Identifier: Apache-2.0
// Rules that clusterctl has for files; that it accepts them, a real one proves in test/envtest.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  rules?: { resources: string[]; verbs: string[] }[];
  spec?: {
    template?: {
      spec?: { containers?: { name: string; image: string; securityContext: Record<string, unknown> }[] };
    };
  };
}

const read = (...path: string[]) => readFileSync(join(import.meta.dirname, ...path), 'utf8');
const manifests = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Manifest);
const templates = readdirSync(join(import.meta.dirname, 'templates'));
const classes = templates.filter((name) => name.startsWith('clusterclass-'));
const flavors = templates.filter((name) => name.startsWith('cluster-template-'));

describe('templates', () => {
  it.each(classes)('%s has the name of its class, no namespace and no variable (CTL-12)', (file) => {
    const text = read('templates', file);
    expect(text).not.toContain('$');
    const objects = manifests(text);
    expect(
      objects.filter((object) => object.kind === 'ClusterClass').map((object) => object.metadata.name),
    ).toEqual([file.slice('clusterclass-'.length, -'.yaml'.length)]);
    expect(objects.filter((object) => object.metadata.namespace !== undefined)).toEqual([]);
  });

  it.each(flavors)(
    '%s puts every object into the one namespace, under the name of the cluster (CTL-12)',
    (file) => {
      for (const { metadata } of manifests(read('templates', file))) {
        expect(metadata.namespace).toBe('${NAMESPACE}');
        expect(metadata.name).toMatch(/^\$\{CLUSTER_NAME\}/);
      }
    },
  );

  it.each([...classes, ...flavors])(
    '%s has every object once, and everything that its objects name',
    (file) => {
      const objects = manifests(read('templates', file));
      const known = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      expect(known.filter((name, at) => known.indexOf(name) !== at)).toEqual([]);
      const named = references(objects).map(({ kind, name }) => `${kind} ${name}`);
      // A cluster of a topology names its class, which is a file of its own.
      expect(named.filter((name) => !known.includes(name))).toEqual([]);
      expect(named.length).toBeGreaterThan(file.includes('topology') ? -1 : 2);
    },
  );

  it.each([...classes, ...flavors])('%s speaks the v1beta2 contract only', (file) => {
    expect(read('templates', file)).not.toContain('v1beta1');
  });
});

/** Whatever is named by kind and name, in fields that end in Ref. */
function references(value: unknown): { kind: string; name: string }[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([field, inner]) =>
    field.endsWith('Ref') && typeof (inner as { kind?: unknown }).kind === 'string'
      ? [inner as { kind: string; name: string }]
      : references(inner),
  );
}

describe('rbac', () => {
  const allow = (file: string) => (parse(read('rbac', file)) as Manifest).rules ?? [];

  it.each(['role.yaml', 'leader-election-role.yaml'])(
    '%s has no wildcard and no verb that deletes many or escalates',
    (file) => {
      for (const rule of allow(file)) {
        expect(rule.resources).not.toContain('*');
        expect(
          rule.verbs.filter((verb) => !['get', 'list', 'watch', 'create', 'patch', 'delete'].includes(verb)),
        ).toEqual([]);
      }
    },
  );

  it('deletes what stands for the instances of a pool, and Machines whose instance is taken away, nothing else', () => {
    const rules = allow('role.yaml').filter((rule) => rule.verbs.includes('delete'));
    expect(rules.map((rule) => rule.resources)).toEqual([['tsmachines'], ['machines']]);
  });

  it('reads Secrets by name and cannot list them', () => {
    const rules = allow('role.yaml').filter((rule) => rule.resources.includes('secrets'));
    expect(rules.map((rule) => rule.verbs)).toEqual([['get']]);
  });
});

describe('the Deployment', () => {
  const containers =
    (parse(read('manager', 'manager.yaml')) as Manifest).spec?.template?.spec?.containers ?? [];

  it('has a container named manager with a canonical image (CTL-9)', () => {
    expect(containers.map(({ name }) => name)).toEqual(['manager']);
    expect(containers[0]?.image).toMatch(/^[a-z0-9.-]+\.[a-z]+(\/[a-z0-9-]+)+:[\w.-]+$/);
  });

  it('writes nothing outside its volume and gains no privilege', () => {
    expect(containers[0]?.securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
  });
});
