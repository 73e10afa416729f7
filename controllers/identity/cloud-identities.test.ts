// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { Secret } from '../../api/cluster-api.ts';
import { NamespaceKind, SecretKind, TSClusterIdentityKind } from '../../api/kinds.ts';
import type { TSClusterIdentity, TSClusterIdentitySpec } from '../../api/tsclusteridentity.ts';
import type { CloudIdentities } from '../../backends/cloud-identities.ts';
import type { Client } from '../../runtime/client.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { createCloudIdentities } from './cloud-identities.ts';

let api: FakeAPI;
let clock: FakeClock;
let identities: CloudIdentities;
let reads: string[];

beforeEach(() => {
  api = new FakeAPI();
  clock = new FakeClock();
  reads = [];
  const { client } = api;
  const get: Client['get'] = (kind, name) => {
    reads.push(`${kind.kind} ${name.name}`);
    return client.get(kind, name);
  };
  identities = createCloudIdentities({ client: { get }, cache: api.cache(), clock });
});

const CANARY = 'canary-41c2';
const ROLE = 'arn:aws:iam::123456789012:role/';

describe('an identity', () => {
  it('of the manager has no credentials of its own', async () => {
    identity('default', { aws: { source: 'Manager' }, allowedNamespaces: { names: ['ns'] } });
    expect(await find('default')).toMatchObject({
      source: { kind: 'manager' },
      roles: [],
    });
    expect(reads).toEqual([]);
  });

  it('of a Secret has what is in it, without line feeds', async () => {
    secret({ accessKeyID: 'AKIA1\n', secretAccessKey: CANARY, sessionToken: 'session' });
    identity('default', fromSecret());
    expect((await find('default')).source).toEqual({
      ...{ kind: 'static', accessKeyID: 'AKIA1', secretAccessKey: CANARY, sessionToken: 'session' },
    });
  });

  it('of another identity begins there: its roles come first, and it need not allow the namespace', async () => {
    secret({ accessKeyID: 'AKIA1', secretAccessKey: CANARY });
    identity('base', { ...fromSecret([{ arn: `${ROLE}a` }]), allowedNamespaces: { names: ['elsewhere'] } });
    identity('team', {
      aws: {
        source: 'Identity',
        identityRef: { name: 'base' },
        assumeRoles: [{ arn: `${ROLE}b`, externalID: 'x1' }],
      },
      allowedNamespaces: { names: ['ns'] },
    });
    const found = await find('team');
    expect(found.source).toEqual({ kind: 'static', accessKeyID: 'AKIA1', secretAccessKey: CANARY });
    expect(found.roles).toEqual([{ arn: `${ROLE}a` }, { arn: `${ROLE}b`, externalID: 'x1' }]);
  });

  it.each<[string, () => void, string, string[]]>([
    ['is not there', () => {}, 'IdentityMissing', ['"default" does not exist', 'spec.aws.identityRef']],
    [
      'uses one that is not there',
      () => identity('default', other('base')),
      'IdentityMissing',
      ['"base" does not exist', 'TSClusterIdentity "default"'],
    ],
    [
      'goes round in a circle',
      () => ['default', 'b', 'c'].forEach((name, i) => identity(name, other(['b', 'c', 'b'][i]!))),
      'IdentityInvalid',
      ['default -> b -> c -> b', 'source: Manager'],
    ],
    [
      'names a Secret that is not there',
      () => identity('default', fromSecret()),
      'IdentityInvalid',
      ['Secret system/aws', 'does not exist'],
    ],
    [
      'names a Secret without a key',
      () => {
        secret({ accessKeyID: 'AKIA1', secretaccesskey: CANARY });
        identity('default', fromSecret());
      },
      'IdentityInvalid',
      ['Secret system/aws', 'has no secretAccessKey'],
    ],
    [
      'names a Secret with an empty key',
      () => {
        secret({ accessKeyID: ' \n', secretAccessKey: CANARY });
        identity('default', fromSecret());
      },
      'IdentityInvalid',
      ['Secret system/aws', 'has no accessKeyID'],
    ],
  ])('that %s is refused, and the message says the way out', async (_what, arrange, reason, parts) => {
    arrange();
    const error = await refused('default');
    expect(error.reason).toBe(reason);
    for (const part of parts) expect(error.message).toContain(part);
    expect(JSON.stringify([error.message, error.stack, error.cause ?? ''])).not.toContain(CANARY);
  });
});

