// SPDX-License-Identifier: Apache-2.0
// Who may import whom (design section 3). A wrong arrow fails here, with the file and the way it should point.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Folder -> what of ours its product files may import, besides the folder itself. */
const ALLOWED: Record<string, readonly string[]> = {
  api: [],
  runtime: [],
  contract: ['api/', 'runtime/'],
  'backends/inmemory': [
    'api/',
    'backends/backend.ts',
    ...['errors', 'clock', 'context', 'result'].map((f) => `runtime/${f}.ts`),
  ],
  'backends/host': [
    'api/',
    'preparation/',
    ...['backend', 'host-driver', 'host-inventory'].map((f) => `backends/${f}.ts`),
    ...['errors', 'clock', 'context', 'result'].map((f) => `runtime/${f}.ts`),
  ],
  'backends/aws': [
    'api/',
    ...['backend', 'cluster-backend', 'cloud-identities', 'machine-pool-backend'].map(
      (f) => `backends/${f}.ts`,
    ),
    ...['errors', 'clock', 'context', 'result', 'metrics', 'sleep'].map((f) => `runtime/${f}.ts`),
  ],
  'controllers/host': [
    ...['api/', 'contract/', 'runtime/', 'preparation/input.ts', 'preparation/step.ts'],
    ...['backend', 'host-driver', 'host-inventory'].map((f) => `backends/${f}.ts`),
  ],
  'controllers/node': ['api/', 'contract/', 'runtime/'],
  'controllers/machine': ['api/', 'contract/', 'runtime/', 'backends/backend.ts'],
  'controllers/machinetemplate': ['api/', 'contract/', 'runtime/', 'backends/backend.ts'],
  'controllers/cluster': [
    ...['api/', 'contract/', 'runtime/'],
    ...['backend', 'cluster-backend', 'host-inventory'].map((f) => `backends/${f}.ts`),
  ],
  'controllers/identity': ['api/', 'runtime/', 'backends/cloud-identities.ts'],
  'controllers/machinepool': [
    ...['api/', 'contract/', 'runtime/'],
    ...['backend', 'machine-pool-backend'].map((f) => `backends/${f}.ts`),
  ],
  'controllers/bootstrap': ['api/', 'contract/', 'runtime/', 'kubeadm/'],
  kubeadm: ['api/'],
  preparation: ['api/'],
  'controllers/remediation': ['api/', 'contract/', 'runtime/'],
  cli: [
    'api/',
    'backends/aws/actions.ts',
    'kubeadm/',
    'preparation/',
    'backends/host/ssh/',
    'backends/host-driver.ts',
    'runtime/',
  ],
};

/** Packages that only these files may load at run time; types are free. */
const CARRIERS: Record<string, readonly string[]> = {
  '@kubernetes/client-node': ['runtime/kube-config.ts'],
  'kubernetes-fluent-client': [],
  '@huggingface/jinja': ['backends/host/cloud-config/jinja.ts'],
};

/** What a pure folder may take from Node: nothing that reads a clock, a file, the network or randomness. */
const PURE: Record<string, readonly string[]> = {
  'backends/host/cloud-config': ['node:buffer', 'node:crypto', 'node:path', 'node:util', 'node:zlib'],
  kubeadm: ['node:buffer', 'node:crypto', 'node:net', 'node:util', 'node:zlib'],
  preparation: ['node:buffer', 'node:crypto', 'node:net', 'node:util'],
};

const files = ['api', 'runtime', 'contract', 'backends', 'controllers', 'kubeadm', 'preparation', 'cli']
  .flatMap((folder) => sources(join(root, folder)))
  .map((file) => ({ path: relative(root, file), text: readFileSync(file, 'utf8') }));

describe('imports', () => {
  it('every product folder has a rule', () => {
    const folders = new Set(files.map(({ path }) => ruleOf(path)));
    expect([...folders].filter((folder) => folder === undefined)).toEqual([]);
    expect(files.length).toBeGreaterThan(20);
  });

  it.each(Object.keys(ALLOWED))('%s imports only what it may', (folder) => {
    const wrong = files
      .filter(({ path }) => ruleOf(path) === folder)
      .flatMap(({ path, text }) =>
        imports(text)
          .filter(({ from }) => from.startsWith('.'))
          .map(({ from }) => relative(root, resolve(root, dirname(path), from)))
          .filter((target) => !target.startsWith(`${folder}/`))
          .filter((target) => !ALLOWED[folder]!.some((allowed) => target.startsWith(allowed)))
          .map((target) => `${path} -> ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it.each(Object.keys(CARRIERS))('%s is loaded at run time by its carriers only', (name) => {
    const wrong = files
      .filter(({ path }) => !CARRIERS[name]!.includes(path))
      .filter(({ text }) => imports(text).some((one) => !one.typeOnly && one.from.startsWith(name)))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('the SDK of AWS is loaded in its backend only', () => {
    const wrong = files
      .filter(({ path }) => !path.startsWith('backends/aws/'))
      .filter(({ text }) => imports(text).some(({ from }) => /^@(aws-sdk|smithy)\//.test(from)))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it.each(Object.keys(PURE))('%s is pure: input, clock and randomness are passed in', (folder) => {
    const product = files.filter(({ path }) => path.startsWith(`${folder}/`));
    const modules = product.flatMap(({ path, text }) =>
      imports(text)
        .filter(({ from }) => from.startsWith('node:') && !PURE[folder]!.includes(from))
        .map(({ from }) => `${path} -> ${from}`),
    );
    expect(modules).toEqual([]);
    const impure =
      /\bDate\.now\(|new Date\(\)|Math\.random\(|import[^;]*\b(random\w+|generateKeyPair\w*)\b[^;]*from 'node:crypto'/;
    expect(product.filter(({ text }) => impure.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('no vague folders, no barrels', () => {
    const vague = files.filter(({ path }) =>
      /(^|\/)(src|lib|utils?|common|helpers?|index|types)(\/|\.ts$)/.test(path),
    );
    expect(vague.map(({ path }) => path)).toEqual([]);
  });

  it('controllers and configuration: only main.ts reads the environment', () => {
    const readers = files.filter(({ text }) => /process\.(env|argv)/.test(text)).map(({ path }) => path);
    const allowed = ['runtime/kube-config.ts', 'cli/main.ts'];
    expect(readers.filter((path) => !allowed.includes(path))).toEqual([]);
  });
});

function ruleOf(path: string): string | undefined {
  if (/^backends\/[^/]+\.ts$/.test(path)) return 'backends';
  return Object.keys(ALLOWED).find((folder) => path.startsWith(`${folder}/`));
}

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) return sources(path);
    return path.endsWith('.ts') && !path.endsWith('.test.ts') ? [path] : [];
  });
}

function imports(text: string): { from: string; typeOnly: boolean }[] {
  const statement = /^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm;
  return [...text.matchAll(statement)].map((match) => ({
    from: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}
