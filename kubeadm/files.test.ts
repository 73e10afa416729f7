// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { KubeadmConfigSpec } from '../api/kubeadmconfig.ts';
import { resolveFiles, resolveUsers, secretsOf, usesTemplates } from './files.ts';
import { InputError } from './input-error.ts';

const SECRETS: Readonly<Record<string, string>> = {
  's/a': 'from s/a',
  's/empty': '',
  's/tpl': 'v={{ .controlPlane.version }}',
};
const values = ({ name, key }: { name: string; key: string }) => SECRETS[`${name}/${key}`];
const variables = { controlPlane: { version: 'v1.36.3' } };
const from = (key: string, name = 's') => ({ secret: { name, key } });

const SPEC: KubeadmConfigSpec = {
  files: [
    { path: '/a', content: 'a', owner: 'root:root', permissions: '0640', append: false },
    { path: '/b', contentFrom: from('a'), encoding: 'base64' },
    { path: '/c', content: '{{ .controlPlane.version }}', contentFormat: 'Template' },
    { path: '/d', contentFrom: from('tpl'), contentFormat: 'Template' },
    { path: '/e', contentFrom: from('tpl'), contentFormat: 'Raw' },
    { path: '/f' },
    { path: '/g', contentFrom: from('empty') },
  ],
  users: [
    { name: 'u', passwd: 'hash' },
    { name: 'v', shell: '/bin/sh', passwdFrom: from('a') },
    { name: 'w' },
  ],
};

describe('KB-20: files and users', () => {
  it('get their contents, and keep what else they say', () => {
    expect(resolveFiles(SPEC, values, variables)).toStrictEqual([
      { path: '/a', content: 'a', owner: 'root:root', permissions: '0640', append: false },
      { path: '/b', content: 'from s/a', encoding: 'base64' },
      { path: '/c', content: 'v1.36.3' },
      { path: '/d', content: 'v=v1.36.3' },
      { path: '/e', content: 'v={{ .controlPlane.version }}' },
      { path: '/f', content: '' },
      { path: '/g', content: '' },
    ]);
  });

  it('get their password hashes', () => {
    expect(resolveUsers(SPEC, values)).toStrictEqual([
      { name: 'u', passwd: 'hash' },
      { name: 'v', shell: '/bin/sh', passwd: 'from s/a' },
      { name: 'w' },
    ]);
  });

  it('name the keys that they need', () => {
    expect(secretsOf(SPEC)).toStrictEqual([
      { name: 's', key: 'a', field: 'spec.files[1].contentFrom.secret' },
      { name: 's', key: 'tpl', field: 'spec.files[3].contentFrom.secret' },
      { name: 's', key: 'tpl', field: 'spec.files[4].contentFrom.secret' },
      { name: 's', key: 'empty', field: 'spec.files[6].contentFrom.secret' },
      { name: 's', key: 'a', field: 'spec.users[1].passwdFrom.secret' },
    ]);
  });

  it('are nothing when the spec has none', () => {
    expect(secretsOf({})).toEqual([]);
    expect(resolveFiles({}, values, {})).toEqual([]);
    expect(resolveUsers({}, values)).toEqual([]);
    expect(usesTemplates({})).toBe(false);
  });

  it.each([
    [
      'a file',
      () => resolveFiles({ files: [{ path: '/a', contentFrom: from('b') }] }, values, {}),
      'spec.files[0].contentFrom.secret',
    ],
    [
      'a user',
      () => resolveUsers({ users: [{ name: 'u', passwdFrom: from('b') }] }, values),
      'spec.users[0].passwdFrom.secret',
    ],
  ])('of %s: a key that is not there is named', (_name, resolve, field) => {
    const message = `${field}: there is no Secret "s" with the key "b" in the namespace of this object: create it`;
    expect(resolve).toThrow(new InputError(field, message.slice(field.length + 2)));
  });
});

describe('KB-20b: templates', () => {
  it('are asked for by contentFormat alone', () => {
    expect(usesTemplates(SPEC)).toBe(true);
    expect(
      usesTemplates({ files: SPEC.files?.filter((file) => file.contentFormat !== 'Template') ?? [] }),
    ).toBe(false);
  });

  it.each([
    [
      { path: '/a', content: '{{ x }}', contentFormat: 'Template' as const },
      'spec.files[0].content: template, line 1: ',
    ],
    [{ path: '/a', contentFrom: from('tpl'), contentFormat: 'Template' as const }, undefined],
  ])('that are wrong name their field', (file, message) => {
    const resolve = () =>
      resolveFiles({ files: [file] }, (ref) => (ref.name === 's' ? '{{ x }}' : undefined), {});
    expect(resolve).toThrow(message ?? 'spec.files[0].contentFrom.secret: template, line 1: ');
  });
});
