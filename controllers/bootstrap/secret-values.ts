// SPDX-License-Identifier: Apache-2.0
// What `spec.files[].contentFrom` and `spec.users[].passwdFrom` name (KB-20).
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { type SecretKeyRef, secretsOf, type SecretValues } from '../../kubeadm/files.ts';
import type { SecretReader } from './secret-reader.ts';

/** The values, or one line about the first one that does not exist. */
export type SecretValuesResult =
  | { readonly kind: 'found'; readonly values: SecretValues }
  | { readonly kind: 'missing'; readonly message: string };

/** Reads every Secret that the spec names, in the config's namespace. */
export async function readSecretValues(
  secrets: SecretReader,
  namespace: string,
  spec: KubeadmConfigSpec,
): Promise<SecretValuesResult> {
  const values = new Map<string, string>();
  const refs = secretsOf(spec);
  const found = await Promise.all(refs.map(({ name }) => secrets.read({ namespace, name })));
  for (const [index, ref] of refs.entries()) {
    const secret = found[index];
    const value = secret?.data?.[ref.key];
    if (value === undefined) {
      return { kind: 'missing', message: missing(namespace, ref, { exists: secret !== undefined }) };
    }
    values.set(idOf(ref), Buffer.from(value, 'base64').toString('utf8'));
  }
  return { kind: 'found', values: (ref) => values.get(idOf(ref)) };
}

/** Which part of the spec cannot be used, as the stock provider begins its message; '' where it says nothing. */
export function troubleWith(field: string): string {
  if (field.startsWith('spec.files')) return 'Failed to prepare spec.files: ';
  return field.startsWith('spec.users') ? 'Failed to prepare spec.users: ' : '';
}

function missing(namespace: string, { name, key, field }: SecretKeyRef, secret: { exists: boolean }): string {
  const what = secret.exists
    ? `Secret ${namespace}/${name} has no key "${key}" (${field}): add it`
    : `Secret ${namespace}/${name} (${field}) does not exist: create it with the key "${key}"`;
  return troubleWith(field) + what;
}

function idOf({ name, key }: { name: string; key: string }): string {
  return `${name}/${key}`;
}
