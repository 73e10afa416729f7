// SPDX-License-Identifier: Apache-2.0
// What kubeadm itself says of the documents that we write for it (KB-40 to KB-44).
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../hack/stack/build.ts';
import { clusterFacts, type DocumentFile, documentFiles, documentText, VERSIONS } from '../document-cases.ts';

let kubeadm: string;
let folder: string;

beforeAll(async () => {
  kubeadm = (await stack()).binaries.kubeadm;
  folder = mkdtempSync(join(tmpdir(), 'kubeadm-validate-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** kubeadm reads older API versions, but makes no cluster of an older Kubernetes than its own last two. */
const OWN_VERSION = 'v1.36.3';

/**
 * What kubeadm complains of; empty when it is content. It reads strictly: an unknown or repeated key is an error. First the text
 * becomes what it would be on a machine: jinja is evaluated, and a kubeconfig for discovery is there.
 */
async function complaints(text: string): Promise<string> {
  const file = join(folder, 'kubeadm.yaml');
  const there = text
    .replaceAll(/\{\{[^}]*\}\}/g, 'node-1')
    .replace(/kubeConfigPath: .*$/m, `kubeConfigPath: ${file}`)
    .replace(/^kubernetesVersion: .*$/m, `kubernetesVersion: ${OWN_VERSION}`);
  writeFileSync(file, there);
  return new Promise((resolve) => {
    execFile(kubeadm, ['config', 'validate', '--config', file], { timeout: 30_000 }, (error, _, stderr) =>
      resolve(error === null ? '' : stderr || error.message),
    );
  });
}

/** What kubeadm 1.36 refuses although its own API has it: it gives every token a lifetime, and then finds both. */
const REFUSED: Readonly<Record<string, string>> = {
  'init-token-expires': 'the BootstrapToken .TTL and .Expires fields are mutually exclusive',
};

function render({ purpose, version, input }: Omit<DocumentFile, 'name'> & { version: string }): string {
  return documentText({ purpose, input: { ...input, kubernetesVersion: version } });
}

describe('kubeadm config validate', () => {
  it('complains of what is wrong', async () => {
    const text = documentText({
      purpose: 'init',
      input: { spec: {}, cluster: clusterFacts(), kubernetesVersion: OWN_VERSION },
    });
    expect(await complaints(text.replace('clusterName:', 'clusterNane:'))).toContain('clusterNane');
  });

  const cases = documentFiles().flatMap((file) => VERSIONS.map((version) => ({ ...file, version })));

  it.each(cases.filter(({ name }) => name in REFUSED))(
    'refuses $name for $version',
    async ({ name, ...one }) => {
      expect(await complaints(render(one))).toContain(REFUSED[name]);
    },
  );

  it.each(cases.filter(({ name }) => !(name in REFUSED)))(
    'is content with $name for $version',
    async (one) => {
      expect(await complaints(render(one))).toBe('');
    },
  );
});
