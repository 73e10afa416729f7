// SPDX-License-Identifier: Apache-2.0
// What may stay on a host that was prepared: software, which the next machine uses, and what such software leaves when it runs.
import type { TestHost } from '../../hack/hosts/world.ts';

/** Lines of {@link TestHost.traces} that tell of no cluster, each with the reason. */
const SOFTWARE: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^package /, 'packages stay'],
  [
    /^file \/etc\/alternatives\/|^file \/usr\/sbin\/(ip6?|arp|eb)tables/,
    'links that packages make when they are installed',
  ],
  [
    /^file \/etc\/(rc\d\.d\/[SK]\d+|systemd\/system\/multi-user\.target\.wants\/)keepalived/,
    'the same, of a service',
  ],
  [/^file \/(usr\/local\/bin|opt\/cni|opt\/ts-provider)/, 'programs and plugins stay'],
  [/^file \/var\/lib\/containerd\//, 'images stay'],
  [
    /^file \/(opt\/containerd|run\/containerd|run\/nri|etc\/cni)$/,
    'empty folders that containerd makes at its start',
  ],
];

/** In what may only be empty. */
const IN_FOLDERS = 'find /opt/containerd /etc/cni ! -type d 2>/dev/null';

/** Everything that is on the host, was not there when it was fresh, and is not software. */
export async function clusterTraces(host: TestHost): Promise<string[]> {
  const lines = await host.traces();
  const { stdout } = await host.exec(['sh', '-c', IN_FOLDERS]);
  return [
    ...lines.filter((line) => !SOFTWARE.some(([pattern]) => pattern.test(line))),
    ...stdout.split('\n').filter((line) => line !== ''),
  ];
}
