// SPDX-License-Identifier: Apache-2.0
// The stock provider and ours get the same objects, each on an API server of its own; what they leave is compared part by part.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack as findStack } from '../../hack/stack/build.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { certificateSource } from './certificates.ts';
import { type Difference, differences, printed } from './compare.ts';
import { corpus } from './corpus/all.ts';
import { generated } from './generated.ts';
import { type Comparison, INTENDED, type IntendedDifference } from './intended.ts';
import { normalise, type Outcome } from './normalise.ts';
import { type Remains, runScenarios } from './run.ts';
import type { Scenario } from './scenario.ts';
import { startWorld, type World } from './world.ts';

const scenarios: readonly Scenario[] = [...corpus, ...generated];

let directory: TemporaryDirectory;
const worlds: World[] = [];
const results: { stock?: Result; ours?: Result } = {};

interface Result {
  readonly remains: Remains;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

beforeAll(async () => {
  const stack = await findStack();
  directory = temporaryDirectory('differential');
  const dir = directory.path;
  const source = await certificateSource(stack, dir);
  const run = async (candidate: 'stock' | 'ours') => {
    const world = await startWorld({ candidate, stack, dir });
    worlds.push(world);
    const remains = await runScenarios(world, source, scenarios);
    const outcomes = new Map(scenarios.map((one) => [one.id, normalise(one, remains)]));
    results[candidate] = { remains, outcomes };
  };
  await Promise.all([run('stock'), run('ours')]);
}, 900_000);

afterAll(async () => {
  await Promise.all(worlds.map((world) => world.stop()));
  directory.remove();
});

function outcomeOf(candidate: 'stock' | 'ours', id: string): Outcome {
  const outcome = results[candidate]?.outcomes.get(id);
  if (outcome === undefined) throw new Error(`${candidate} has no outcome of ${id}`);
  return outcome;
}

function comparisonOf(scenario: Scenario): Comparison {
  const { id } = scenario;
  return { scenario, stock: outcomeOf('stock', id), ours: outcomeOf('ours', id) };
}

function differencesIn({ stock, ours }: Comparison): Difference[] {
  return differences(stock, ours);
}

describe('the same input', () => {
  it.each(scenarios.map((one) => [one.id, one] as const))('%s gives the same', (_, scenario) => {
    const comparison = comparisonOf(scenario);
    const unexplained = differencesIn(comparison).filter(
      (difference) => !INTENDED.some((intended) => intended.applies(difference, comparison)),
    );
    expect(unexplained.map(printed)).toEqual([]);
  });

  it.each(corpus.map((one) => [one.id, one] as const))('%s ends as it should', (id, { expect: wanted }) => {
    const outcome = outcomeOf('ours', id);
    expect(outcome['refused']).toBe(false);
    expect(outcome['data'] === null ? 'held' : 'data').toBe(wanted);
  });
});

describe('intended differences', () => {
  const occurs = (intended: IntendedDifference) =>
    scenarios
      .map(comparisonOf)
      .some((comparison) => differencesIn(comparison).some((one) => intended.applies(one, comparison)));

  it.each(INTENDED.filter(({ sometimes }) => sometimes !== true))('$id occurs', (intended) => {
    expect(occurs(intended)).toBe(true);
  });
});

describe('bootstrap tokens', () => {
  it('are one for each config that wants one, with ours', () => {
    const remains = results.ours?.remains;
    const given = scenarios.flatMap(({ tokens = [] }) => tokens.map(({ token }) => token.split('.')[0]));
    const wanted = [...(remains?.configs.values() ?? [])].map(
      ({ spec }) =>
        (
          spec as { joinConfiguration?: { discovery?: { bootstrapToken?: { token?: string } } } } | undefined
        )?.joinConfiguration?.discovery?.bootstrapToken?.token?.split('.')[0],
    );
    const expected = new Set([...given, ...wanted].filter((id) => id !== undefined));
    const found = [...(remains?.tokens.keys() ?? [])].map((name) => name.replace('bootstrap-token-', ''));
    expect(found.filter((id) => !expected.has(id))).toEqual([]);
  });
});
