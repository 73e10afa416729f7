// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { AWSClusterSpec } from '../../api/aws/cluster.ts';
import { Reason } from '../../api/conditions.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import { openCluster, openRecorded } from './account.ts';
import type { AWSSession, AWSSessions } from './session/session.ts';

const ctx = {} as Ctx;
const A = '111111111111';
const B = '222222222222';

/** Account of each identity, or why it cannot be used. */
let accounts: Record<string, string | Error>;
beforeEach(() => {
  accounts = { old: A, other: B };
});

const sessions: Pick<AWSSessions, 'open'> = {
  open: (_ctx, { identity, region }) => {
    const account = accounts[identity] ?? new TerminalError(Reason.IdentityMissing, `${identity} is missing`);
    if (account instanceof Error) return Promise.reject(account);
    return Promise.resolve({ account, region } as AWSSession);
  },
};

describe('a cluster', () => {
  const open = (accountID: string | undefined) => {
    const aws: AWSClusterSpec = { region: 'r', identityRef: { name: 'old' }, network: { managed: {} } };
    return openCluster(ctx, sessions, { namespace: 'ns', aws: { ...aws, ...(accountID && { accountID }) } });
  };

  it('is reached in its account, and in any before one is recorded', async () => {
    expect(await open(A)).toMatchObject({ account: A, region: 'r' });
    accounts['old'] = B;
    expect(await open(undefined)).toMatchObject({ account: B });
  });

  it('is not looked for in another one; the message names identity, accounts, field and the way out', async () => {
    accounts['old'] = B;
    await expect(open(A)).rejects.toMatchObject({
      reason: 'IdentityInvalid',
      message:
        `TSClusterIdentity old is of account ${B}, and spec.aws.accountID of the TSCluster is ${A}: nothing is made, changed or deleted. ` +
        `Give the identity credentials of ${A}, or name one that has them in spec.aws.identityRef of the TSCluster`,
    });
  });
});

describe('what was recorded', () => {
  const home = { namespace: 'ns', identity: 'old', region: 'r', account: A, told: 'this pool was made in' };
  const open = (now: string | undefined) => openRecorded(ctx, sessions, home, now);
  const gone = new TerminalError(Reason.IdentityMissing, 'old is missing');
  const throttled = new TransientError('throttled');

  it.each<[string, Record<string, string | Error>, string | undefined, string]>([
    ['as it was', { old: A }, 'other', A],
    ['without a cluster', { old: A }, undefined, A],
    ['its identity gone: as the cluster now', { old: gone, other: A }, 'other', A],
    ['its identity moved: as the cluster now', { old: B, other: A }, 'other', A],
  ])('is reached %s', async (_how, given, now, account) => {
    accounts = given;
    expect(await open(now)).toMatchObject({ account, region: 'r' });
  });

  it.each<[string, Record<string, string | Error>, string | undefined, RegExp]>([
    ['its identity moved', { old: B }, 'old', /old is of account 2+, and this pool was made in 1+:/],
    ['and the cluster as well', { old: gone, other: B }, 'other', /other is of account 2+, and this pool/],
    ['its identity gone, and no cluster', { old: gone }, undefined, /old is missing/],
    ['while AWS does not answer', { old: throttled, other: A }, 'other', /throttled/],
  ])('is not reached: %s', async (_why, given, now, message) => {
    accounts = given;
    await expect(open(now)).rejects.toThrow(message);
  });
});
