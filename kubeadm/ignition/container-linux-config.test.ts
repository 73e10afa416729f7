// SPDX-License-Identifier: Apache-2.0
// What additionalConfig gives when it is right is in render.test.ts; here is what becomes of what is not quite right.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../input-error.ts';
import { containerLinuxConfig } from './container-linux-config.ts';
import { IGNITION_CASES } from './testdata/cases.ts';

const FIELD = 'spec.ignition.containerLinuxConfig.additionalConfig: ';
const unit = (keys: string) => `systemd:\n  units:\n  - name: a.service\n    ${keys}\n`;
const file = (keys: string) => `storage:\n  files:\n  - path: /a\n    mode: 0600\n    ${keys}\n`;
const disk = (keys: string) => `storage:\n  disks:\n  - device: /dev/a\n    ${keys}\n`;
const mount = (keys: string) => `storage:\n  filesystems:\n  - name: a\n    ${keys}\n`;
const raid = (keys: string) => `storage:\n  raid:\n  - {name: a, ${keys}}\n`;
const remote = (keys: string) => file(`contents: {remote: {${keys}}}`);

describe('wrong whether strict or not', () => {
  it.each<[string, RegExp]>([
    ['a: [', /line 1: the document is not YAML/],
    ['systemd: {units: []}\nsystemd: {units: []}', /line 2: the document is not YAML \(DUPLICATE_KEY\)/],
    ['systemd: *nothing', /line 1: the document is not YAML|line 1: systemd is an alias of nothing/],
    ['[]', /line 1: the document must be a map/],
    ['systemd: 5', /line 1: systemd must be a map/],
    ['systemd:\n  units: {}', /line 2: systemd\.units must be a list/],
    ['systemd: {units: [5]}', /systemd\.units\[0\] must be a map/],
    ['systemd: {units: [{}]}', /systemd\.units\[0\]\.name must be set/],
    ['systemd: {units: [{name: [a]}]}', /systemd\.units\[0\]\.name must be a single value/],
    ['systemd: {units: [{name: a.foo}]}', /units\[0\]\.name must end in \.service/],
    ['systemd: {units: [{name: ../a.service}]}', /units\[0\]\.name must end in \.service/],
    ['networkd: {units: [{name: a.service}]}', /units\[0\]\.name must end in \.network/],
    [unit('enabled: 1'), /line 4: systemd\.units\[0\]\.enabled must be true or false/],
    [unit('enabled: "true"'), /enabled must be true or false/],
    [unit('contents: "[A"'), /contents has a section without a closing bracket/],
    [unit('contents: "[A]\\nx"'), /contents has a line in a section that is not option=value/],
    [unit('dropins: [{name: a}]'), /dropins\[0\]\.name must end in \.conf/],
    ['passwd: {users: [{uid: 1}]}', /users\[0\]\.name must be set/],
    ['passwd: {users: [{name: a, uid: abc}]}', /uid must be a whole number/],
    ['passwd: {users: [{name: a, create: {}}]}', /create is not supported here: write its keys beside name/],
    ['storage: {files: [{path: a}]}', /path must be an absolute path/],
    ['storage: {files: [{path: /a, mode: "0644"}]}', /mode must be a whole number, without quotes/],
    ['storage: {files: [{path: /a, mode: 0689}]}', /mode must be a whole number/],
    ['storage: {files: [{path: /a, mode: 7777}]}', /mode must be between 0 and 07777/],
    [file('contents: {local: x}'), /contents\.local is not supported here/],
    [file('contents: {inline: !!binary "a"}'), /inline must be base64/],
    [file('contents: {inline: x, remote: {url: "http://x"}}'), /both contents\.inline and contents\.remote/],
    [file('user: {id: 1, name: a}'), /owner with both id and name/],
    [file('append: true\n    overwrite: true'), /both append and overwrite/],
    [remote('url: "ftp://x"'), /url must be a URL with one of the schemes/],
    [remote('url: /x'), /url must be a URL/],
    [remote('url: "data:;base64,%%%"'), /url must be a data URL/],
    [remote('url: "http://x", compression: bzip2'), /compression must be gzip/],
    [
      remote('url: "http://x", verification: {hash: {function: sha512, sum: aa}}'),
      /must be 128 hexadecimal digits/,
    ],
    ['ignition: {config: {append: [{}]}}', /append\[0\]\.source must be set/],
    [disk('partitions: [{size: 100}]'), /partitions\[0\]\.size must be a size of whole MiB/],
    [disk('partitions: [{type_guid: "8300"}]'), /type_guid must be a GUID/],
    [disk('partitions: [{number: 1}, {number: 1}]'), /two partitions the same number/],
    [
      disk('partitions: [{start: 1MiB, size: 10MiB}, {start: 5MiB, size: 1MiB}]'),
      /has partitions that overlap/,
    ],
    [disk(`partitions: [{label: ${'x'.repeat(37)}}]`), /label must have at most 36 characters/],
    [mount('mount: {device: /dev/a, format: ext3}'), /format must be one of ext4/],
    [mount('mount: {device: a, format: ext4}'), /device must be an absolute path/],
    [mount('mount: {device: /dev/a, format: xfs, label: thirteen-long}'), /at most 12 characters/],
    [mount('mount: {device: /dev/a, format: ext4, create: {}}'), /create is not supported here/],
    [mount('path: /x\n    mount: {device: /dev/a, format: ext4}'), /both mount and path/],
    [mount('{}').replace('    {}\n', ''), /needs mount or path/],
    [raid('level: raid9, devices: [/dev/a]'), /level must be a level/],
    [raid('level: raid0, devices: [/dev/a], spares: 1'), /has spares/],
    ...['etcd', 'flannel', 'docker', 'update', 'locksmith'].map((section): [string, RegExp] => [
      `${section}: {a: b}`,
      new RegExp(`line 1: ${section} is not supported here`),
    ]),
  ])('%j', (yaml, message) => {
    for (const strict of [false, true]) {
      const attempt = () => containerLinuxConfig(yaml, { strict });
      expect(attempt).toThrow(InputError);
      expect(attempt).toThrow(message);
      expect(attempt).toThrow(FIELD);
    }
  });
});

