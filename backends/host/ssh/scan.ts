// SPDX-License-Identifier: Apache-2.0
// Asking for host keys without logging in: what is shown to people before they pin one.
import type { Ctx } from '../../../runtime/context.ts';
import type { SshEndpoint } from '../../host-driver.ts';
import { credentialReader } from './credentials.ts';
import { dial, type DialOptions } from './dial.ts';
import { hostKeyCheck } from './host-keys.ts';
import { limit } from './limit.ts';
import { login, offeredHostKey } from './login.ts';
import { bastionPlace, type Place, socketAddress } from './naming.ts';

export interface ScanOptions {
  /** Logged in to first. Its own key must be pinned, or trusted on first use. */
  readonly bastion?: SshEndpoint;
  /** For all of it; 15 s when absent. */
  readonly timeoutMs?: number;
}

/**
 * The key that an end proves to have, `<type> <base64>`; Ed25519 before ECDSA before RSA. Nothing is sent to it but the handshake.
 * TransientError when it cannot be reached; with a bastion, the errors of logging in there.
 */
export async function scanHostKey(
  ctx: Ctx,
  target: { readonly address: string; readonly port: number },
  options: ScanOptions = {},
): Promise<string> {
  const deadline = { clock: ctx.clock, ms: options.timeoutMs ?? 15_000 };
  const bound = limit({ follows: [ctx.signal], deadline });
  const place: Place = { name: `host ${socketAddress(target)}`, field: 'spec.ssh' };
  const reach = { place, target, signal: bound.signal };
  try {
    if (options.bastion === undefined) return await askFor(reach);
    const via = await logInTo(options.bastion, bound.signal);
    return await askFor({ ...reach, via }).finally(() => via.stream.destroy());
  } finally {
    bound.end();
  }
}

async function askFor(reach: DialOptions): Promise<string> {
  const hostKeys = hostKeyCheck(reach.place, { pinned: [], trustAny: true });
  return await offeredHostKey(await dial(reach), { ...reach, hostKeys });
}

async function logInTo(bastion: SshEndpoint, signal: AbortSignal) {
  const place = bastionPlace(bastion);
  const { user } = bastion;
  const identity = credentialReader().read(place, bastion.credentials);
  const hostKeys = hostKeyCheck(place, { pinned: bastion.hostKeys, trustAny: bastion.trustOnFirstUse });
  const stream = await dial({ place, target: bastion, signal });
  const { client } = await login(stream, { place, user, identity, hostKeys, keepaliveMs: 0, signal });
  return { place, client, stream };
}
