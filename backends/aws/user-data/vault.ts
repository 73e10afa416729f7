// SPDX-License-Identifier: Apache-2.0
// The two services where bootstrap data may wait for their instance, as one shape.
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  ListSecretsCommand,
  type ListSecretsCommandOutput,
} from '@aws-sdk/client-secrets-manager';
import {
  DeleteParametersCommand,
  DescribeParametersCommand,
  type DescribeParametersCommandOutput,
  PutParameterCommand,
} from '@aws-sdk/client-ssm';
import type { Ctx } from '../../../runtime/context.ts';
import { type AWSSession, isRefused } from '../session/session.ts';
import { MACHINE_UID_TAG, tagList, tagValue, TOKEN_TAG } from '../tags.ts';
import type { Service } from './form.ts';

/** One part of the data. */
export interface Stored {
  readonly name: string;
  readonly bytes: Buffer;
  readonly tags: Readonly<Record<string, string>>;
}

/** Names say what is inside (by a hash), so that what is there already is never another content. */
export interface Vault {
  /** Most bytes of one part. */
  readonly partBytes: number;
  /** What names begin with. */
  readonly prefix: string;
  /** Does nothing where the name is taken. */
  put(ctx: Ctx, session: AWSSession, part: Stored): Promise<void>;
  /** Those that are not there are as good as deleted. */
  delete(ctx: Ctx, session: AWSSession, names: readonly string[]): Promise<void>;
  /** Names of everything that was stored for a machine, by any of its attempts. */
  find(ctx: Ctx, session: AWSSession, sought: SoughtMachine): Promise<string[]>;
}

/** What is tagged with the UID belongs to the machine, and what is tagged with the token too: a restored object has another UID. */
export interface SoughtMachine {
  /** `<namespace>/<name>` of the TSMachine. */
  readonly machine: string;
  readonly uid: string;
  readonly clientToken: string;
}

const secretsManager: Vault = {
  // 64 KiB is what a secret holds.
  partBytes: 65_536,
  prefix: '',
  async put(ctx, session, { name, bytes, tags }) {
    const command = new CreateSecretCommand({
      Name: name,
      SecretBinary: bytes,
      Description: 'Bootstrap data of a machine; deleted as soon as it has them.',
      Tags: tagList(tags),
    });
    await tolerate(session.secrets(ctx, command), 'ResourceExistsException');
  },
  async delete(ctx, session, names) {
    for (const name of names) {
      const command = new DeleteSecretCommand({ SecretId: name, ForceDeleteWithoutRecovery: true });
      await tolerate(session.secrets(ctx, command), 'ResourceNotFoundException');
    }
  },
  async find(ctx, session, { machine, uid, clientToken }) {
    const names: string[] = [];
    let next: string | undefined;
    do {
      const answer: ListSecretsCommandOutput = await session.secrets(
        ctx,
        new ListSecretsCommand({
          Filters: [{ Key: 'tag-value', Values: [machine] }],
          MaxResults: 100,
          ...(next !== undefined && { NextToken: next }),
        }),
      );
      // The filter takes prefixes of any tag, and what has our name may belong to the original of which this machine is a copy.
      const ours = (answer.SecretList ?? []).filter(
        ({ Tags }) => tagValue(Tags, MACHINE_UID_TAG) === uid || tagValue(Tags, TOKEN_TAG) === clientToken,
      );
      names.push(...ours.flatMap(({ Name }) => Name ?? []));
      next = answer.NextToken;
    } while (next !== undefined);
    return names;
  },
};

/** Most names in one DeleteParameters. */
const DELETED_AT_ONCE = 10;

const parameterStore: Vault = {
  // 8 KiB of base64 are what a parameter of the advanced tier holds.
  partBytes: 6_144,
  prefix: '/',
  async put(ctx, session, { name, bytes, tags }) {
    const command = new PutParameterCommand({
      Name: name,
      Type: 'SecureString',
      Value: bytes.toString('base64'),
      // Up to 4 KiB are of the standard tier, which costs nothing.
      Tier: 'Intelligent-Tiering',
      Description: 'Bootstrap data of a machine; deleted as soon as it has them.',
      Tags: tagList(tags).map(({ Key, Value }) => ({ Key: Key!, Value: Value! })),
    });
    await tolerate(session.parameters(ctx, command), 'ParameterAlreadyExists');
  },
  async delete(ctx, session, names) {
    for (let at = 0; at < names.length; at += DELETED_AT_ONCE) {
      const some = names.slice(at, at + DELETED_AT_ONCE);
      await session.parameters(ctx, new DeleteParametersCommand({ Names: some }));
    }
  },
  async find(ctx, session, { uid, clientToken }) {
    // Filters add up, and the answer has no tags.
    const byUID = await parametersWith(ctx, session, [MACHINE_UID_TAG, uid]);
    const byToken = await parametersWith(ctx, session, [TOKEN_TAG, clientToken]);
    return [...new Set([...byUID, ...byToken])];
  },
};

async function parametersWith(
  ctx: Ctx,
  session: AWSSession,
  [key, value]: readonly [string, string],
): Promise<string[]> {
  const names: string[] = [];
  let next: string | undefined;
  do {
    const answer: DescribeParametersCommandOutput = await session.parameters(
      ctx,
      new DescribeParametersCommand({
        ParameterFilters: [{ Key: `tag:${key}`, Values: [value] }],
        MaxResults: 50,
        ...(next !== undefined && { NextToken: next }),
      }),
    );
    names.push(...(answer.Parameters ?? []).flatMap(({ Name }) => Name ?? []));
    next = answer.NextToken;
  } while (next !== undefined);
  return names;
}

/** By name of the service. */
export const VAULTS: Readonly<Record<Service, Vault>> = {
  secretsmanager: secretsManager,
  ssm: parameterStore,
};

async function tolerate(call: Promise<unknown>, code: string): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isRefused(error, code)) throw error;
  }
}
