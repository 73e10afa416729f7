// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens in workload clusters (KB-21 to KB-24). A token is a Secret there; its name holds the public half.
import { SecretKind } from '../../api/kinds.ts';
import type { Secret } from '../../api/cluster-api.ts';
import { tokenNeedsRotation, tokenSecret, tokenSecretName, tokenState } from '../../kubeadm/token.ts';
import type { Client } from '../../runtime/client.ts';
import type { Ctx } from '../../runtime/context.ts';
import { isAlreadyExists, isNotFound } from '../../runtime/errors.ts';

/** One token in one workload cluster. */
export interface TokenOptions {
  readonly workload: Client;
  readonly token: string;
  readonly ttlMs: number;
}

/** Makes the token unless it is there; one that is there from an interrupted pass is given its whole life again. */
export async function ensureToken(ctx: Ctx, options: TokenOptions): Promise<void> {
  const { workload, token, ttlMs } = options;
  try {
    await workload.create(SecretKind, tokenSecret(token, { now: ctx.clock.now(), ttlMs }), ctx.signal);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    // Gone again in between: the next pass makes it.
    if ((await refreshToken(ctx, options)) === 'lost') throw error;
  }
}

/** Gives a token that gets old its whole life again; `lost` when the cluster does not have it any more (KB-22). */
export async function refreshToken(ctx: Ctx, options: TokenOptions): Promise<'kept' | 'lost'> {
  const { workload, ttlMs } = options;
  const secret = await readToken(ctx, options);
  if (secret === undefined) return 'lost';
  const state = tokenState(secret, { now: ctx.clock.now(), ttlMs });
  if (state.kind === 'fresh') return 'kept';
  const expiration = Buffer.from(state.expiration).toString('base64');
  try {
    await workload.patch(
      SecretKind,
      nameFor(options.token),
      { data: { expiration } },
      { signal: ctx.signal },
    );
    return 'kept';
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return 'lost';
  }
}

/** Whether a pool, all of whose Nodes have joined, is to get another token for those that come later (KB-24). */
export async function isRotationDue(ctx: Ctx, options: TokenOptions): Promise<boolean> {
  const secret = await readToken(ctx, options);
  return secret === undefined || tokenNeedsRotation(secret, { now: ctx.clock.now(), ttlMs: options.ttlMs });
}

function readToken(ctx: Ctx, { workload, token }: TokenOptions): Promise<Secret | undefined> {
  return workload.get(SecretKind, nameFor(token), ctx.signal);
}

function nameFor(token: string) {
  return { namespace: 'kube-system', name: tokenSecretName(token) };
}
