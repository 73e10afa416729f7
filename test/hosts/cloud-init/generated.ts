// SPDX-License-Identifier: Apache-2.0
// Documents that nobody thought of: made from a fixed seed, so that each run compares the same ones.
import fc from 'fast-check';
import { stringify } from 'yaml';
import type { Case } from './run.ts';

const SEED = 20_260_101;
export const GENERATED_COUNT = 20;

/** Text with what shells, YAML and Jinja stumble over. */
const text = fc.string({
  unit: fc.constantFrom(...'abz09 \n\'"\\$`{}%#:-*&!|>~,[]()=@é€😀'),
  maxLength: 40,
});

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);

const file = fc.record(
  {
    path: fc.tuple(word, word).map(([one, two]) => `/gen/${one}/${two}`),
    content: text,
    permissions: fc.constantFrom('0644', '0600', '755', '0', '2640', 0o640, 384),
    owner: fc.constantFrom('root:root', 'daemon:adm', 'daemon', 'root:none'),
    append: fc.boolean(),
    defer: fc.boolean(),
  },
  { requiredKeys: ['path'] },
);

const encoded = fc.tuple(file, text).map(([one, content]) => ({
  ...one,
  encoding: 'b64',
  content: Buffer.from(content).toString('base64'),
}));

const command = fc.oneof(
  word.map((name) => `echo ${name} >>/order`),
  fc
    .array(text, { minLength: 1, maxLength: 4 })
    .map((words) => ['sh', '-c', 'for a; do echo "<$a>" >>/order; done', 'x', ...words]),
  fc
    .tuple(fc.integer(), fc.boolean(), fc.constant(null))
    .map((words) => ['sh', '-c', 'echo "$*" >>/order', 'x', ...words]),
  fc.constantFrom(
    'false',
    'set -u',
    'X=1',
    'cd /tmp',
    'pwd >>/order',
    'echo "$X" >>/order',
    'no-such-program',
  ),
);

const user = fc.record(
  {
    name: word.map((name) => `gen-${name}`),
    gecos: fc.stringMatching(/^[A-Za-z .]{0,12}$/),
    groups: fc.uniqueArray(
      word.map((name) => `grp-${name}`),
      { maxLength: 3 },
    ),
    shell: fc.constantFrom('/bin/sh', '/bin/bash', '/usr/sbin/nologin'),
    lock_passwd: fc.boolean(),
    sudo: fc.constantFrom('ALL=(ALL) ALL', 'ALL=(root) NOPASSWD: /bin/ls', false),
    no_create_home: fc.boolean(),
  },
  { requiredKeys: ['name'] },
);

const document = fc.record(
  {
    write_files: fc.array(fc.oneof(file, encoded), { maxLength: 6 }),
    runcmd: fc.array(command, { maxLength: 6 }),
    bootcmd: fc.array(command, { maxLength: 3 }),
    users: fc.uniqueArray(user, { maxLength: 3, selector: ({ name }) => name }),
    hostname: word,
  },
  { requiredKeys: ['write_files', 'runcmd'] },
);

/** Written in several ways that YAML has. */
export function generatedDocuments(): Case[] {
  return fc.sample(document, { seed: SEED, numRuns: GENERATED_COUNT }).map((value, index) => ({
    name: `generated ${index + 1}`,
    text: `#cloud-config\n${stringify(value, { version: '1.1', defaultStringType: index % 2 === 0 ? 'PLAIN' : 'QUOTE_DOUBLE' })}`,
  }));
}
