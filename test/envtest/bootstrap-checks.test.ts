// SPDX-License-Identifier: Apache-2.0
// Our checks against those who read the data in the end: kubeadm, cloud-init, and the API server for taints. Whatever we refuse, they
// refuse; and of what is known to be wrong, nothing passes us.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NodeKind } from '../../api/kinds.ts';
import { type APIServer, startAPIServer } from '../../hack/stack/api-server.ts';
import { stack as findStack, type Stack } from '../../hack/stack/build.ts';
import { debianConsumers } from '../../hack/stack/debian-packages.ts';
import { compactIgnition } from '../../kubeadm/ignition/compact.ts';
import { machineContents, renderBootstrapData } from '../../kubeadm/render.ts';
import { createClient, loadKubeConfig } from '../../runtime/client.ts';
import {
  type CheckCase,
  inputOf,
  JINJA_FAULTS,
  KUBEADM_FAULTS,
  problemsOf,
  RIGHT,
  TAINT_FAULTS,
} from '../check-cases.ts';
import { anyFaultyCase } from '../faulty-cases.ts';

let stack: Stack;
let folder: string;

beforeAll(async () => {
  stack = await findStack();
  folder = mkdtempSync(join(tmpdir(), 'bootstrap-checks-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What kubeadm complains of; empty when it is content. First the text becomes what it would be on a machine. */
async function complaints(one: Omit<CheckCase, 'name'>): Promise<string> {
  const file = join(folder, 'kubeadm.yaml');
  const text = machineContents(inputOf(one))
    .kubeadmConfig.replaceAll(/\{\{[^}]*\}\}|\$\(hostname\)|@@HOSTNAME@@/g, 'node-1')
    .replace('certificatesDir: PKI', 'certificatesDir: /etc/pki')
    // Every file is there.
    .replace(/kubeConfigPath: (?:\/.*|file:.*)$/m, `kubeConfigPath: ${file}`)
    .replace(/^kubernetesVersion: .*$/m, `kubernetesVersion: ${stack.versions.kubernetes}`);
  writeFileSync(file, text);
  return new Promise((resolve) => {
    const args = ['config', 'validate', '--config', file];
    execFile(stack.binaries.kubeadm, args, { timeout: 30_000 }, (error, _, stderr) =>
      resolve(error === null ? '' : stderr || error.message),
    );
  });
}

describe('kubeadm config validate', () => {
  it.each(KUBEADM_FAULTS)('finds $name too', async (one) => {
    expect(await complaints(one)).not.toBe('');
  });

  it.each(RIGHT)('has nothing to say of $name either', async (one) => {
    expect(await complaints(one)).toBe('');
  });

  it('is of our opinion about anything', { timeout: 240_000 }, async () => {
    const sample = fc.sample(anyFaultyCase, { seed: 4, numRuns: 120 });
    const refused = sample.filter((one) => problemsOf(one).length > 0);
    // Of both there is enough to tell something.
    expect(refused.length).toBeGreaterThan(30);
    expect(sample.length - refused.length).toBeGreaterThan(20);
    for (const one of sample) {
      const ours = problemsOf(one).map(({ field }) => field);
      const theirs = await complaints(one);
      expect({ one, ours, theirs, found: theirs !== '' }).toMatchObject({ found: ours.length > 0 });
    }
  });
});

const readers = await debianConsumers();
const reason = 'reason' in readers ? readers.reason : undefined;
if (reason !== undefined) process.stderr.write(`skipped: cloud-init: ${reason}\n`);

describe.skipIf(reason !== undefined)('cloud-init', () => {
  /** What it says of Jinja: the document is lost then. */
  async function lost(cases: readonly CheckCase[]): Promise<string[]> {
    if ('reason' in readers) throw new Error(readers.reason);
    const texts = cases.map((one) => renderBootstrapData(inputOf(one)).value);
    const verdicts = await readers.cloudInitSchema(texts);
    return cases.filter((_, index) => verdicts[index]?.document === undefined).map(({ name }) => name);
  }

  it('drops the document for every tag that we refuse', async () => {
    expect(await lost(JINJA_FAULTS)).toEqual(JINJA_FAULTS.map(({ name }) => name));
  });

  it('reads every document that we let pass', async () => {
    expect(await lost(RIGHT)).toEqual([]);
  });
});

describe.skipIf(reason !== undefined)('Ignition', () => {
  it('reads packed contents as it reads plain ones', async () => {
    if ('reason' in readers) throw new Error(readers.reason);
    const spec = { format: 'ignition' as const, files: [{ path: '/a', content: 'a\n'.repeat(5000) }] };
    const input = inputOf({ purpose: 'worker-join', spec });
    const { value } = renderBootstrapData({ ...input, ignitionVersion: '3.3.0' });
    const packed = compactIgnition(value);
    expect(packed.length).toBeLessThan(value.length / 2);
    const verdicts = await readers.ignitionValidate([value, packed]);
    expect(verdicts).toEqual([{ problems: [] }, { problems: [] }]);
  });
});

describe('the API server', () => {
  let apiServer: APIServer;

  beforeAll(async () => {
    apiServer = await startAPIServer({ stack, dir: folder, name: 'taints' });
  });
  afterAll(() => apiServer?.stop());

  it('refuses a Node with any of the taints that we refuse, and no other', async () => {
    const client = createClient({ kubeConfig: loadKubeConfig({ path: apiServer.kubeconfig }) });
    const create = (one: CheckCase, index: number) => {
      const { taints = [] } = one.spec.joinConfiguration?.nodeRegistration ?? {};
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${index}` }, spec: { taints } };
      return client.create(NodeKind, node).then(
        () => 'accepted',
        (error: unknown) => (error as { reason?: string }).reason,
      );
    };
    const right = RIGHT.filter(({ spec }) => spec.joinConfiguration?.nodeRegistration?.taints !== undefined);
    const answers = await Promise.all([...TAINT_FAULTS, ...right].map(create));
    expect(answers).toEqual([...TAINT_FAULTS.map(() => 'Invalid'), ...right.map(() => 'accepted')]);
    expect(right).not.toEqual([]);
  });
});
