// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Reason } from '../../../api/conditions.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import type { BootstrapData, MachineFacts } from '../../backend.ts';
import { contextOf, machineNamed, sessionOf } from '../instance/instance.fixtures.ts';
import { AWSRefusal } from '../session/session.ts';
import { createUserDataStore, tagsOfFence, USER_DATA_TAG } from './user-data.ts';

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

const DATA: BootstrapData = { format: 'cloud-config', value: Buffer.from('#cloud-config\n') };

interface Secret {
  readonly Name: string;
  readonly Tags: readonly { readonly Key: string; readonly Value: string }[];
}

/** Secrets Manager with what is stored in it. */
function secretsManager() {
  const calls: string[] = [];
  const secrets = new Map<string, Secret>();
  const session = sessionOf((action, input) => {
    calls.push(action);
    const {
      Name = '',
      SecretId = '',
      Filters = [],
    } = input as Partial<Secret> & {
      readonly SecretId?: string;
      readonly Filters?: readonly { readonly Values: readonly string[] }[];
    };
    if (action === 'CreateSecret') secrets.set(Name, input as Secret);
    if (action === 'DeleteSecret') secrets.delete(SecretId);
    const isAsked = ({ Tags }: Secret) =>
      Filters.every(({ Values }) => Tags.some((tag) => Values.some((value) => tag.Value.startsWith(value))));
    return { SecretList: [...secrets.values()].filter(isAsked) };
  });
  return { session, names: () => [...secrets.keys()], calls };
}

const storing = (name: string, clientToken: string) => {
  const intent = { attempt: 1, clientToken, requestHash: 'hash' };
  const userData = { storage: 'SecretsManager' } as const;
  const spec = { aws: { ...machine.spec.aws!, userData } };
  return { ...machineNamed(name, { spec }), intent };
};

describe('what a manager stored before it died', () => {
  it('for an attempt that was refused goes with what the next attempt stored', async () => {
    const { session, names } = secretsManager();
    const [first, second, other] = [storing('m', 'one'), storing('m', 'two'), storing('m-1', 'three')];
    await createUserDataStore().prepare(ctx, session, other, other.intent, DATA);
    const stays = names();
    await createUserDataStore().prepare(ctx, session, first, first.intent, DATA);
    const { tags } = await createUserDataStore().prepare(ctx, session, second, second.intent, DATA);
    expect(names()).toHaveLength(3);
    await createUserDataStore().remove(ctx, session, second, tags);
    expect(names()).toEqual(stays);
  });

  it('goes where the instance only used the token up', async () => {
    const { session, names } = secretsManager();
    const own = storing('m', 'one');
    await createUserDataStore().prepare(ctx, session, own, own.intent, DATA);
    await createUserDataStore().remove(ctx, session, own, tagsOfFence(own));
    expect(names()).toEqual([]);
  });

  it('goes with a restored object, which has another UID', async () => {
    const { session, names } = secretsManager();
    const own = storing('m', 'one');
    await createUserDataStore().prepare(ctx, session, own, own.intent, DATA);
    await createUserDataStore().remove(ctx, session, { ...own, uid: 'another' });
    expect(names()).toEqual([]);
  });

  it('stays where a copy goes, which knows nothing of the attempts that followed', async () => {
    const { session, names } = secretsManager();
    const [old, own] = [storing('m', 'one'), storing('m', 'two')];
    await createUserDataStore().prepare(ctx, session, own, own.intent, DATA);
    await createUserDataStore().remove(ctx, session, { ...old, uid: 'another' });
    expect(names()).toHaveLength(1);
  });

  it('is not sought for a machine that can store nothing', async () => {
    const { session, calls } = secretsManager();
    const { aws } = machine.spec;
    for (const spec of [
      { aws: { ...aws!, userData: { storage: 'Inline' as const } } },
      { aws: { ...aws!, iamInstanceProfile: undefined } },
    ]) {
      const own = { ...machine, spec } as MachineFacts;
      await createUserDataStore().remove(ctx, session, own, tagsOfFence(own));
    }
    expect(calls).toEqual([]);
  });
});

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

  it('takes it for none as well where the instance only used the token up', async () => {
    const { calls, session } = account({ deny: 'ListSecrets' });
    await createUserDataStore().remove(ctx, session, machine, tagsOfFence(machine));
    expect(calls).toEqual(['ListSecrets']);
  });

  it('says that a look is not allowed where the instance names something', async () => {
    const { session } = account({ deny: 'ListSecrets' });
    const tags = { [USER_DATA_TAG]: `secretsmanager:1:${OWN}/0123456789abcdef` };
    await expect(createUserDataStore().remove(ctx, session, machine, tags)).rejects.toThrow(AWSRefusal);
  });
});
