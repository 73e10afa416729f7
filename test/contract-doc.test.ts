// SPDX-License-Identifier: Apache-2.0
// The book against the code: what a page names must exist, and what the code says must have a row.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConditionType, Reason } from '../api/conditions.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Row {
  readonly rule: string;
  readonly where: string;
  readonly test: string;
}

const RULE = /^(GEN|IC|IM|IMT|BC|KB|DEL|CTL|PIT)-[A-Z]?\d+[a-c]?$/;

/** Rows of docs/contract.md: rule, what it asks, where, test. */
const rows: readonly Row[] = read('docs/contract.md')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter((cells) => RULE.test(cells[1] ?? ''))
  .map((cells) => ({ rule: cells[1] ?? '', where: cells[3] ?? '', test: cells[4] ?? '' }));

describe('docs/contract.md', () => {
  it('has one row for each rule', () => {
    const rules = rows.map(({ rule }) => rule);
    expect(rules.filter((rule, at) => rules.indexOf(rule) !== at)).toEqual([]);
    expect(rules.length).toBeGreaterThan(90);
  });

  it('says of every rule where it is kept or why it is not, and what proves it', () => {
    expect(rows.filter(({ where, test }) => where === '' || test === '')).toEqual([]);
  });

  it('names files and symbols that exist', () => {
    const named = rows.flatMap(({ rule, where }) =>
      [...where.matchAll(/`([\w./-]+\.\w+):([^`]+)`/g)].map(([, file = '', symbol = '']) => ({
        rule,
        file,
        symbol,
      })),
    );
    expect(named.length).toBeGreaterThan(60);
    expect(named.filter(({ file, symbol }) => !contains(file, symbol))).toEqual([]);
  });

  it('quotes names of tests that exist in the file that it names', () => {
    const quoted = rows.flatMap(({ rule, test }) => quotedTests(test).map((one) => ({ rule, ...one })));
    expect(quoted.length).toBeGreaterThan(60);
    expect(quoted.filter(({ file, name }) => !hasTest(file, name))).toEqual([]);
  });

  it('sends nobody to a rule that has no row', () => {
    const rules = new Set(rows.map(({ rule }) => rule));
    const lost = rows.flatMap(({ rule, where, test }) =>
      [...`${where} ${test}`.matchAll(/see ([A-Z]+-[A-Z]?\d+[a-c]?)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !rules.has(target))
        .map((target) => `${rule} -> ${target}`),
    );
    expect(lost).toEqual([]);
  });
});

describe('docs/states', () => {
  it.each([
    ['docs/states/tsmachine.md', ['controllers/machine', 'contract', 'backends/inmemory']],
    ['docs/states/tscluster.md', ['controllers/cluster', 'contract']],
  ])('%s has a row for every reason that its controller gives', (page, folders) => {
    const given = folders.flatMap((folder) => reasonsIn(folder));
    expect(given.length).toBeGreaterThan(5);
    expect(missingRows(page, given)).toEqual([]);
  });

  it.each([
    ['docs/states/tsmachine.md', [ConditionType.ControlPlaneEndpointReady]],
    ['docs/states/tscluster.md', [ConditionType.InstanceReady]],
  ])('%s has a row for every condition', (page, ofOthers) => {
    const types = Object.values(ConditionType).filter((type) => !ofOthers.some((other) => other === type));
    expect(missingRows(page, types)).toEqual([]);
  });
});

describe('docs/runbook.md', () => {
  it('names every flag of the manager', () => {
    const flags = [...read('wiring/flags.ts').matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1] ?? '');
    expect(flags.length).toBeGreaterThan(8);
    expect(flags.filter((flag) => !read('docs/runbook.md').includes(`\`${flag}`))).toEqual([]);
  });

  it('names metrics that exist', () => {
    const sources = filesIn('runtime')
      .map((file) => read(file))
      .join('\n');
    const prefixes = /^(controller_runtime|workqueue)_/;
    const names = [
      ...read('docs/runbook.md').matchAll(
        /\b((?:controller_runtime|workqueue|rest_client)_\w+|ts_provider_\w+)/g,
      ),
    ];
    const unknown = names
      .map((match) => match[1] ?? '')
      .filter((name) => !sources.includes(`'${name.replace(prefixes, '')}'`));
    expect(names.length).toBeGreaterThan(10);
    expect(unknown).toEqual([]);
  });
});

it('every link of the book leads somewhere', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', ...markdownIn('docs')];
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
      .map((match) => relative(root, join(root, dirname(page), match[1] ?? '')))
      .filter((target) => !existsSync(join(root, target)))
      .map((target) => `${page} -> ${target}`),
  );
  expect(pages.length).toBeGreaterThan(10);
  expect(broken).toEqual([]);
});

/** "`file`: "name", "name"; `file`: "name"" taken apart. */
function quotedTests(cell: string): { file: string; name: string }[] {
  return [...cell.matchAll(/`([\w./-]+\.ts)`: ("[^"]+"(?:, "[^"]+")*)/g)].flatMap(
    ([, file = '', names = '']) =>
      [...names.matchAll(/"([^"]+)"/g)].map((match) => ({ file, name: match[1] ?? '' })),
  );
}

function contains(file: string, text: string): boolean {
  return existsSync(join(root, file)) && read(file).includes(text);
}

/** The name stands in a string, not in an import or a comment. */
function hasTest(file: string, name: string): boolean {
  if (!existsSync(join(root, file))) return false;
  const before = read(file)
    .split('\n')
    .filter((line) => line.includes(name))
    .map((line) => line.slice(0, line.indexOf(name)));
  return before.some((start) => /['"`]/.test(start) && !/^\s*(\/\/|\*)/.test(start));
}

/** Reasons that product code of a folder writes: by their constant, or with an error that becomes a condition. */
function reasonsIn(folder: string): string[] {
  const known = Object.entries(Reason);
  return filesIn(folder).flatMap((file) => {
    const text = read(file);
    const constants = [...text.matchAll(/\bReason\.(\w+)/g)].map((match) => match[1] ?? '');
    return known
      .filter(([name]) => constants.includes(name))
      .map(([, reason]) => reason)
      .concat(ofBackend(file, text));
  });
}

/** Of a backend only what its three verbs throw becomes a condition of the machine; a guest's trouble is a message. */
function ofBackend(file: string, text: string): Reason[] {
  if (!/\/(machine-backend|cloud|failure-domain)\.ts$/.test(file)) return [];
  return [...text.matchAll(/new TerminalError\(\s*'(\w+)'/g)].map((match) => match[1] as Reason);
}

function missingRows(page: string, names: readonly string[]): string[] {
  const text = read(page);
  return [...new Set(names)].filter((name) => !text.includes(`| \`${name}\` |`));
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => join(folder, name));
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}
