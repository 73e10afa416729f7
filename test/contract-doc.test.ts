// SPDX-License-Identifier: Apache-2.0
// The book against the code: what a page names must exist, and what the code says must have a row.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BootstrapConditionType, BootstrapReason } from '../api/bootstrap-conditions.ts';
import { ConditionType, Reason } from '../api/conditions.ts';
import { HANDLERS } from '../controllers/host/states/table.ts';
import { INTENDED } from './differential/intended.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Row {
  readonly rule: string;
  readonly where: string;
  readonly test: string;
}

const RULE = /^(GEN|IC|IM|IMT|IMP|BC|KB|DEL|CTL|MHC|AS|PIT)-[A-Z]?\d+[a-c]?$/;

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
    expect(rules.length).toBeGreaterThan(150);
    expect(ofBootstrap('BC')).toHaveLength(14);
    expect(ofBootstrap('KB').length).toBeGreaterThan(30);
  });

  it('has a row for every rule that code and tests name', () => {
    const folders = ['api', 'contract', 'controllers', 'kubeadm', 'test', 'wiring'];
    const named = folders.flatMap((folder) => [...allText(folder).matchAll(/\b(?:BC|KB)-\d+b?\b/g)]);
    const rules = new Set(rows.map(({ rule }) => rule));
    expect(named.length).toBeGreaterThan(100);
    expect([...new Set(named.map(([rule]) => rule))].filter((rule) => !rules.has(rule))).toEqual([]);
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

/** Conditions that only TSHosts have. */
const OF_HOSTS = [ConditionType.Reachable, ConditionType.HostKeyVerified, ConditionType.Prepared];

/** Conditions that only what is at a cloud has, by whose they are. */
const OF_CLOUD_MACHINES = [ConditionType.InterruptionFree, ConditionType.SettingsApplied];
const OF_CLOUD_CLUSTERS = [ConditionType.NetworkReady];
const OF_POOLS = [ConditionType.PoolReady];
const OF_CLOUDS = [...OF_CLOUD_MACHINES, ...OF_CLOUD_CLUSTERS, ...OF_POOLS];

/** What every part of AWS may answer. */
const OF_AWS_SESSIONS = ['backends/aws/session', 'controllers/identity'];

/** What these throw is the machine's trouble. */
const OF_MACHINES = /\/(machine-backend|held|fit)\.ts$/;

describe('docs/states', () => {
  it.each([
    [
      'docs/states/tsmachine.md',
      [
        ...['controllers/machine', 'controllers/node', 'contract', 'backends/inmemory', 'backends/host'],
        ...['backends/aws/instance', 'backends/aws/user-data', 'backends/aws/upkeep', ...OF_AWS_SESSIONS],
      ],
    ],
    [
      'docs/states/tscluster.md',
      [
        ...['controllers/cluster', 'contract', 'backends/aws/network', 'backends/aws/load-balancer'],
        ...OF_AWS_SESSIONS,
      ],
    ],
    [
      'docs/states/tsmachinepool.md',
      ['controllers/machinepool', 'contract', 'backends/aws/pool', ...OF_AWS_SESSIONS],
    ],
    ['docs/states/tshost.md', ['controllers/host']],
    ['docs/states/tsremediation.md', ['controllers/remediation']],
  ])('%s has a row for every reason that its controller gives', (page, folders) => {
    const given = folders.flatMap((folder) => reasonsIn(folder));
    expect(given.length).toBeGreaterThan(5);
    expect(missingRows(page, given)).toEqual([]);
  });

  it.each([
    [
      'docs/states/tsmachine.md',
      [ConditionType.ControlPlaneEndpointReady, ...OF_HOSTS, ...OF_CLOUD_CLUSTERS, ...OF_POOLS],
    ],
    [
      'docs/states/tscluster.md',
      [ConditionType.InstanceReady, ...OF_HOSTS, ...OF_CLOUD_MACHINES, ...OF_POOLS],
    ],
    [
      'docs/states/tsmachinepool.md',
      [
        ...[ConditionType.InstanceReady, ConditionType.ControlPlaneEndpointReady, ...OF_HOSTS],
        ...[...OF_CLOUD_MACHINES, ...OF_CLOUD_CLUSTERS],
      ],
    ],
    [
      'docs/states/tshost.md',
      [
        ...[ConditionType.InstanceReady, ConditionType.ControlPlaneEndpointReady, ConditionType.Deleting],
        ...OF_CLOUDS,
      ],
    ],
    [
      'docs/states/tsremediation.md',
      [
        ...[ConditionType.Ready, ConditionType.InstanceReady, ConditionType.Deleting],
        ...[ConditionType.ControlPlaneEndpointReady, ...OF_HOSTS, ...OF_CLOUDS],
      ],
    ],
  ])('%s has a row for every condition', (page, ofOthers) => {
    const others: readonly string[] = ofOthers;
    const isOfOthers = (type: string) =>
      others.includes(type) || (type === 'Remediated') !== page.includes('remediation');
    const types = Object.values(ConditionType).filter((type) => !isOfOthers(type));
    expect(missingRows(page, types)).toEqual([]);
  });

  it('docs/states/tshost.md has a row for every error that a host may give, and for every state', () => {
    const page = 'docs/states/tshost.md';
    const reasons = filesIn('backends/host')
      .filter((file) => !OF_MACHINES.test(file))
      .flatMap((file) => [...read(file).matchAll(/new TerminalError\(\s*'(\w+)'/g)])
      .map((match) => match[1] ?? '');
    expect(reasons.length).toBeGreaterThan(10);
    expect(missingRows(page, reasons)).toEqual([]);
    expect(missingRows(page, Object.keys(HANDLERS))).toEqual([]);
  });

  const config = 'docs/states/kubeadmconfig.md';

  it(`${config} has a row for every condition and every reason`, () => {
    expect(missingRows(config, Object.values(BootstrapConditionType))).toEqual([]);
    expect(missingRows(config, Object.values(BootstrapReason))).toEqual([]);
  });

  it(`${config} has a row for every Event`, () => {
    const sources = filesIn('controllers/bootstrap').map(read).join('\n');
    const names = [...sources.matchAll(/\breason: '(\w+)'/g)].map((match) => match[1] ?? '');
    expect(names.length).toBeGreaterThan(2);
    expect(missingRows(config, names)).toEqual([]);
  });
});

describe('docs/bootstrap.md', () => {
  const page = 'docs/bootstrap.md';

  it('shows the table of intended differences as the differential tests have it', () => {
    const [, section = ''] = read(page).split(/<!-- (?:test\/differential\/intended\.ts|end) -->\n/);
    const shown = section.split('\n').filter((line) => line.startsWith('| `'));
    expect(shown).toEqual(
      INTENDED.map(({ id, stock, ours, why }) => `| \`${id}\` | ${stock} | ${ours} | ${why} |`),
    );
  });

  it('quotes tests that exist', () => {
    const quoted = quotedTests(read(page));
    expect(quoted.length).toBeGreaterThan(10);
    expect(quoted.filter(({ file, name }) => !hasTest(file, name))).toEqual([]);
  });

  it('names every annotation that a KubeadmConfig may have', () => {
    const annotations = [...read('api/labels.ts').matchAll(/'(bootstrap\.cluster\.x-k8s\.io\/[\w-]+)'/g)];
    expect(annotations.length).toBeGreaterThan(2);
    expect(unnamed(page, annotations)).toEqual([]);
  });

  it('names every function of templates', () => {
    const [, functions = ''] =
      /new Set\('(and or [\w ]+)'/.exec(read('kubeadm/file-template-parser.ts')) ?? [];
    expect(functions.split(' ').length).toBeGreaterThan(8);
    expect(functions.split(' ').filter((name) => !read(page).includes(`\`${name}\``))).toEqual([]);
  });

  it('names every flag of render', () => {
    const flags = [...read('cli/render.ts').matchAll(/^ {2}(?:-f, )?(--[a-z-]+)/gm)];
    expect(flags.length).toBeGreaterThan(5);
    expect(unnamed(page, flags)).toEqual([]);
  });
});

describe('docs/runbook.md', () => {
  it('names every flag of the manager', () => {
    const flags = [...read('wiring/flags.ts').matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1] ?? '');
    expect(flags.length).toBeGreaterThan(8);
    expect(flags.filter((flag) => !read('docs/runbook.md').includes(`\`${flag}`))).toEqual([]);
  });

  it('names metrics that exist', () => {
    const sources = ['runtime', 'controllers', 'wiring', 'backends/aws']
      .flatMap(filesIn)
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

it('every link to a heading of the book finds it', () => {
  const pages = ['README.md', ...markdownIn('docs')];
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)]
      .map(([, file = '', anchor = '']) => ({
        target: file === '' ? page : relative(root, join(root, dirname(page), file)),
        anchor,
      }))
      .filter(({ target, anchor }) => target.endsWith('.md') && !anchorsOf(target).includes(anchor))
      .map(({ target, anchor }) => `${page} -> ${target}#${anchor}`),
  );
  expect(broken).toEqual([]);
});

/** Of headings, as code hosts make them. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** Of the first groups of these matches, those that the page does not have at the begin of code. */
function unnamed(page: string, matches: readonly RegExpExecArray[]): string[] {
  const text = read(page);
  return matches.map((match) => match[1] ?? '').filter((name) => !text.includes(`\`${name}`));
}

function ofBootstrap(prefix: string): Row[] {
  return rows.filter(({ rule }) => rule.startsWith(`${prefix}-`));
}

/** Sources and tests of a folder. */
function allText(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join(folder, name)))
    .join('\n');
}

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
