// SPDX-License-Identifier: Apache-2.0
// Field for field: our KubeadmConfig and KubeadmConfigTemplate beside those of the stock provider (design, decision 2).
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { BOOTSTRAP_API_VERSION } from '../../api/kinds.ts';
import { BOOTSTRAP, RESOURCES } from '../../api/resources.ts';
import { crdManifest } from '../../hack/crd/manifest.ts';
import { stack } from '../../hack/stack/build.ts';
import { componentsFile, STACK_PROVIDERS } from '../../hack/stack/components.ts';

interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

interface Definition {
  kind: string;
  metadata: { name: string };
  spec: {
    names: { kind: string };
    versions: {
      name: string;
      schema: { openAPIV3Schema: Schema };
      additionalPrinterColumns: { name: string; jsonPath: string }[];
    }[];
  };
}

/** Words for people, what holds other schemas, and rules: {@link rulesOf} looks at those. */
const NOT_COMPARED = new Set([
  ...['description', 'properties', 'required', 'items', 'additionalProperties'],
  'x-kubernetes-validations',
]);

/** Where we mean to differ, and why. A pattern matches the start of a fact. */
const INTENDED: readonly { readonly where: RegExp; readonly why: string }[] = [
  {
    where: /^status\.deprecated/,
    why: 'conditions of the v1beta1 contract: nobody reads them of an object that serves v1beta2 (GEN-13, GEN-14)',
  },
  {
    where: /^status\.conditions\[\]\.type (pattern|minLength)/,
    why: 'all our kinds share one schema of conditions; every type that is written here fits both',
  },
  {
    where: /^spec\.template\.metadata\.labels\{\} (maxLength|pattern)/,
    why: 'what the stock one refuses in its webhook: a value that no label can have',
  },
];

const KINDS = RESOURCES.filter(({ provider }) => provider === BOOTSTRAP);
let stock: ReadonlyMap<string, Definition>;

beforeAll(async () => {
  const { componentsDir } = await stack();
  const provider = STACK_PROVIDERS.find(({ label }) => label === 'bootstrap-kubeadm')!;
  const objects = parseAllDocuments(readFileSync(componentsFile(componentsDir, provider), 'utf8'))
    .map((document) => document.toJS() as Definition)
    .filter(({ kind }) => kind === 'CustomResourceDefinition');
  stock = new Map(objects.map((object) => [object.spec.names.kind, object]));
});

describe.each(KINDS)('$kind.kind', (resource) => {
  const ours = () => versionOf(parseAllDocuments(crdManifest(resource))[0]!.toJS() as Definition);
  const theirs = () => versionOf(stock.get(resource.kind.kind)!);

  it('has every field of the stock one, with the same type, limits, words, defaults and list types', () => {
    const [mine, stocks] = [factsOf(ours()), factsOf(theirs())];
    expect(stocks.length).toBeGreaterThan(500);
    expect(unexplained(stocks, mine), 'the stock one has, ours has not').toEqual([]);
    expect(unexplained(mine, stocks), 'ours has, the stock one has not').toEqual([]);
  });

  it('has a rule wherever the schema of the stock one has one', () => {
    const places = rulesOf(ours());
    expect(rulesOf(theirs()).length).toBeGreaterThanOrEqual(8);
    expect(places).toEqual(expect.arrayContaining(rulesOf(theirs())));
  });

  it('has every column of the stock one', () => {
    const columns = (definition: Definition) =>
      definition.spec.versions
        .find(({ name }) => name === BOOTSTRAP_API_VERSION)!
        .additionalPrinterColumns.map(({ name, jsonPath }) => `${name} ${jsonPath}`);
    const mine = columns(parseAllDocuments(crdManifest(resource))[0]!.toJS() as Definition);
    expect(mine).toEqual(expect.arrayContaining(columns(stock.get(resource.kind.kind)!)));
  });
});

it('every intended difference is still one', () => {
  const differences = KINDS.flatMap((resource) => {
    const mine = factsOf(versionOf(parseAllDocuments(crdManifest(resource))[0]!.toJS() as Definition));
    const stocks = factsOf(versionOf(stock.get(resource.kind.kind)!));
    return [...without(mine, stocks), ...without(stocks, mine)];
  });
  const unused = INTENDED.filter(({ where }) => !differences.some((fact) => where.test(fact)));
  expect(unused).toEqual([]);
});

function versionOf({ spec }: Definition): Schema {
  return spec.versions.find(({ name }) => name === BOOTSTRAP_API_VERSION)!.schema.openAPIV3Schema;
}

function unexplained(facts: readonly string[], others: readonly string[]): string[] {
  return without(facts, others).filter((fact) => !INTENDED.some(({ where }) => where.test(fact)));
}

function without(facts: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return facts.filter((fact) => !known.has(fact));
}

/** One line for each keyword of each schema: `spec.files maxItems 200`. */
function factsOf(schema: Schema): string[] {
  return walk(schema, '').flatMap(({ path, schema: at }) => [
    ...Object.entries(at)
      .filter(([keyword]) => !NOT_COMPARED.has(keyword))
      .map(([keyword, value]) => `${path} ${keyword} ${JSON.stringify(sorted(keyword, value))}`),
    ...(at.required ?? []).map((name) => `${path} requires ${name}`),
  ]);
}

function sorted(keyword: string, value: unknown): unknown {
  return keyword === 'enum' ? [...(value as string[])].sort() : value;
}

/** Places that carry at least one rule. */
function rulesOf(schema: Schema): string[] {
  return walk(schema, '')
    .filter(({ schema: at }) => at['x-kubernetes-validations'] !== undefined)
    .map(({ path }) => path);
}

function walk(schema: Schema, path: string): { path: string; schema: Schema }[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).map(
      ([name, one]) => [path === '' ? name : `${path}.${name}`, one] as const,
    ),
    ...(schema.items === undefined ? [] : [[`${path}[]`, schema.items] as const]),
    ...(schema.additionalProperties === undefined
      ? []
      : [[`${path}{}`, schema.additionalProperties] as const]),
  ];
  return [{ path, schema }, ...inner.flatMap(([where, one]) => walk(one, where))];
}
