// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Reason } from '../../../api/conditions.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { MachineFacts } from '../../backend.ts';
import { contextOf, machineNamed, sessionOf } from '../instance/instance.fixtures.ts';
import { AWSRefusal } from '../session/session.ts';
import { createUserDataStore, USER_DATA_TAG } from './user-data.ts';

const ctx = contextOf(new FakeClock());

const machine: MachineFacts = machineNamed('m', {
  intent: { attempt: 1, clientToken: 'token', requestHash: 'hash' },
  spec: { aws: { instanceType: 'm5.large', image: { id: 'ami-1' }, iamInstanceProfile: 'nodes' } },
});

const OWN = `ts-provider/prod-1/${createHash('sha256').update('token').digest('hex').slice(0, 16)}`;

/** `deny`: the action that IAM does not allow. */
function account({ deny = '' } = {}) {
  const calls: string[] = [];
  const session = sessionOf((action, input) => {
    calls.push([action, (input as { SecretId?: string }).SecretId ?? ''].join(' ').trim());
    if (action === deny)
      throw new AWSRefusal({
        ...{ reason: Reason.CloudAccessDenied, action, code: 'AccessDeniedException', message: 'no' },
      });
    return {};
  });
  return { calls, session };
}

describe('remove', () => {
  it('deletes what the instance names, of this attempt', async () => {
    const { calls, session } = account();
    const path = `${OWN}/0123456789abcdef`;
    await createUserDataStore().remove(ctx, session, machine, {
      [USER_DATA_TAG]: `secretsmanager:2:${path}`,
    });
    expect(calls).toEqual(['ListSecrets', `DeleteSecret ${path}/0`, `DeleteSecret ${path}/1`]);
  });

  it('knows the cluster by the recorded choice as well: the TSCluster may be gone', async () => {
    const { calls, session } = account();
    const choice = {
      ...{ region: 'eu-central-1', identity: 'default', account: 'a', infrastructureID: 'prod-1' },
      ...{ imageID: 'ami-1', instanceType: 'm5.large', subnetID: 'subnet-1' },
    };
    const left = { ...machine, infrastructureID: undefined, intent: { ...machine.intent!, choice } };
    const path = `${OWN}/0123456789abcdef`;
    await createUserDataStore().remove(ctx, session, left, { [USER_DATA_TAG]: `secretsmanager:1:${path}` });
    expect(calls).toEqual(['ListSecrets', `DeleteSecret ${path}/0`]);
  });

  it.each([
    'prod/db',
    'ts-provider/prod-1/0123456789abcdef/0123456789abcdef',
    `ts-provider/other-1/${OWN.split('/')[2]}/0123456789abcdef`,
    `${OWN}/../db`,
  ])('does not delete what somebody else has: %s', async (path) => {
    const { calls, session } = account();
    await createUserDataStore().remove(ctx, session, machine, {
      [USER_DATA_TAG]: `secretsmanager:1:${path}`,
    });
    expect(calls).toEqual(['ListSecrets']);
  });

  it('asks nothing where the instance says that they are removed', async () => {
    const { calls, session } = account();
    await createUserDataStore().remove(ctx, session, machine, { [USER_DATA_TAG]: 'removed' });
    expect(calls).toEqual([]);
  });

  it('takes a look that is not allowed for none: what may not be seen could not be stored', async () => {
    const { calls, session } = account({ deny: 'ListSecrets' });
    await createUserDataStore().remove(ctx, session, machine);
    expect(calls).toEqual(['ListSecrets']);
  });

  it('says that a look is not allowed where the instance names something', async () => {
    const { session } = account({ deny: 'ListSecrets' });
    const tags = { [USER_DATA_TAG]: `secretsmanager:1:${OWN}/0123456789abcdef` };
    await expect(createUserDataStore().remove(ctx, session, machine, tags)).rejects.toThrow(AWSRefusal);
  });
});
