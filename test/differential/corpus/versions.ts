// SPDX-License-Identifier: Apache-2.0
// Each Kubernetes minor with a rich spec, and versions in the forms that people write.
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, MINORS, poolJoin, workerJoin } from './builders.ts';
import { rich } from './specs.ts';

const minors = MINORS.flatMap((minor): Scenario[] => {
  const version = `v1.${minor}.2`;
  const name = `minor-${minor}`;
  return [
    init(name, rich(), { version }),
    controlPlaneJoin(name, rich(), { version }),
    workerJoin(name, rich(), { version }),
  ];
});

/** Versions with what is peculiar about them. */
const forms: readonly (readonly [string, string])[] = [
  ['without-v', '1.36.3'],
  ['oldest', 'v1.22.0'],
  ['last-of-v1beta3', 'v1.30.99'],
  ['pre-release', 'v1.31.0-alpha.1'],
  ['pre-release-of-v1beta3', 'v1.30.0-rc.0'],
  ['with-build', 'v1.36.3+build.1'],
  ['two-numbers', 'v1.33'],
  ['future-major', 'v2.0.0'],
];

export const versions: readonly Scenario[] = [
  ...minors,
  ...[28, 31, 37].map((minor) => poolJoin(`minor-${minor}`, rich(), { version: `v1.${minor}.0` })),
  ...forms.flatMap(([name, version]) => [
    init(`version-${name}`, rich(), { version }),
    workerJoin(`version-${name}`, { verbosity: 0 }, { version }),
  ]),
];
