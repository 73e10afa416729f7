// SPDX-License-Identifier: Apache-2.0
// Ignition itself reads what we write for it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debianConsumers } from '../../hack/stack/debian-packages.ts';
import { IGNITION_VERSIONS, type IgnitionVersion, renderIgnition } from '../../kubeadm/ignition/render.ts';
import { IGNITION_CASES, machine } from '../../kubeadm/ignition/testdata/cases.ts';
import type { MachineContents } from '../../kubeadm/machine-contents.ts';

const readers = await debianConsumers();
const reason = 'reason' in readers ? readers.reason : undefined;
if (reason !== undefined) process.stderr.write(`skipped: ignition-validate: ${reason}\n`);

/** Debian's Ignition has no flavour for spec 2. */
const VERSIONS = IGNITION_VERSIONS.filter((version) => version !== '2.3.0');

interface Options {
  readonly version: IgnitionVersion;
  readonly additionalConfig?: string | undefined;
}

function rendered(contents: MachineContents, { version, additionalConfig }: Options): string {
  const text = renderIgnition(contents, { version, additionalConfig, strict: false });
  // The Ignition of Debian 13 reads 3.4 under the name that it had before it was finished.
  return text.replace('"version":"3.4.0"', '"version":"3.4.0-experimental"');
}

async function problems(texts: readonly string[]): Promise<readonly string[]> {
  if ('reason' in readers) throw new Error(readers.reason);
  const verdicts = await readers.ignitionValidate(texts);
  expect(verdicts).toHaveLength(texts.length);
  return verdicts.flatMap((verdict) => verdict.problems);
}

describe.skipIf(reason !== undefined)('ignition-validate', () => {
  it.each(VERSIONS)('has nothing to say of any machine in %s', async (version) => {
    const texts = IGNITION_CASES.map(({ contents, additionalConfig }) =>
      rendered(contents, { version, additionalConfig }),
    );
    expect(await problems(texts)).toEqual([]);
  });

  it('has nothing to say of machines with anything in them', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const path = fc
      .array(fc.stringMatching(/^[a-z.]{1,4}$/), { maxLength: 4 })
      .map((names) => `/${names.join('/')}`);
    const contents = fc.record({
      files: fc.array(fc.record({ path, content: text, append: fc.boolean() }), { maxLength: 6 }),
      users: fc.array(fc.record({ name: fc.stringMatching(/^[a-z]{1,3}$/), gecos: text }), { maxLength: 4 }),
      preKubeadmCommands: fc.array(text, { maxLength: 3 }),
      mounts: fc.array(
        fc.tuple(
          text.map((label) => `l${label}`),
          path,
        ),
        { maxLength: 3 },
      ),
    });
    const sample = fc.sample(contents, { seed: 4, numRuns: 60 });
    const texts = sample.map((wishes) => rendered(machine(wishes), { version: '3.3.0' }));
    expect(await problems(texts)).toEqual([]);
  });

  it('would say so if there were something', async () => {
    const broken = rendered(machine(), { version: '3.3.0' }).replace('/etc/kubeadm.sh', 'etc/kubeadm.sh');
    expect(await problems([broken])).toEqual(
      expect.arrayContaining([expect.stringContaining('path not absolute')]),
    );
  });
});
