// SPDX-License-Identifier: Apache-2.0
// Reads the objects that a person gives: YAML or JSON, one or many in a file.
import { readFileSync } from 'node:fs';
import { isMap, parseAllDocuments } from 'yaml';
import type { Cluster, Machine, Secret } from '../api/cluster-api.ts';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import type { ApiObject } from '../api/meta.ts';

/** What a person did wrong; the message says what to give instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The configuration to render, from whatever kind carries one. */
export interface ConfigManifest {
  /** `KubeadmConfig default/worker`. */
  readonly label: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerMachine: string | undefined;
  readonly spec: KubeadmConfigSpec;
}

/** All objects of all files, and the ones that rendering looks for. */
export interface Manifests {
  readonly configs: readonly ConfigManifest[];
  readonly clusters: readonly Cluster[];
  readonly machines: readonly Machine[];
  readonly secrets: readonly Secret[];
  /** `spec.version` of the control plane, where its object was given. */
  readonly controlPlaneVersion: string | undefined;
}

/** Reads the files; `-` is the standard input. Throws UsageError for what is not a Kubernetes manifest. */
export function readManifests(files: readonly string[]): Manifests {
  const objects = files.flatMap(readFile);
  const of = <T extends ApiObject>(kind: string) => objects.filter((object) => object.kind === kind) as T[];
  const controlPlane = of<ApiObject & { spec?: { version?: string } }>('KubeadmControlPlane')[0];
  return {
    configs: objects.flatMap(configOf),
    clusters: of<Cluster>('Cluster'),
    machines: of<Machine>('Machine'),
    secrets: of<Secret>('Secret').map(withData),
    controlPlaneVersion: controlPlane?.spec?.version,
  };
}

function readFile(file: string): ApiObject[] {
  return parseAllDocuments(contentOf(file)).flatMap((document, index) => {
    const where = `${file === '-' ? 'standard input' : file}, document ${index + 1}`;
    const [error] = document.errors;
    if (error !== undefined) throw new UsageError(`${where}: not valid YAML: ${error.message}`);
    if (document.contents === null) return [];
    if (!isMap(document.contents)) throw new UsageError(`${where}: not a Kubernetes object`);
    return itemsOf(document.toJS() as ApiObject & { items?: ApiObject[] }, where);
  });
}

function itemsOf(object: ApiObject & { items?: ApiObject[] }, where: string): ApiObject[] {
  if (object.kind === 'List') return object.items ?? [];
  if (typeof object.kind !== 'string' || typeof object.metadata !== 'object')
    throw new UsageError(`${where}: not a Kubernetes object: it needs apiVersion, kind and metadata`);
  return [object];
}

function contentOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

type Carrier = ApiObject & {
  spec?: KubeadmConfigSpec & {
    template?: { spec?: KubeadmConfigSpec };
    kubeadmConfigSpec?: KubeadmConfigSpec;
  };
};

const SPECS: Readonly<Record<string, (object: Carrier) => KubeadmConfigSpec | undefined>> = {
  KubeadmConfig: ({ spec }) => spec,
  KubeadmConfigTemplate: ({ spec }) => spec?.template?.spec,
  KubeadmControlPlane: ({ spec }) => spec?.kubeadmConfigSpec,
};

function configOf(object: Carrier): ConfigManifest[] {
  const spec = SPECS[object.kind];
  if (spec === undefined) return [];
  const {
    name,
    namespace = 'default',
    labels = {},
    annotations = {},
    ownerReferences = [],
  } = object.metadata;
  if (object.apiVersion.endsWith('/v1beta1'))
    throw new UsageError(
      `${object.kind} ${namespace}/${name} is ${object.apiVersion}: give v1beta2, the only version that is served`,
    );
  const ownerMachine = ownerReferences.find(({ kind }) => kind === 'Machine')?.name;
  const label = `${object.kind} ${namespace}/${name}`;
  return [{ label, namespace, name, labels, annotations, ownerMachine, spec: spec(object) ?? {} }];
}

/** A person may write `stringData`, which an API server would have turned into `data`. */
function withData(secret: Secret & { stringData?: Record<string, string> }): Secret {
  const data = { ...secret.data };
  for (const [key, text] of Object.entries(secret.stringData ?? {}))
    data[key] = Buffer.from(text).toString('base64');
  return { ...secret, data };
}
