// SPDX-License-Identifier: Apache-2.0
// Documents through the real cloud-init of Debian, and through our steps: the same files, users, names and commands.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { interpret, InterpretError } from '../../backends/host/cloud-config/interpret.ts';
import { compare, DIFFERENCES } from './cloud-init/differences.ts';
import { DOCUMENTS, REFUSED } from './cloud-init/documents.ts';
import { generatedDocuments } from './cloud-init/generated.ts';
import { cloudInitRoot, whyNot } from './cloud-init/root.ts';
import { type Case, METADATA, runOurs, runReal } from './cloud-init/run.ts';

/** Two processors: one for each side. */
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

  async function problemsOf(one: Case): Promise<string[]> {
    const [real, ours] = await Promise.all([runReal(root, one), runOurs(root, one)]);
    return compare(real, ours, met);
  }

  it('has enough documents', () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  describe.concurrent('do the same', { timeout: 120_000, concurrent: true }, () => {
    const batches = Array.from({ length: AT_ONCE }, (_, batch) =>
      cases.filter((_one, index) => index % AT_ONCE === batch),
    );
    it.each(batches.map((batch, index) => ({ batch, index })))(
      'batch $index',
      async ({ batch }) => {
        const found: Record<string, string[]> = {};
        for (const one of batch) {
          const problems = await problemsOf(one);
          if (problems.length > 0) found[one.name] = problems;
        }
        expect(found).toEqual({});
      },
      1_200_000,
    );
  });

  it.each(REFUSED)('%j is refused at %s', (text, field) => {
    let seen: unknown;
    try {
      interpret(`#cloud-config\n${text}`, METADATA);
    } catch (error) {
      seen = error;
    }
    expect(seen).toBeInstanceOf(InterpretError);
    expect((seen as InterpretError).field).toBe(field);
  });

  afterAll(() => {
    // A difference that no document shows would be a promise about nothing.
    expect([...met].sort()).toEqual(DIFFERENCES.map(({ id }) => id).sort());
  });
});
