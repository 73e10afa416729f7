// SPDX-License-Identifier: Apache-2.0
// A vitest reporter that writes how many tests passed, failed and were skipped, and why, for hack/test.ts.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';

/** Names the file that is written. */
export const COUNT_FILE = 'TS_PROVIDER_TEST_COUNT_FILE';

export interface Count {
  readonly passed: number;
  /** Tests, and suites or files that failed as a whole. */
  readonly failed: number;
  /** One line each: which test, suite or file, and the first line of its error. */
  readonly failures: readonly string[];
  /** One line each: which test, and the reason that it gave. */
  readonly skipped: readonly string[];
}

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env[COUNT_FILE];
    if (file !== undefined) writeFileSync(file, JSON.stringify(countOf(modules, unhandledErrors.length)));
  }
}

function countOf(modules: readonly TestModule[], unhandled: number): Count {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (state: string) => tests.filter((test) => test.result().state === state);
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const broken = suites.filter((suite) => suite.errors().length > 0);
  const failed = inState('failed');
  return {
    passed: inState('passed').length,
    failed: failed.length + broken.length + unhandled,
    failures: [
      ...failed.map((test) => `${nameOf(test)}: ${firstLine(test.result().errors)}`),
      ...broken.map((suite) => `${nameOf(suite)}: ${firstLine(suite.errors())}`),
    ],
    skipped: inState('skipped').map(reasonOf),
  };
}

function nameOf(part: TestCase | TestSuite | TestModule): string {
  return part.type === 'module' ? part.relativeModuleId : `${part.module.relativeModuleId}: ${part.fullName}`;
}

function firstLine(errors: readonly { readonly message: string }[] | undefined): string {
  return errors?.[0]?.message.split('\n', 1)[0] ?? 'no error given';
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return `${nameOf(test)}: ${note ?? 'no reason given'}`;
}
