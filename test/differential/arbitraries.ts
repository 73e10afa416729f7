// SPDX-License-Identifier: Apache-2.0
// Random specs, made from the schema: a field that is added to it is in the next run's inputs without a line here.
import fc, { type Arbitrary } from 'fast-check';
import { CONTENT, CONTENT_SECRET } from './objects.ts';
import type { Schema } from './schema.ts';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];
const WORD_CHARACTERS = [...LETTERS, ...'ABC0123456789-_./'];

/**
 * What YAML reads as text without quotes. The stock provider does not quote the fields of users, disks, mounts and time servers, so
 * anything else there says more about YAML than about us; the corpus has such cases by name.
 */
const word = fc
  .array(fc.constantFrom(...WORD_CHARACTERS), { minLength: 2, maxLength: 10 })
  .map((characters) => `w${characters.join('')}x`);

/** Text that every layer of quoting has to get right; without what begins an expression of jinja. */
const text = fc.oneof(
  word,
  fc.constantFrom(
    'yes',
    'null',
    '~',
    '0755',
    '1.30',
    '1e3',
    '-',
    '- a',
    'a: b',
    'a #b',
    "it's",
    '"x"',
    '!x',
    '&a',
    '*a',
    '%a',
  ),
  fc
    .array(fc.constantFrom(...LETTERS, ...` :#"'\\,[]()!&*%@|>-=$~?äß世🚀`), { minLength: 1, maxLength: 14 })
    .map((characters) => characters.join('')),
);

/** Lines; the first begins with a letter, since the stock provider's block would be indented by what else is there. */
const lines = fc
  .array(text, { minLength: 1, maxLength: 4 })
  .map((parts) => `x${parts.map((part) => part.trimEnd()).join('\n')}\n`);

const seconds = fc.oneof(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 1_000_000 }));
const time = fc
  .integer({ min: 1_800_000_000, max: 2_000_000_000 })
  .map((value) => new Date(value * 1000).toISOString().replace('.000Z', 'Z'));
const token = fc
  .tuple(fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([id, secret]) => `${String(id).padStart(6, 'a')}.${String(secret).padStart(16, 'b')}`);
const path = word.map((name) => `/${name.replaceAll('/', '-')}`);
const secretKey = (...keys: readonly string[]) =>
  fc.record({ name: fc.constant(CONTENT_SECRET), key: fc.constantFrom(...keys) });

const label = fc
  .array(fc.constantFrom(...LETTERS), { minLength: 1, maxLength: 8 })
  .map((characters) => characters.join(''));
const host = label.map((name) => `${name}.example.org`);
const address = fc.constantFrom('10.0.0.5', '192.0.2.77', 'fd00::7');
const word2 = word.map((name) => name.replaceAll('/', '-'));
const storageFile = (name: string) =>
  `storage:\n  files:\n    - path: ${name}\n      filesystem: root\n      mode: 0644\n      contents:\n        inline: x\n`;

