// SPDX-License-Identifier: Apache-2.0
// Checks a configuration against its schema, as an API server would, before anything is rendered from it.
import Value from 'typebox/value';
import { KubeadmConfigSpecSchema } from '../api/kubeadmconfig.ts';
import { type ConfigManifest, UsageError } from './manifests.ts';

type Json = Readonly<Record<string, unknown>>;

/** Throws UsageError that names each field: of the wrong type, over its limit, or unknown (which is usually a typing error). */
export function checkShape({ label, spec }: ConfigManifest): void {
  const wrong = [...Value.Errors(KubeadmConfigSpecSchema, spec)].map(
    ({ instancePath, message }) => `spec${dotted(instancePath)}: ${message}`,
  );
  const unknown = unknownFields(KubeadmConfigSpecSchema as unknown as Json, spec, 'spec').map(
    (field) => `${field}: there is no such field in bootstrap.cluster.x-k8s.io/v1beta2`,
  );
  const problems = [...new Set([...unknown, ...wrong])];
  if (problems.length > 0) throw new UsageError(`${label}\n  ${problems.join('\n  ')}`);
}

/** `/files/0/path` as `.files[0].path`. */
function dotted(pointer: string): string {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
}

/** Paths of members that the schema does not know. */
function unknownFields(schema: Json, value: unknown, path: string): string[] {
  if (Array.isArray(value)) {
    const items = schema['items'] as Json | undefined;
    return items === undefined
      ? []
      : value.flatMap((item, at) => unknownFields(items, item, `${path}[${at}]`));
  }
  const properties = schema['properties'] as Readonly<Record<string, Json>> | undefined;
  if (properties === undefined || typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const inner = properties[name];
    return inner === undefined ? [`${path}.${name}`] : unknownFields(inner, member, `${path}.${name}`);
  });
}
