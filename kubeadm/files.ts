// SPDX-License-Identifier: Apache-2.0
// Files and users of a spec with everything at hand: contents and password hashes that live in Secrets are passed in (KB-20).
import type { File } from '../api/bootstrap/machine-contents.ts';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { renderFileTemplate } from './file-template.ts';
import { InputError } from './input-error.ts';
import type { ResolvedFile, ResolvedUser } from './machine-contents.ts';

/** A key of a Secret in the namespace of the config. */
export interface SecretKeyRef {
  readonly name: string;
  readonly key: string;
  /** Where the spec asks for it, such as `spec.files[2].contentFrom.secret`. */
  readonly field: string;
}

/** What a key of a Secret holds, decoded; undefined when the Secret or the key is not there. */
export type SecretValues = (ref: { name: string; key: string }) => string | undefined;

/** What a template may ask for (KB-20b). */
export interface TemplateVariables {
  /** Only when the Cluster has a control plane that tells its version; `version` begins with `v`. */
  readonly controlPlane?: { readonly version: string };
}

/** Every key of a Secret that the spec needs: of files first, in their order. */
export function secretsOf(spec: KubeadmConfigSpec): SecretKeyRef[] {
  const files = (spec.files ?? []).map((file, index) => ({
    secret: file.contentFrom?.secret,
    field: contentFromOf(index),
  }));
  const users = (spec.users ?? []).map((user, index) => ({
    secret: user.passwdFrom?.secret,
    field: passwdFromOf(index),
  }));
  return [...files, ...users].flatMap(({ secret, field }) =>
    secret === undefined ? [] : [{ name: secret.name, key: secret.key, field }],
  );
}

/** Whether {@link TemplateVariables} are needed. */
export function usesTemplates(spec: KubeadmConfigSpec): boolean {
  return (spec.files ?? []).some(({ contentFormat }) => contentFormat === 'Template');
}

/** The files with their contents, templates rendered. Throws InputError for a missing key and a template that cannot be rendered. */
export function resolveFiles(
  spec: KubeadmConfigSpec,
  values: SecretValues,
  variables: TemplateVariables,
): ResolvedFile[] {
  return (spec.files ?? []).map((file, index) => {
    const { contentFrom: _source, contentFormat, ...rest } = file;
    const { content, field } = contentOf(file, index, values);
    return {
      ...rest,
      content: contentFormat === 'Template' ? renderFileTemplate(content, variables, field) : content,
    };
  });
}

/** The users with their password hashes. Throws InputError for a missing key. */
export function resolveUsers(spec: KubeadmConfigSpec, values: SecretValues): ResolvedUser[] {
  return (spec.users ?? []).map(({ passwdFrom, ...user }, index) =>
    passwdFrom === undefined
      ? user
      : { ...user, passwd: valueOf({ ...passwdFrom.secret, field: passwdFromOf(index) }, values) },
  );
}

function contentOf(file: File, index: number, values: SecretValues): { content: string; field: string } {
  const secret = file.contentFrom?.secret;
  if (secret === undefined) return { content: file.content ?? '', field: `spec.files[${index}].content` };
  const field = contentFromOf(index);
  return { content: valueOf({ ...secret, field }, values), field };
}

function valueOf({ field, ...ref }: SecretKeyRef, values: SecretValues): string {
  const value = values(ref);
  if (value !== undefined) return value;
  const message = `there is no Secret "${ref.name}" with the key "${ref.key}" in the namespace of this object: create it`;
  throw new InputError(field, message);
}

function contentFromOf(index: number): string {
  return `spec.files[${index}].contentFrom.secret`;
}

function passwdFromOf(index: number): string {
  return `spec.users[${index}].passwdFrom.secret`;
}
