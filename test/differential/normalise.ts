// SPDX-License-Identifier: Apache-2.0
// What a provider did for one scenario, in a form in which two providers can be compared.
import { gunzipSync } from 'node:zlib';
import type { Secret } from '../../api/cluster-api.ts';
import type { Condition, KubeObject } from '../../runtime/object.ts';
import { certificateFacts } from './certificate-facts.ts';
import { clusterNameOf, type Manifest } from './objects.ts';
import { isGzip, type Json, parsePayload } from './payload.ts';
import { withPlaceholders } from './placeholders.ts';
import type { Remains } from './run.ts';
import type { Scenario } from './scenario.ts';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

/** Suffixes of the Secrets of KB-30. */
const PURPOSES = ['ca', 'etcd', 'proxy', 'sa', 'apiserver-etcd-client'];

/** Members are compared one by one; the paths of differences begin with their names. */
export type Outcome = Readonly<Record<string, Json>>;

export function normalise(scenario: Scenario, remains: Remains): Outcome {
  const { id } = scenario;
  if (remains.refused.has(id)) return { refused: true };
  const config = remains.configs.get(id);
  if (config === undefined) return { missing: true };
  const outcome = {
    refused: false,
    ...metadataOf(config, scenario, remains),
    spec: (config.spec ?? null) as Json,
    ...statusOf(config),
    data: dataSecret(remains.secrets.get(id), scenario, remains),
    token: tokenOf(config, scenario, remains),
    lock: lockOf(scenario, remains),
    certificates: generatedCertificates(scenario, remains),
  };
  return withPlaceholders(outcome, replacements(config, scenario, remains));
}

function metadataOf({ metadata }: KubeObject, scenario: Scenario, remains: Remains) {
  return {
    labels: (metadata.labels ?? {}) as Json,
    annotations: (metadata.annotations ?? {}) as Json,
    finalizers: (metadata.finalizers ?? []) as Json,
    owners: ownersOf({ metadata }, scenario, remains),
  };
}

/** Owner references with what the UID is of in place of the UID. */
function ownersOf({ metadata }: Pick<KubeObject, 'metadata'>, scenario: Scenario, remains: Remains): Json {
  const { id } = scenario;
  const known = new Map([
    [remains.configs.get(id)?.metadata.uid, 'the config'],
    [remains.owners.get(id)?.metadata.uid, 'the owner'],
    [remains.clusters.get(clusterNameOf(scenario))?.metadata.uid, 'the cluster'],
  ]);
  return (metadata.ownerReferences ?? []).map(({ uid, ...reference }) => ({
    ...reference,
    uid: known.get(uid) ?? 'unknown',
  }));
}

interface Status {
  dataSecretName?: string;
  initialization?: { dataSecretCreated?: boolean };
  observedGeneration?: number;
  conditions?: Condition[];
  deprecated?: object;
}

function statusOf(config: Manifest) {
  const { deprecated, conditions = [], ...status } = (config.status ?? {}) as Status;
  return {
    conditions: Object.fromEntries(conditions.map((one) => [one.type, `${one.status} ${one.reason}`])),
    conditionOrder: conditions.map(({ type }) => type).join(),
    dataSecretName: status.dataSecretName ?? null,
    dataSecretCreated: status.initialization?.dataSecretCreated ?? null,
    observed: status.observedGeneration === config.metadata.generation,
    legacyStatus: deprecated !== undefined,
  };
}

function dataSecret(secret: Secret | undefined, scenario: Scenario, remains: Remains): Json {
  if (secret === undefined) return null;
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const value = Buffer.from(secret.data?.['value'] ?? '', 'base64');
  const plain = (isGzip(value) ? gunzipSync(value) : value).toString('utf8');
  return {
    type: secret.type ?? null,
    labels: (secret.metadata.labels ?? {}) as Json,
    owners: ownersOf(secret, scenario, remains),
    keys: Object.keys(secret.data ?? {}).sort(),
    format: text('format'),
    packed: isGzip(value),
    payload: parsePayload(text('format'), plain, kubeconfigPaths(scenario)),
  };
}

