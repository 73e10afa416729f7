// SPDX-License-Identifier: Apache-2.0
// What is asked of the TSHost controller, the only one that works on hosts: annotations, which it answers.
import { TSHostKind } from '../../api/kinds.ts';
import { HOLD_KUBELET_ANNOTATION, REBOOT_ANNOTATION } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { Ctx } from '../../runtime/context.ts';
import { nameOf } from '../../runtime/object.ts';
import type { RemediationDeps } from './scope.ts';

type Deps = Pick<RemediationDeps, 'client' | 'cache'>;

/** The boot that somebody wants to end. */
export function askedBoot({ metadata }: TSHost): string | undefined {
  return metadata.annotations?.[REBOOT_ANNOTATION];
}

/** What was asked or answered about the kubelet. */
export function holdOf(host: TSHost | undefined): string | undefined {
  return host?.metadata.annotations?.[HOLD_KUBELET_ANNOTATION];
}

/** Asks for the end of a boot; nothing is written where it stands there already. */
export async function askForReboot(
  ctx: Ctx,
  deps: Deps,
  host: TSHost,
  { bootID, holdKubelet }: { readonly bootID: string; readonly holdKubelet: boolean },
): Promise<void> {
  const hold = holdKubelet ? { [HOLD_KUBELET_ANNOTATION]: 'hold' } : {};
  await annotate(ctx, deps, host, { [REBOOT_ANNOTATION]: bootID, ...hold });
}

/** Nobody wants a reboot any more, and the kubelet may start. */
export async function withdraw(ctx: Ctx, deps: Deps, host: TSHost): Promise<void> {
  const release = holdOf(host) === undefined ? {} : { [HOLD_KUBELET_ANNOTATION]: 'release' };
  await annotate(ctx, deps, host, { [REBOOT_ANNOTATION]: null, ...release });
}

/** Only the reboot. Answers the host as it is then. */
export function withdrawReboot(ctx: Ctx, deps: Deps, host: TSHost): Promise<TSHost> {
  return annotate(ctx, deps, host, { [REBOOT_ANNOTATION]: null });
}

/** Guarded by the version that was read: the TSHost controller may be answering at this moment. */
async function annotate(
  ctx: Ctx,
  { client, cache }: Deps,
  host: TSHost,
  annotations: Readonly<Record<string, string | null>>,
): Promise<TSHost> {
  const present = host.metadata.annotations ?? {};
  if (Object.entries(annotations).every(([name, value]) => (present[name] ?? null) === value)) return host;
  const { resourceVersion } = host.metadata;
  const body = { metadata: { resourceVersion, annotations } };
  const answer = await client.patch(TSHostKind, nameOf(host), body, { signal: ctx.signal });
  cache.absorb(TSHostKind, answer);
  return answer;
}