describe('allowed namespaces', () => {
  beforeEach(() => {
    api.put({ ...NamespaceKind, metadata: { name: 'ns', labels: { team: 'a', tier: 'prod' } } });
  });

  it.each<[string, TSClusterIdentitySpec['allowedNamespaces'], boolean]>([
    ['nothing said', undefined, false],
    ['nothing in it', {}, false],
    ['its name', { names: ['x', 'ns'] }, true],
    ['other names', { names: ['n', 'ns2', 'NS'] }, false],
    ['an empty selector', { selector: {} }, true],
    ['no labels wanted', { selector: { matchLabels: {} } }, true],
    ['its labels', { selector: { matchLabels: { team: 'a', tier: 'prod' } } }, true],
    ['one label of two', { selector: { matchLabels: { team: 'a', tier: 'test' } } }, false],
    ['a label that is a property of every object', { selector: { matchLabels: { constructor: '' } } }, false],
    ['another name, but its labels', { names: ['x'], selector: { matchLabels: { team: 'a' } } }, true],
    ['its name, but other labels', { names: ['ns'], selector: { matchLabels: { team: 'b' } } }, true],
  ])('%s', async (_what, allowedNamespaces, allowed) => {
    identity('default', { aws: { source: 'Manager' }, ...(allowedNamespaces && { allowedNamespaces }) });
    if (allowed) return expect((await find('default')).source.kind).toBe('manager');
    const error = await refused('default');
    expect(error).toMatchObject({ reason: 'IdentityNotAllowed' });
    expect(error.message).toMatch(/"default" .*"ns".*spec\.allowedNamespaces/);
  });

  it('a namespace that is gone has no labels', async () => {
    api.remove(NamespaceKind, { namespace: '', name: 'ns' });
    identity('default', {
      aws: { source: 'Manager' },
      allowedNamespaces: { selector: { matchLabels: { team: 'a' } } },
    });
    expect((await refused('default')).reason).toBe('IdentityNotAllowed');
  });

  it('are looked at before the Secret is read', async () => {
    identity('default', { aws: fromSecret().aws });
    await refused('default');
    expect(reads).toEqual([]);
  });

  it('a namespace is read once a minute, and only where labels matter', async () => {
    identity('default', {
      aws: { source: 'Manager' },
      allowedNamespaces: { selector: { matchLabels: { team: 'a' } } },
    });
    await Promise.all([find('default'), find('default')]);
    await clock.advance(59_000);
    await find('default');
    expect(reads).toEqual(['Namespace ns']);
    api.put({ ...NamespaceKind, metadata: { name: 'ns', labels: { team: 'b' } } });
    await clock.advance(2_000);
    expect((await refused('default')).reason).toBe('IdentityNotAllowed');
    expect(reads).toEqual(['Namespace ns', 'Namespace ns']);
  });
});

describe('a Secret', () => {
  it('is read once a minute for all who ask; another version is another key', async () => {
    secret({ accessKeyID: 'AKIA1', secretAccessKey: 'one' });
    identity('default', fromSecret());
    const [first] = await Promise.all(Array.from({ length: 20 }, () => find('default')));
    secret({ accessKeyID: 'AKIA1', secretAccessKey: 'two' });
    expect((await find('default')).key).toBe(first!.key);
    expect(reads).toEqual(['Secret aws']);
    await clock.advance(60_000);
    const second = await find('default');
    expect(second.source).toMatchObject({ secretAccessKey: 'two' });
    expect(second.key).not.toBe(first!.key);
    expect(api.writes).toEqual([]);
  });

  it('that was missing is found as soon as it is there', async () => {
    identity('default', fromSecret());
    await refused('default');
    secret({ accessKeyID: 'AKIA1', secretAccessKey: 'one' });
    expect((await find('default')).source.kind).toBe('static');
  });

  it('that could not be read is read again', async () => {
    secret({ accessKeyID: 'AKIA1', secretAccessKey: 'one' });
    identity('default', fromSecret());
    const { client } = api;
    let fail = true;
    const get: Client['get'] = (kind, name) =>
      fail ? Promise.reject(new Error('down')) : client.get(kind, name);
    identities = createCloudIdentities({ client: { get }, cache: api.cache(), clock });
    await expect(find('default')).rejects.toThrow('down');
    fail = false;
    expect((await find('default')).source.kind).toBe('static');
  });
});

it('the key changes with the roles, also with those of an identity further back, and holds no secret', async () => {
  secret({ accessKeyID: 'AKIA1', secretAccessKey: CANARY });
  identity('base', fromSecret());
  identity('default', { ...other('base'), allowedNamespaces: { names: ['ns'] } });
  const keys = [(await find('default')).key];
  identity('base', fromSecret([{ arn: `${ROLE}a` }]));
  keys.push((await find('default')).key);
  identity('default', { ...other('base', `${ROLE}c`), allowedNamespaces: { names: ['ns'] } });
  keys.push((await find('default')).key);
  expect(new Set(keys).size).toBe(3);
  expect(keys.join()).not.toContain(CANARY);
});

function identity(name: string, spec: TSClusterIdentitySpec): void {
  api.put<TSClusterIdentity>({ ...TSClusterIdentityKind, metadata: { name }, spec });
}

function fromSecret(assumeRoles?: TSClusterIdentitySpec['aws']['assumeRoles']): TSClusterIdentitySpec {
  const secretRef = { namespace: 'system', name: 'aws' };
  return {
    aws: { source: 'Secret', secretRef, ...(assumeRoles && { assumeRoles }) },
    allowedNamespaces: { names: ['ns'] },
  };
}

function other(name: string, arn = `${ROLE}b`): TSClusterIdentitySpec {
  return {
    aws: { source: 'Identity', identityRef: { name }, assumeRoles: [{ arn }] },
    allowedNamespaces: { names: ['ns'] },
  };
}

function secret(text: Record<string, string>): void {
  const data: Record<string, string> = {};
  for (const [key, value] of Object.entries(text)) data[key] = Buffer.from(value).toString('base64');
  api.put<Secret>({ ...SecretKind, metadata: { namespace: 'system', name: 'aws' }, data });
}

function find(name: string) {
  const ctx = { signal: new AbortController().signal, clock, log: createLogger({ level: 'silent' }) };
  return identities.aws(ctx, { namespace: 'ns', name });
}

async function refused(name: string): Promise<TerminalError> {
  const error = await find(name).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TerminalError)) throw new Error(`not a TerminalError: ${String(error)}`);
  return error;
}
