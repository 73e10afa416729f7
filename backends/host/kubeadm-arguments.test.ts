// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { TerminalError } from '../../runtime/errors.ts';
import { withProviderID } from './kubeadm-arguments.ts';

const ID = 'tshost://default/rack-a-07/6f1c2a9e';
const FOLDER = join(import.meta.dirname, '../../kubeadm/testdata/documents');
const goldens = readdirSync(FOLDER).filter((name) => name.endsWith('.golden'));

type Json = Record<string, unknown>;

function documents(text: string): Json[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as Json);
}

function argumentsOf(document: Json): unknown {
  return (document['nodeRegistration'] as Json | undefined)?.['kubeletExtraArgs'];
}

/** As a machine reads it, after jinja. */
function rendered(text: string): string {
  return text.replace(/aws:[^"]*/g, ID);
}

/** The same document without the argument, and without what was made only for it. */
function without(document: Json): Json {
  const copy = structuredClone(document);
  const registration = copy['nodeRegistration'] as Json | undefined;
  if (registration === undefined) return copy;
  const args = registration['kubeletExtraArgs'];
  const rest = Array.isArray(args)
    ? args.filter((arg: Json) => arg['name'] !== 'provider-id')
    : Object.fromEntries(Object.entries((args ?? {}) as Json).filter(([name]) => name !== 'provider-id'));
  registration['kubeletExtraArgs'] = rest;
  if (Object.keys(rest).length === 0) delete registration['kubeletExtraArgs'];
  if (Object.keys(registration).length === 0) delete copy['nodeRegistration'];
  return copy;
}

describe('the providerID among the kubelet arguments', () => {
  it.each(goldens)('is all that changes in %s, and is added once', (name) => {
    const before = rendered(readFileSync(join(FOLDER, name), 'utf8'));
    const after = withProviderID(before, ID);
    const registering = documents(after).filter((document) =>
      ['InitConfiguration', 'JoinConfiguration'].includes(String(document['kind'])),
    );
    expect(registering.length).toBeGreaterThan(0);
    for (const document of registering) {
      const args = argumentsOf(document);
      if (String(document['apiVersion']).endsWith('v1beta3'))
        expect(args).toMatchObject({ 'provider-id': ID });
      else expect(args).toContainEqual({ name: 'provider-id', value: ID });
    }
    expect(documents(after).map(without)).toEqual(documents(before).map(without));
    expect(withProviderID(after, ID)).toBe(after);
  });

  it.each([
    ['a list', '[{name: provider-id, value: "tshost://default/rack-a-07/6f1c2a9e"}]', 'v1beta4'],
    ['a map', '{provider-id: "tshost://default/rack-a-07/6f1c2a9e"}', 'v1beta3'],
  ])('leaves %s alone that holds it already', (_name, args, version) => {
    const text = `apiVersion: kubeadm.k8s.io/${version}\nkind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: ${args}}\n`;
    expect(withProviderID(text, ID)).toBe(text);
  });

  it.each([
    ['v1beta4', '[{name: provider-id, value: other://x}]'],
    ['v1beta4', '[{name: provider-id, value: "tshost://default/rack-a-07/6f1c2a9e"}, {name: provider-id}]'],
    ['v1beta3', '{provider-id: other://x}'],
  ])('refuses another value in %s %s and names the argument', (version, args) => {
    const text = `apiVersion: kubeadm.k8s.io/${version}\nkind: InitConfiguration\nnodeRegistration: {kubeletExtraArgs: ${args}}\n`;
    expect(() => withProviderID(text, ID)).toThrow(TerminalError);
    expect(() => withProviderID(text, ID)).toThrow(
      /InitConfiguration: nodeRegistration\.kubeletExtraArgs.*provider-id/,
    );
    expect(() => withProviderID(text, ID)).not.toThrow(/other:/);
  });

  it.each([
    'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n',
    'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration:\n',
    '---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: null}',
    'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: []}\n...\n',
  ])('is added where there is nothing yet: %j', (text) => {
    const [document] = documents(withProviderID(text, ID));
    expect(argumentsOf(document ?? {})).toEqual([{ name: 'provider-id', value: ID }]);
  });

  it('gets an InitConfiguration of its own when there is only a ClusterConfiguration', () => {
    const text = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: c\n';
    expect(documents(withProviderID(text, ID))).toEqual([
      ...documents(text),
      {
        apiVersion: 'kubeadm.k8s.io/v1beta4',
        kind: 'InitConfiguration',
        nodeRegistration: { kubeletExtraArgs: [{ name: 'provider-id', value: ID }] },
      },
    ]);
  });

  it('keeps text as text: what YAML could read as something else, long lines, comments', () => {
    const long = 'a very long value that a printer of YAML would like to fold '.repeat(4).trim();
    const text = `# why\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration:\n  name: "on"\n  kubeletExtraArgs:\n  - name: a\n    value: "0640"\n  - name: b\n    value: ${long}\n  - {name: c, value: '1_0'}\n`;
    const after = withProviderID(text, ID);
    expect(after).toContain('# why');
    expect(after).toContain(`value: ${long}\n`);
    expect(after).toContain('value: "0640"');
    expect(after).toContain("value: '1_0'");
    expect(after).toContain('name: "on"');
  });

  it.each([
    'plain text that names kubeadm.k8s.io/v1beta4',
    '#!/bin/sh\ncat <<EOF\napiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nEOF\n',
    'apiVersion: v1\nkind: Config\nnote: kubeadm.k8s.io/v1beta4\n',
    'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n',
    '',
  ])('leaves another file as it is: %j', (text) => {
    expect(withProviderID(text, ID)).toBe(text);
  });
});