/** Fields about which the schema does not say all; the first that matches the end of a path counts. */
const SPECIAL: readonly (readonly [RegExp, Arbitrary<unknown>])[] = [
  [/(bootstrapTokens\[\]|bootstrapToken)\.token$|\.tlsBootstrapToken$/, token],
  [/bootstrapTokens\[\]\.usages$/, fc.constantFrom(['authentication'], ['signing', 'authentication'])],
  [/bootstrapTokens\[\]\.groups\[\]$/, label.map((name) => `system:bootstrappers:${name}`)],
  [
    /\.caCertHashes\[\]$/,
    label.map((name) => `sha256:${Buffer.from(name).toString('hex').padStart(64, '0')}`),
  ],
  [/[cC]ertSANs\[\]$/, fc.oneof(host, address)],
  [/\.?imageRepository$/, label.map((name) => `registry.example.org:5000/${name}`)],
  [/nodeRegistration\.name$/, fc.oneof(host, fc.constant('{{ ds.meta_data.local_hostname }}'))],
  [/\.criSocket$/, fc.constantFrom('unix:///run/containerd/containerd.sock', '/var/run/crio/crio.sock')],
  [/taints\[\]\.(key|value)$/, label],
  [/taints\[\]\.effect$/, fc.constantFrom('NoSchedule', 'PreferNoSchedule', 'NoExecute')],
  [
    /skipPhases\[\]$/,
    fc.constantFrom('preflight', 'addon/kube-proxy', 'addon/coredns', 'mark-control-plane'),
  ],
  [/\.advertiseAddress$/, address],
  [/external\.endpoints\[\]$/, host.map((name) => `https://${name}:2379`)],
  [/caCertPath$/, path.map((name) => `${name}.crt`)],
  [/contentFrom\.secret$/, secretKey(...Object.keys(CONTENT))],
  [/passwdFrom\.secret$/, secretKey('password', 'no-newline')],
  [/\.contentFormat$/, fc.constant('Raw')],
  [/files\[\]\.path$/, path],
  [/files\[\]\.owner$/, word2],
  [/files\[\]\.permissions$/, fc.constantFrom('0644', '0600', '0755', '0400')],
  [/files\[\]\.content$/, lines],
  [/Commands\[\]$/, lines.map((value) => value.trimEnd())],
  [/diskLayout\[\]\.partitionType$/, fc.constantFrom('Linux', 'LVM', '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709')],
  [/\.device$/, path],
  [/filesystems\[\]\.filesystem$/, fc.constantFrom('ext4', 'xfs', 'btrfs')],
  [/filesystems\[\]\.partition$/, fc.constantFrom('auto', 'any', 'none', '1')],
  [/^users\[\]\.name$/, word2],
  [/certificateAuthorityData$/, word.map((value) => Buffer.from(value).toString('base64'))],
  [/\.divisor$/, fc.constantFrom('1', '1m', '1Gi')],
  [/Seconds$/, seconds],
  [/(certificatesDir|dataDir|caFile|certFile|keyFile|directory|Path)$/, path],
  [/(controlPlaneEndpoint|apiServerEndpoint)$/, host.map((name) => `${name}:6443`)],
  [/encryptionAlgorithm$/, fc.constantFrom('ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096')],
  [/^verbosity$/, fc.integer({ min: -5, max: 20 })],
  [/additionalConfig$/, path.map(storageFile)],
  [/^(users|diskSetup|mounts|ntp)\b.*[^\]]$|^(ntp|diskSetup|users)\b.*\[\]$|^mounts\[\]\[\]$/, word],
];

/** A value of the schema at `path`, as `files[].path`. */
export function arbitraryOf(schema: Schema, path = ''): Arbitrary<unknown> {
  const [, special] = SPECIAL.find(([pattern, one]) => pattern.test(path) && fits(schema, one)) ?? [];
  if (special !== undefined) return special;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const make = BY_TYPE[schema.type ?? ''];
  if (make === undefined) throw new Error(`${path}: no values for ${JSON.stringify(schema).slice(0, 100)}`);
  return make(schema, path);
}

const BY_TYPE: Readonly<Record<string, (schema: Schema, path: string) => Arbitrary<unknown>>> = {
  boolean: () => fc.boolean(),
  integer: ({ minimum = -100, maximum = 10_000 }) =>
    fc.integer({ min: minimum, max: Math.min(maximum, 10_000) }),
  string: ({ format }) => (format === 'date-time' ? time : text),
  array: listOf,
  object: objectOf,
};

/** The rule for whole subtrees of plain words is only for what is text. */
function fits(schema: Schema, arbitrary: Arbitrary<unknown>): boolean {
  return arbitrary !== word || (schema.type === 'string' && schema.enum === undefined);
}

function listOf(schema: Schema, path: string): Arbitrary<unknown> {
  const item = arbitraryOf(schema.items ?? {}, `${path}[]`);
  const named = (value: unknown) =>
    typeof value === 'object' && value !== null && 'name' in value ? value.name : JSON.stringify(value);
  return fc.uniqueArray(item, {
    minLength: Math.max(schema.minItems ?? 0, 1),
    maxLength: 3,
    selector: named,
  });
}

function objectOf(schema: Schema, path: string): Arbitrary<unknown> {
  const [values] = Object.values(schema.patternProperties ?? {});
  if (values !== undefined)
    return fc.dictionary(word, arbitraryOf(values, `${path}{}`), { minKeys: 1, maxKeys: 3 });
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, member]) => [name, arbitraryOf(member, path === '' ? name : `${path}.${name}`)] as const,
  );
  const all: Record<string, Arbitrary<unknown>> = Object.fromEntries(members);
  const required = schema.required ?? [];
  const made = fc.record(all, { requiredKeys: [...required] });
  if ((schema.minProperties ?? 0) === 0) return made;
  return made.filter((value) => Object.keys(value).length > 0);
}
