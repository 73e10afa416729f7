// SPDX-License-Identifier: Apache-2.0
// Documents through the real cloud-init of Debian, and through our steps: the same files, users, names and commands.
import { beforeAll, describe, expect, it } from 'vitest';
import { interpret, InterpretError } from '../../backends/host/cloud-config/interpret.ts';
import { compare, DIFFERENCES } from './cloud-init/differences.ts';
import { DOCUMENTS, ONE_SIDED, REFUSED, REFUSED_TEMPLATES } from './cloud-init/documents.ts';
import { generatedDocuments } from './cloud-init/generated.ts';
import { cloudInitRoot, whyNot } from './cloud-init/root.ts';
import { type Case, METADATA, runOurs, runReal } from './cloud-init/run.ts';

/** Documents at the same time. */
const AT_ONCE = 3;

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`cloud-init is not compared: ${reason}\n`);

describe.skipIf(reason !== undefined)('steps and the real cloud-init', () => {
  const cases = [...DOCUMENTS, ...generatedDocuments()];
  const met = new Set<string>();
  let root = '';

  beforeAll(async () => {
    root = await cloudInitRoot((line) => process.stderr.write(`${line}\n`));
  }, 600_000);

  it('has enough documents', () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it('do the same', async () => {
    const found: Record<string, string[]> = {};
    await eachOf(cases, async (one) => {
      const [real, ours] = await Promise.all([runReal(root, one), runOurs(root, one)]);
      const problems = compare(real, ours, met);
      if (problems.length > 0) found[one.name] = problems;
    });
    expect(found).toEqual({});
  }, 1_800_000);

  // A difference that no document shows would be a promise about nothing.
  it('differ in each way that is meant', () => {
    expect([...met].sort()).toEqual(DIFFERENCES.map(({ id }) => id).sort());
  });

  it.each(ONE_SIDED)('differ: $what', { timeout: 120_000 }, async ({ document, ...expected }) => {
    expect(expected.real(await runReal(root, document))).toBe(true);
    expect(expected.ours(await runOurs(root, document))).toBe(true);
  });

  it.each(REFUSED)('%j is refused at %s', (text, field) => {
    expect(refusalOf(`#cloud-config\n${text}`).field).toBe(field);
  });

  it.each(REFUSED_TEMPLATES)('%j is refused', (text) => {
    expect(refusalOf(`## template: jinja\n#cloud-config\n${text}\n`).message).toMatch(/^Jinja/);
  });
});

function refusalOf(text: string): InterpretError {
  try {
    interpret(text, METADATA);
  } catch (error) {
    if (error instanceof InterpretError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** Some at a time: each starts a Python of its own. */
async function eachOf(cases: readonly Case[], work: (one: Case) => Promise<void>): Promise<void> {
  const waiting = [...cases];
  const worker = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
