// SPDX-License-Identifier: Apache-2.0
// spec.files: sources, encodings, owners, and contents that are hard to quote.
import { gzipSync } from 'node:zlib';
import type { File } from '../../../api/bootstrap/machine-contents.ts';
import { CONTENT_SECRET } from '../objects.ts';
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, initAndWorker, workerJoin } from './builders.ts';

const path = '/etc/some/file';
const base64 = (bytes: string | Buffer) => Buffer.from(bytes).toString('base64');
const from = (key: string): Pick<File, 'contentFrom'> => ({
  contentFrom: { secret: { name: CONTENT_SECRET, key } },
});

/** What both formats take. */
const PLAIN: Readonly<Record<string, File>> = {
  'only-path': { path },
  content: { path, content: 'hello\n' },
  'content-no-newline': { path, content: 'hello' },
  'content-newlines': { path, content: 'hello\n\n\n' },
  'content-blank-lines': { path, content: 'a\n\n\nb\n' },
  'content-dashes': { path, content: '---\na: 1\n...\n---\n' },
  'content-quotes': { path, content: `it's "quoted" \\ and 'so' on: # no comment\n` },
  'content-unicode': { path, content: 'grüße 世界 🚀\n' },
  'content-script': { path, content: '#!/bin/bash\nfor x in "$@"; do\n\techo "${x}"\ndone\n' },
  'content-json': { path, content: '{"a": [1, 2, {"b": null}], "c": "d"}\n' },
  'content-long-line': { path, content: `${'x'.repeat(5000)}\n` },
  owner: { path, owner: 'nobody:nogroup', content: 'x\n' },
  'owner-user-only': { path, owner: 'nobody', content: 'x\n' },
  permissions: { path, permissions: '0400', content: 'x\n' },
  'permissions-sticky': { path, permissions: '1755', content: 'x\n' },
  append: { path, append: true, content: 'x\n' },
  'append-false': { path, append: false, content: 'x\n' },
  base64: { path, encoding: 'base64', content: base64('decoded\n') },
  'from-secret': { path, ...from('script'), permissions: '0755', owner: 'root:root' },
  'from-secret-no-newline': { path, ...from('no-newline') },
  'from-secret-newlines': { path, ...from('trailing-newlines') },
  'from-secret-empty': { path, ...from('empty') },
  raw: { path, contentFormat: 'Raw', content: '{"not": "a template {{"}\n'.replace('{{', '{') },
  template: { path, contentFormat: 'Template', content: 'version {{ .controlPlane.version }}\n' },
  'template-from-secret': { path, contentFormat: 'Template', ...from('template') },
  'template-if': {
    path,
    contentFormat: 'Template',
    content: '{{- if eq .controlPlane.version "v1.36.3" }}\nnew\n{{- else }}\nold\n{{- end }}\n',
  },
  'template-if-known': {
    path,
    contentFormat: 'Template',
    content: '{{ if .controlPlane }}known{{ else }}unknown{{ end }}\n',
  },
};

/** What only cloud-init takes. */
const CLOUD_INIT: Readonly<Record<string, File>> = {
  gzip: { path, encoding: 'gzip+base64', content: base64(gzipSync('unpacked\n')) },
  jinja: { path, content: 'address={{ ds.meta_data.local_ipv4 }}\n' },
};

const several: File[] = [
  { path: '/b', content: 'b\n' },
  { path: '/a', content: 'a\n', append: true },
  { path: '/c', ...from('script') },
];

export const files: readonly Scenario[] = [
  ...Object.entries(PLAIN).flatMap(([name, file]) => [
    ...initAndWorker(`file-${name}`, { files: [file] }),
    // The stock provider wants permissions with Ignition.
    workerJoin(`ignition-file-${name}`, { files: [{ permissions: '0644', ...file }], format: 'ignition' }),
  ]),
  workerJoin('ignition-file-without-permissions', { files: [{ path, content: 'x\n' }], format: 'ignition' }),
  ...Object.entries(CLOUD_INIT).map(([name, file]) => workerJoin(`file-${name}`, { files: [file] })),
  controlPlaneJoin('files-several', { files: several }),
  controlPlaneJoin('ignition-files-several', {
    files: several.map((file) => ({ ...file, permissions: '0640' })),
    format: 'ignition',
  }),
  init(
    'file-template-version-normalised',
    { files: [{ path, contentFormat: 'Template', content: '{{ .controlPlane.version }}\n' }] },
    { cluster: { controlPlane: '1.35.1' } },
  ),
  init(
    'file-template-no-control-plane',
    {
      clusterConfiguration: { encryptionAlgorithm: 'ECDSA-P256' },
      files: [
        {
          path,
          contentFormat: 'Template',
          content: '{{ if .controlPlane }}known{{ else }}unknown{{ end }}\n',
        },
      ],
    },
    { cluster: { controlPlane: 'none' } },
  ),
];