function kubeconfigPaths({ spec }: Scenario): string[] {
  const path = spec.joinConfiguration?.discovery?.file?.kubeConfigPath;
  return path === undefined ? [] : [path];
}

interface Discovery {
  joinConfiguration?: { discovery?: { bootstrapToken?: { token?: string } } };
}

function tokenIn(config: { spec?: object } | undefined): string | undefined {
  return (config?.spec as Discovery | undefined)?.joinConfiguration?.discovery?.bootstrapToken?.token;
}

/** The Secret in the workload cluster of the token that is in the spec. */
function tokenOf(config: Manifest, scenario: Scenario, remains: Remains): Json {
  const token = tokenIn(config);
  if (token === undefined) return null;
  const id = TOKEN.exec(token)?.[1] ?? '';
  const secret = remains.tokens.get(`bootstrap-token-${id}`);
  return {
    new: token !== tokenIn(scenario),
    wellFormed: id !== '',
    secret: secret === undefined ? null : tokenSecret(secret, token, scenario),
  };
}

function tokenSecret(secret: Secret, token: string, scenario: Scenario): Json {
  const texts = Object.entries(secret.data ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')] as const,
  );
  const { expiration, description = '', ...rest } = Object.fromEntries(texts);
  const { 'token-id': id, 'token-secret': value, ...uses } = rest;
  return {
    type: secret.type ?? null,
    labels: (secret.metadata.labels ?? {}) as Json,
    belongs: `${id}.${value}` === token,
    described: description !== '',
    expiration: expirationFacts(expiration, scenario),
    ...uses,
  };
}

/** Whether it is in the future and written as Kubernetes does, and whether it is still the one that a scenario gave. */
function expirationFacts(text: string | undefined, { tokens = [] }: Scenario): Json {
  if (text === undefined) return null;
  const wellFormed = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text);
  const lifetimeMs = Date.parse(text) - Date.now();
  // Runs take some minutes, and the lives of given tokens are chosen to be far from what providers give.
  const moved = tokens.every((given) => lifetimeMs > given.lifetimeMs + 60_000);
  return { wellFormed, inFuture: lifetimeMs > 0, moved: tokens.length > 0 && moved };
}

function lockOf(scenario: Scenario, remains: Remains): Json {
  const lock = remains.configMaps.get(`${clusterNameOf(scenario)}-lock`);
  if (lock === undefined) return null;
  return {
    labels: (lock.metadata.labels ?? {}) as Json,
    owners: ownersOf(lock, scenario, remains),
    data: Object.fromEntries(
      Object.entries(lock.data ?? {}).map(([key, text]) => [key, JSON.parse(text) as Json]),
    ),
  };
}

/** Certificate Secrets that somebody owns: the others were there before. */
function generatedSecrets(scenario: Scenario, remains: Remains): [string, Secret][] {
  const cluster = clusterNameOf(scenario);
  return PURPOSES.flatMap((purpose): [string, Secret][] => {
    const secret = remains.secrets.get(`${cluster}-${purpose}`);
    return secret?.metadata.ownerReferences === undefined ? [] : [[purpose, secret]];
  });
}

function generatedCertificates(scenario: Scenario, remains: Remains): Json {
  return Object.fromEntries(
    generatedSecrets(scenario, remains).map(([purpose, secret]) => [
      purpose,
      {
        type: secret.type ?? null,
        labels: secret.metadata.labels ?? {},
        owners: ownersOf(secret, scenario, remains),
        ...(certificateFacts(secret) as object),
      },
    ]),
  );
}

function replacements(config: Manifest, scenario: Scenario, remains: Remains): Map<string, string> {
  const found = new Map<string, string>();
  const token = tokenIn(config);
  if (token !== undefined && token !== tokenIn(scenario)) found.set(token, '<token>');
  for (const [purpose, secret] of generatedSecrets(scenario, remains))
    for (const [key, value] of Object.entries(secret.data ?? {}))
      found.set(Buffer.from(value, 'base64').toString('utf8').trimEnd(), `<${purpose} ${key}>`);
  return found;
}
