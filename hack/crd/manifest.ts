// SPDX-License-Identifier: Apache-2.0
// Writes one CustomResourceDefinition as YAML, and the list of all of them.
import { stringify } from 'yaml';
import { CONTRACT_LABEL, MOVE_HIERARCHY_LABEL, PROVIDER_LABEL } from '../../api/labels.ts';
import type { Column, Resource } from '../../api/resources.ts';
import { type JSONSchema, toOpenAPI } from './open-api.ts';

const HEADER =
  '# SPDX-License-Identifier: Apache-2.0\n# Generated from api/ by `npm run generate`. Change the schema there.\n';

const TYPE_META = {
  apiVersion: { type: 'string', description: 'Group and version of the schema of this object.' },
  kind: { type: 'string', description: 'Kind of this object.' },
  metadata: { type: 'object' },
} as const;

/** The CustomResourceDefinition of a resource: one version, served and stored, labelled for the contract (GEN-5). */
export function crdManifest(resource: Resource): string {
  const { kind, plural } = resource.kind;
  const { group, version } = groupVersion(resource);
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      // Core computes this name, it does not look it up (GEN-7).
      name: `${plural}.${group}`,
      labels: {
        [PROVIDER_LABEL]: resource.provider.label,
        [CONTRACT_LABEL]: version,
        ...(resource.movesByItself && { [MOVE_HIERARCHY_LABEL]: '' }),
      },
    },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        categories: ['cluster-api'],
      },
      scope: resource.kind.namespaced ? 'Namespaced' : 'Cluster',
      versions: [versionOf(resource)],
    },
  };
  // YAML 1.1 is what Kubernetes reads: there, an unquoted True is not a string (PIT-16).
  return HEADER + stringify(crd, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 110 });
}

/** A kustomization of the given files, so that config/ can build on the folder. */
export function kustomization(files: readonly string[]): string {
  const list = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources: files };
  return HEADER + stringify(list);
}

function groupVersion({ kind }: Resource): { group: string; version: string } {
  const [group = '', version = ''] = kind.apiVersion.split('/');
  return { group, version };
}

function versionOf(resource: Resource): JSONSchema {
  return {
    name: groupVersion(resource).version,
    served: true,
    storage: true,
    additionalPrinterColumns: resource.columns.map(printerColumn),
    ...(resource.status === undefined ? {} : { subresources: { status: {} } }),
    schema: { openAPIV3Schema: rootSchema(resource) },
  };
}

function rootSchema(resource: Resource): JSONSchema {
  const { kind } = resource.kind;
  const spec = toOpenAPI({ ...resource.spec }, `${kind}.spec`);
  const status = resource.status && { status: toOpenAPI({ ...resource.status }, `${kind}.status`) };
  return {
    type: 'object',
    description: resource.description,
    // A spec with a default may be left out, too.
    ...(spec['default'] === undefined && resource.specMayBeAbsent !== true ? { required: ['spec'] } : {}),
    properties: { ...TYPE_META, spec, ...status },
  };
}

function printerColumn(column: Column): JSONSchema {
  const { name, type, description, path, wide } = column;
  return { name, type, description, jsonPath: path, ...(wide ? { priority: 1 } : {}) };
}
