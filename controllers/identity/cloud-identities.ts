// SPDX-License-Identifier: Apache-2.0
// From TSClusterIdentities to what a cloud's backend needs of them.
import { createHash } from 'node:crypto';
import type { Secret } from '../../api/cluster-api.ts';
import { Reason } from '../../api/conditions.ts';
import { NamespaceKind, SecretKind, TSClusterIdentityKind } from '../../api/kinds.ts';
import type { AWSRole, TSClusterIdentity } from '../../api/tsclusteridentity.ts';
import type { AWSIdentity, CloudIdentities } from '../../backends/cloud-identities.ts';
import type { Client } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError } from '../../runtime/errors.ts';
import type { Cache } from '../../runtime/informer.ts';
import { keyOf, type KubeObject } from '../../runtime/object.ts';
import { isAllowed } from './allowed-namespaces.ts';
import { createFreshObjects, type FreshObjects } from './fresh-objects.ts';

export interface CloudIdentitiesDeps {
  readonly client: Pick<Client, 'get'>;
  /** With an informer of TSClusterIdentities. */
  readonly cache: Pick<Cache, 'peek'>;
  readonly clock: Clock;
}

/** Keys of a Secret of static credentials. */
const KEYS = { id: 'accessKeyID', secret: 'secretAccessKey', session: 'sessionToken' } as const;

/** An identity, and the one whose credentials it uses, and so on; the last one has credentials of its own. */
type Chain = readonly [TSClusterIdentity, ...TSClusterIdentity[]];

/** Reads identities from the cache, Secrets by name. Nothing that is in a Secret reaches a message. */
export function createCloudIdentities(deps: CloudIdentitiesDeps): CloudIdentities {
  const secrets = createFreshObjects(deps, SecretKind);
  const namespaces = createFreshObjects(deps, NamespaceKind);

  return {
    async aws(ctx, { namespace, name }) {
      const first = deps.cache.peek(TSClusterIdentityKind, { namespace: '', name });
      if (first === undefined)
        throw missing(name, 'does not exist; make it, or name another one in spec.aws.identityRef');
      await requireAllowed(ctx, namespaces, first, namespace);
      return resolve(ctx, secrets, chainOf(deps.cache, first));
    },
  };
}

async function requireAllowed(
  ctx: Ctx,
  namespaces: FreshObjects<KubeObject>,
  { metadata: { name }, spec: { allowedNamespaces } }: TSClusterIdentity,
  namespace: string,
): Promise<void> {
  const labels = async () => (await namespaces.get(ctx, { namespace: '', name: namespace }))?.metadata.labels;
  if (await isAllowed(allowedNamespaces, namespace, labels)) return;
  throw new TerminalError(
    Reason.IdentityNotAllowed,
    `TSClusterIdentity "${name}" may not be used in namespace "${namespace}"; ` +
      'its spec.allowedNamespaces must allow the namespace, by names or selector',
  );
}

function chainOf(cache: Pick<Cache, 'peek'>, first: TSClusterIdentity): Chain {
  const chain: [TSClusterIdentity, ...TSClusterIdentity[]] = [first];
  for (let last = first; last.spec.aws.identityRef !== undefined;) {
    const { name } = last.spec.aws.identityRef;
    if (chain.some((one) => one.metadata.name === name)) throw loop(chain, name);
    const next = cache.peek(TSClusterIdentityKind, { namespace: '', name });
    if (next === undefined)
      throw missing(
        name,
        `does not exist, but TSClusterIdentity "${last.metadata.name}" uses its credentials (spec.aws.identityRef); make it`,
      );
    chain.push(next);
    last = next;
  }
  return chain;
}

async function resolve(ctx: Ctx, secrets: FreshObjects<Secret>, chain: Chain): Promise<AWSIdentity> {
  const last = chain.at(-1) ?? chain[0];
  const roles: AWSRole[] = chain.toReversed().flatMap(({ spec }) => spec.aws.assumeRoles ?? []);
  const { source, secretRef } = last.spec.aws;
  if (source === 'Manager') return { key: keyFor(chain), source: { kind: 'manager' }, roles };
  const { name } = last.metadata;
  // The schema asks for it.
  if (secretRef === undefined) throw invalid(name, 'has source: Secret and no spec.aws.secretRef; add it');
  const secret = await secrets.get(ctx, secretRef);
  if (secret === undefined)
    throw invalid(name, `names Secret ${keyOf(secretRef)}, which does not exist; make it`);
  const accessKeyID = textOf(secret, KEYS.id);
  const secretAccessKey = textOf(secret, KEYS.secret);
  const sessionToken = textOf(secret, KEYS.session);
  if (accessKeyID === '' || secretAccessKey === '') {
    const absent = accessKeyID === '' ? KEYS.id : KEYS.secret;
    throw invalid(name, `names Secret ${keyOf(secretRef)}, which has no ${absent}; add this key`);
  }
  return {
    key: keyFor([...chain, secret]),
    source: { kind: 'static', accessKeyID, secretAccessKey, ...(sessionToken !== '' && { sessionToken }) },
    roles,
  };
}

/** Another one as soon as one of the objects is another one. */
function keyFor(objects: readonly KubeObject[]): string {
  const versions = objects.map(
    ({ metadata: { uid = '', resourceVersion = '' } }) => `${uid}/${resourceVersion}`,
  );
  return createHash('sha256').update(versions.join(' ')).digest('hex');
}

/** What is behind a line feed at the end, as `echo` makes it, is no credential. */
function textOf(secret: Secret, key: string): string {
  return Buffer.from(secret.data?.[key] ?? '', 'base64')
    .toString('utf8')
    .trim();
}

function missing(name: string, what: string): TerminalError {
  return new TerminalError(Reason.IdentityMissing, `TSClusterIdentity "${name}" ${what}`);
}

function invalid(name: string, what: string): TerminalError {
  return new TerminalError(Reason.IdentityInvalid, `TSClusterIdentity "${name}" ${what}`);
}

function loop(chain: Chain, again: string): TerminalError {
  const names = [...chain.map(({ metadata }) => metadata.name), again];
  return invalid(
    chain[0].metadata.name,
    `never comes to credentials: spec.aws.identityRef leads ${names.join(' -> ')}; ` +
      'one of them needs source: Manager or source: Secret',
  );
}