describe('wrong when strict', () => {
  it.each([
    [' ', /the document is empty/],
    ['# nothing', /the document is empty/],
    ['foo: 1', /line 1: foo is not a key of Container Linux Config/],
    ['storage:\n  filez: []', /line 2: storage\.filez is not a key/],
    ['constructor: 1', /constructor is not a key/],
    ['ignition: {version: 2.3.0}', /ignition\.version is not a key/],
    ['---\nsystemd: {}\n---\nsystemd: {}', /line 4: the document has a second document/],
    ['storage: {files: [{path: /a}]}', /storage\.files\[0\] has no mode; it gets 0644/],
    ['storage: {directories: [{path: /a}]}', /storage\.directories\[0\] has no mode; it gets 0755/],
    [file('filesystem: other'), /is on a filesystem that is not listed here/],
    [disk('partitions: [{label: "a:b"}]'), /label that will end before its colon/],
    [unit('enabled: true\n    contents: "[A]"'), /has no \[Install\] section/],
    ['foo: 1\nbar: 2', /foo is not a key .* \(and 1 more\)/],
  ])('%j', (yaml, message) => {
    expect(() => containerLinuxConfig(yaml, { strict: true })).toThrow(message);
    expect(() => containerLinuxConfig(yaml, { strict: false })).not.toThrow();
  });
});

describe('read as YAML 1.1', () => {
  const mode = (written: string) =>
    containerLinuxConfig(`storage: {files: [{path: /a, mode: ${written}}]}`, { strict: false }).storage
      .files[0]?.mode;

  it.each([
    ['0644', 0o644],
    ['0o644', 0o644],
    ['420', 420],
    ['0x1A4', 420],
    ['0b11', 3],
    ['1_0', 10],
    ['0', 0],
    ['~', 0o644],
  ])('mode %s is %i', (written, expected) => {
    expect(mode(written)).toBe(expected);
  });

  it('takes a text as it is written', () => {
    const { users } = containerLinuxConfig('passwd: {users: [{name: 0123, gecos: on, shell: "~"}]}', {
      strict: true,
    }).passwd;
    expect(users[0]).toMatchObject({ name: '0123', gecos: 'on', shell: '~' });
  });

  it('follows anchors and merges, and keeps what stands beside a merge', () => {
    const yaml =
      'systemd:\n  units:\n  - &a {name: a.service, enabled: yes}\n  - {<<: *a, name: b.service}\n';
    const { units } = containerLinuxConfig(yaml, { strict: true }).systemd;
    expect(units).toMatchObject([
      { name: 'a.service', enabled: true },
      { name: 'b.service', enabled: true },
    ]);
  });

  it('stops at a document that aliases make huge', () => {
    const many = (item: string) => `[${Array.from({ length: 400 }, () => item).join(', ')}]`;
    const yaml = [
      `systemd:\n  units:\n  - &u\n    name: a.service\n    dropins: &d ${many('{name: a.conf}')}`,
      `  - {name: b.service, dropins: *d}`,
      ...Array.from({ length: 400 }, () => '  - *u'),
    ].join('\n');
    expect(() => containerLinuxConfig(yaml, { strict: false })).toThrow(/too many/);
  });
});

it('says nothing of a value, and throws nothing else, whatever the text', () => {
  const seeds = IGNITION_CASES.flatMap(({ additionalConfig = '' }) => additionalConfig.split('\n'));
  const line = fc.oneof(fc.constantFrom(...seeds), fc.string({ maxLength: 12 }));
  const property = fc.property(fc.array(line, { maxLength: 15 }), fc.boolean(), (lines, strict) => {
    try {
      containerLinuxConfig(lines.join('\n'), { strict });
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
  });
  fc.assert(property, { seed: 4, numRuns: 400 });
  const canary = 'CANARY';
  for (const yaml of [unit(`contents: "[${canary}"`), `x: [${canary}`, remote(`url: "${canary}://x"`)]) {
    expect(() => containerLinuxConfig(yaml, { strict: true })).toThrow(InputError);
    expect(() => containerLinuxConfig(yaml, { strict: true })).not.toThrow(canary);
  }
});
