// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../input-error.ts';
import type { MachineContents } from '../machine-contents.ts';
import { IGNITION_VERSIONS, type IgnitionVersion, renderIgnition } from './render.ts';
import { byMeaning, contentOf, type RenderedConfig } from './testdata/by-meaning.ts';
import { IGNITION_CASES, machine } from './testdata/cases.ts';

const testdata = join(import.meta.dirname, 'testdata');

function rendered(
  contents: MachineContents,
  version: IgnitionVersion = '2.3.0',
  additionalConfig?: string,
): RenderedConfig {
  const text = renderIgnition(contents, { version, additionalConfig, strict: false });
  return JSON.parse(text) as RenderedConfig;
}

describe('renderIgnition', () => {
  const goldens = IGNITION_CASES.flatMap((given) =>
    (['2.3.0', '3.4.0'] as const).map((version) => ({ ...given, version })),
  );
  it.each(goldens)('$name in $version is the golden file', async (given) => {
    const { name, contents, version, additionalConfig, strict = false } = given;
    const text = renderIgnition(contents, { version, additionalConfig, strict });
    const pretty = `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
    await expect(pretty).toMatchFileSnapshot(join(testdata, `${name}.${version}.ign`));
  });

  it.each(IGNITION_CASES)('$name means what the stock provider means by it', (given) => {
    const { name, contents, additionalConfig, strict = false } = given;
    const stock = JSON.parse(readFileSync(join(testdata, 'stock', `${name}.json`), 'utf8')) as unknown;
    const ours = renderIgnition(contents, { version: '2.3.0', additionalConfig, strict });
    expect(byMeaning(JSON.parse(ours) as RenderedConfig)).toEqual(stock);
  });

  it.each(IGNITION_VERSIONS)('says that it is %s', (version) => {
    expect(rendered(machine(), version)).toMatchObject({ ignition: { version } });
  });

  it('is the same text whatever the order in which fields were written', () => {
    const file = { path: '/a', permissions: '0600', content: 'x' };
    const turned = { content: 'x', permissions: '0600', path: '/a' };
    const texts = [file, turned].map((one) =>
      renderIgnition(machine({ files: [one] }), {
        version: '3.4.0',
        additionalConfig: undefined,
        strict: false,
      }),
    );
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).toMatch(/^\{"ignition":.*"passwd"|^\{"ignition":.*"storage":.*"systemd":/);
  });

  /** Many contents in one config: rendering is what takes time. */
  function contentsOf(files: readonly { content: string; encoding?: 'base64' }[], version?: IgnitionVersion) {
    const named = files.map((file, index) => ({ ...file, path: `/${index}` }));
    const config = rendered(machine({ files: named }), version);
    return named.map(({ path }) => contentOf(config, path));
  }

  it.each(IGNITION_VERSIONS)('%s gives back every content in base64 byte for byte', (version) => {
    const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const samples = fc.sample(fc.uint8Array({ maxLength: 100 }), { seed: 4, numRuns: 100 });
    const bytes = [everyByte, ...samples].map((one) => Buffer.from(one));
    const files = bytes.map((one) => ({ content: one.toString('base64'), encoding: 'base64' as const }));
    expect(contentsOf(files, version)).toEqual(bytes);
  });

  const anyText = fc
    .array(fc.integer({ min: 0, max: 0x10_ffff }), { maxLength: 60 })
    .map((points) => String.fromCodePoint(...points));

  it('gives back every text, with a line break where it had none at its end', () => {
    const hard = [
      '',
      '\n',
      '\n\n\n',
      '  x\n y',
      '\tx',
      'a\r\nb',
      '#',
      '---\n',
      '%41',
      '\u0000\u0085\u2028',
      '😀',
    ];
    const samples = fc.sample(anyText, { seed: 4, numRuns: 200 });
    const texts = [...hard, ...samples].map((text) => text.toWellFormed());
    const files = texts.map((content) => ({ content }));
    expect(contentsOf(files).map((content) => content.toString('utf8'))).toEqual(
      texts.map((text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)),
    );
  });

  it('appends to a file rather than replacing it, and leaves the mode of such a file alone', () => {
    const contents = machine({ files: [{ path: '/etc/hosts', append: true, content: '::1 x\n' }] });
    const [old] = rendered(contents, '2.3.0').storage.files;
    expect(old).toMatchObject({ append: true, contents: { source: 'data:,%3A%3A1%20x%0A' } });
    expect(old).not.toHaveProperty('mode');
    const [file] = rendered(contents, '3.4.0').storage.files;
    expect(file).toEqual({ path: '/etc/hosts', append: [{ source: 'data:,%3A%3A1%20x%0A' }] });
  });

  it('does not start a time server that is switched off', () => {
    const config = rendered(machine({ ntp: { enabled: false, servers: ['a'] } }));
    expect(config.systemd.units.map(({ name }) => name)).toEqual(['kubeadm.service']);
    expect(config.storage.files.map(({ path }) => path)).toEqual(['/etc/kubeadm.sh', '/etc/kubeadm.yml']);
  });
});

describe('what Ignition cannot do is refused by name (KB 6.10)', () => {
  const disk = (partition: object) =>
    machine({ diskSetup: { partitions: [{ device: '/dev/a', ...partition }] } });
  const format = (filesystem: object) =>
    machine({ diskSetup: { filesystems: [{ device: '/dev/a', filesystem: 'ext4', ...filesystem }] } });
  const file = (fields: object) => machine({ files: [{ path: '/a', content: 'secret', ...fields }] });

  it.each<[string, MachineContents]>([
    ['spec.bootCommands', machine({ bootCommands: ['secret'] })],
    ['spec.users[1].inactive', machine({ users: [{ name: 'a' }, { name: 'b', inactive: true }] })],
    ['spec.files', file({ encoding: 'gzip' })],
    ['spec.files', file({ encoding: 'gzip+base64' })],
    ['spec.files', file({ encoding: 'base64', content: 'secret!' })],
    ['spec.files', file({ permissions: 'rw-r--r--' })],
    ['spec.files', file({ permissions: '0689' })],
    ['spec.files', file({ permissions: '17777' })],
    ['spec.files', file({ path: 'etc/a' })],
    ['spec.diskSetup.partitions[0].device', disk({ device: 'sda' })],
    ['spec.diskSetup.partitions[0].tableType', disk({ tableType: 'mbr' })],
    ['spec.diskSetup.partitions[0].diskLayout', disk({ diskLayout: [{ percentage: 100 }] })],
    ['spec.diskSetup.filesystems[0].device', format({ device: 'sda' })],
    ['spec.diskSetup.filesystems[0].filesystem', format({ filesystem: 'ext3' })],
    ['spec.diskSetup.filesystems[0].label', format({ label: 'longer-than-sixteen' })],
    [
      'spec.diskSetup.filesystems[1].label',
      machine({
        diskSetup: {
          filesystems: ['/dev/a', '/dev/b'].map((device) => ({ device, filesystem: 'ext4', label: 'x' })),
        },
      }),
    ],
    ['spec.diskSetup.filesystems[0].partition', format({ partition: 'auto' })],
    ['spec.diskSetup.filesystems[0].replaceFS', format({ replaceFS: 'ntfs' })],
    ['spec.mounts[0][1]', machine({ mounts: [['a']] })],
    ['spec.mounts[0][1]', machine({ mounts: [['a', 'none', 'swap']] })],
  ])('%s', (field, contents) => {
    const attempt = () => rendered(contents);
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(`${field}: `);
  });
});
