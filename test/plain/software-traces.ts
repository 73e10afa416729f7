// SPDX-License-Identifier: Apache-2.0
// What may stay on a host that was prepared: software, which the next machine uses, and what such software leaves when it runs.
import type { TestHost } from '../../hack/hosts/world.ts';

/** Lines of {@link TestHost.traces} that tell of no cluster, each with the reason. */
const SOFTWARE: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^package /, 'packages stay'],
  [/^(file|changed file) \/(usr\/local\/bin|opt\/cni|opt\/ts-provider|opt$)/, 'programs and plugins stay'],
  [/^file \/(var\/lib|run)\/containerd\//, 'images stay'],
];

/** Everything that is on the host, was not there when it was fresh, and is not software. */
export async function clusterTraces(host: TestHost): Promise<string[]> {
  const lines = await host.traces();
  return lines.filter((line) => !SOFTWARE.some(([pattern]) => pattern.test(line)));
}
