// SPDX-License-Identifier: Apache-2.0
// The corpus has every field of the spec, every value of its enumerations, every purpose and every Kubernetes minor.
import { describe, expect, it } from 'vitest';
import { MINORS } from './corpus/builders.ts';
import { corpus } from './corpus/all.ts';
import { GENERATED_COUNT, generated } from './generated.ts';
import { purposeOf } from './scenario.ts';
import { fieldsIn, fieldsOf, SPEC_SCHEMA } from './schema.ts';

/** Refused when it is rendered, or only right together with other fields. */
const ONLY_IN_CORPUS = [
  'initConfiguration.bootstrapTokens[].expires',
  'files[].encoding=gzip',
  'files[].contentFormat=Template',
];

const PURPOSES = ['init', 'control-plane-join', 'worker-join', 'pool-join'];
const rendered = corpus.filter(({ expect: wanted }) => wanted === 'data');

describe('the corpus', () => {
  it('has 150 inputs or more, each with a name of its own', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(150);
    expect(new Set([...corpus, ...generated].map(({ id }) => id)).size).toBe(
      corpus.length + generated.length,
    );
  });

  it.each(fieldsOf(SPEC_SCHEMA))('has %s', (field) => {
    expect(corpus.some(({ spec }) => fieldsIn(spec).includes(field))).toBe(true);
  });

  it.each(PURPOSES)('has %s with each format', (purpose) => {
    const formats = rendered.filter((one) => purposeOf(one) === purpose).map(({ spec }) => spec.format);
    expect(formats).toContain('ignition');
    expect(formats.some((format) => format !== 'ignition')).toBe(true);
  });

  it.each(MINORS)('has Kubernetes 1.%i for init, control plane join and worker', (minor) => {
    const purposes = rendered
      .filter(({ version = '' }) => version.startsWith(`v1.${minor}.`))
      .map((one) => purposeOf(one));
    expect(purposes).toEqual(expect.arrayContaining(['init', 'control-plane-join', 'worker-join']));
  });

  it.each(['absent', 'empty', 'set'])('has taints %s', (state) => {
    const states = rendered.map(({ spec, cluster }) => {
      const { initConfiguration, joinConfiguration } = spec;
      const taints = (cluster.initialized ? joinConfiguration : initConfiguration)?.nodeRegistration?.taints;
      return taints === undefined ? 'absent' : taints.length === 0 ? 'empty' : 'set';
    });
    expect(states).toContain(state);
  });
});

describe('the generated inputs', () => {
  it('are 500 or more and the same in every run', () => {
    expect(GENERATED_COUNT).toBeGreaterThanOrEqual(500);
    expect(generated).toHaveLength(GENERATED_COUNT);
  });

  it('have every purpose, format and minor', () => {
    for (const purpose of PURPOSES) expect(generated.map((one) => purposeOf(one))).toContain(purpose);
    for (const minor of MINORS)
      expect(generated.some(({ version = '' }) => version.startsWith(`v1.${minor}.`))).toBe(true);
    for (const format of ['cloud-config', 'ignition'])
      expect(generated.map(({ spec }) => spec.format)).toContain(format);
  });

  it('have every field but those that need more than chance', () => {
    const found = new Set(generated.flatMap(({ spec }) => fieldsIn(spec)));
    const missing = fieldsOf(SPEC_SCHEMA).filter((field) => !found.has(field));
    expect(missing).toEqual(ONLY_IN_CORPUS);
  });
});
