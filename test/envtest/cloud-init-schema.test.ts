// SPDX-License-Identifier: Apache-2.0
// cloud-init itself reads what we write for it: Jinja, YAML and schema.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debianConsumers } from '../../hack/stack/debian-packages.ts';
import { renderCloudConfig } from '../../kubeadm/cloud-init.ts';
import { readJinja } from '../../kubeadm/jinja.ts';
import type { MachineContents } from '../../kubeadm/machine-contents.ts';

const readers = await debianConsumers();
const reason = 'reason' in readers ? readers.reason : undefined;
if (reason !== undefined) process.stderr.write(`skipped: cloud-init schema: ${reason}\n`);

const EMPTY: MachineContents = {
  purpose: 'init',
  kubeadmConfig: '---\nkind: ClusterConfiguration\n\n---\nkind: InitConfiguration\n',
  files: [],
  users: [],
  bootCommands: [],
  preKubeadmCommands: [],
  postKubeadmCommands: [],
  mounts: [],
  diskSetup: undefined,
  ntp: undefined,
  verbosity: undefined,
};

/** Each holds some of the fields; together, all of them. */
const CORPUS: Readonly<Record<string, Partial<MachineContents>>> = {
  init: {},
  'control plane join': { purpose: 'control-plane-join', verbosity: 5 },
  'worker join': { purpose: 'worker-join', verbosity: 0 },
  files: {
    files: [
      { path: '/a', owner: 'root:root', permissions: '0640', content: 'a\n\n\n' },
      { path: '/b', encoding: 'base64', content: 'aGk=', append: true },
      { path: '/c', encoding: 'gzip+base64', content: 'H4sIAAAAAAAAA8vIBACsKpPYAgAAAA==', append: false },
    ],
  },
  commands: {
    bootCommands: ['echo "a" # b', "echo 'c': d"],
    preKubeadmCommands: ['- e', '[f]', '{g: h}', '0640', 'true'],
    postKubeadmCommands: ['\ti\n\nj ', '\u0085\u2028\u0001'],
  },
  ntp: { ntp: { enabled: true, servers: ['192.0.2.1', 'time.example.org'] } },
  'ntp without servers': { ntp: { enabled: true, servers: [] } },
  users: {
    users: [
      {
        name: 'u',
        gecos: 'yes',
        groups: 'a, b',
        homeDir: '/h',
        shell: '/bin/sh',
        passwd: '$6$x',
        primaryGroup: '12',
        lockPassword: false,
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        sshAuthorizedKeys: ['ssh-ed25519 AAAA u@h'],
      },
      { name: '0123' },
    ],
  },
  disks: {
    diskSetup: {
      partitions: [
        { device: '/dev/sdb', layout: true, overwrite: false, tableType: 'gpt' },
        {
          device: '/dev/sdc',
          diskLayout: [
            { percentage: 30, partitionType: 'Linux' },
            { percentage: 30, partitionType: 'NTFS' },
            { percentage: 40 },
          ],
        },
        { device: '/dev/sdd' },
      ],
      filesystems: [
        {
          device: '/dev/sdb',
          filesystem: 'ext4',
          label: 'l',
          partition: 'auto',
          overwrite: true,
          extraOpts: ['-E', 'x=1'],
        },
        { device: '/dev/sdc', filesystem: 'xfs', replaceFS: 'ntfs' },
      ],
    },
    mounts: [
      ['LABEL=l', '/l', 'ext4', 'defaults', '0', '2'],
      ['/dev/sdc', '/c'],
    ],
  },
};

/** Fields that Cluster API has and this cloud-init acts on, although its schema does not have them. Later ones do, but for the last. */
const COMPLAINTS: readonly [Partial<MachineContents>, string][] = [
  [
    { diskSetup: { partitions: [{ device: 'd', diskLayout: [{ percentage: 9, partitionType: 'LVM' }] }] } },
    'schema: disk_setup.d.layout: ',
  ],
  [
    { diskSetup: { filesystems: [{ device: 'd', filesystem: 'xfs', partition: '1' }] } },
    'schema: fs_setup.0.partition: ',
  ],
  [{ mounts: [['ephemeral0', 'null']] }, 'schema: mounts.0.1: '],
  [{ users: [{ name: 'u', sudo: 'false' }] }, 'deprecated: users.0.sudo: '],
  [{ users: [{ name: 'u', inactive: true }] }, 'schema: users.0: '],
];

interface CloudConfig {
  write_files: { path: string; content: string }[];
  runcmd: string[];
}

async function verdicts(all: readonly Partial<MachineContents>[]) {
  if ('reason' in readers) throw new Error(readers.reason);
  const texts = all.map((contents) => renderCloudConfig({ ...EMPTY, ...contents }));
  const answers = await readers.cloudInitSchema(texts);
  expect(answers).toHaveLength(texts.length);
  return answers.map(({ problems, document }) => ({ problems, document: document as CloudConfig }));
}

/** Contents of the first file, as on the machine. */
async function contentsOnMachine(texts: readonly string[]): Promise<unknown[]> {
  const answers = await verdicts(texts.map((content) => ({ files: [{ path: '/a', content }] })));
  return answers.map(({ problems, document }) =>
    problems.length > 0 ? problems : document.write_files[0]?.content,
  );
}

describe.skipIf(reason !== undefined)('cloud-init', () => {
  it('has nothing to say of any document', async () => {
    const answers = await verdicts(Object.values(CORPUS));
    const said = Object.keys(CORPUS).map((name, index) => [name, answers[index]?.problems]);
    expect(said).toEqual(Object.keys(CORPUS).map((name) => [name, []]));
  });

  it.each(COMPLAINTS)('only dislikes what Cluster API asks for: %j', async (contents, complaint) => {
    const [answer] = await verdicts([contents]);
    expect(answer?.problems).toEqual([expect.stringContaining(complaint)]);
  });

  it('reads every string exactly, whatever it holds', async () => {
    const unit = fc.oneof(
      fc.constantFrom(
        ' ',
        '\n',
        '\t',
        '\r',
        '#',
        ':',
        '"',
        "'",
        '\\',
        '{',
        '}',
        '%',
        '|',
        '-',
        'a',
        '\u0085',
        '\u2028',
        '\ufeff',
      ),
      fc.constantFrom(
        '{{',
        '}}',
        '{%',
        '%}',
        '{#',
        '#}',
        '${#',
        '.a',
        'end',
        '\u007f',
        '\0',
        '\u{1f600}',
        '---\n',
      ),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    );
    const texts = fc.sample(fc.string({ unit, minLength: 1, maxLength: 30 }), {
      seed: 20_261_121,
      numRuns: 2000,
    });
    // What is meant for Jinja, it changes: that is for the next tests.
    const plain = texts.filter((text) => readJinja(text).tags.length === 0);
    const hidden = plain.filter((text) => readJinja(text).hidden.length > 0);
    const answers = await verdicts(
      plain.map((text) => ({
        files: [{ path: '/a', content: text }],
        preKubeadmCommands: [text],
        bootCommands: [text],
      })),
    );
    expect(hidden.length).toBeGreaterThan(300);
    expect(plain.length).toBeGreaterThan(1500);
    answers.forEach(({ problems, document }, index) => {
      const text = plain[index] ?? '';
      expect(problems).toEqual([]);
      expect(document.runcmd[0]).toBe(text);
      expect(document.write_files[0]?.content).toBe(text.endsWith('\n') ? text : `${text}\n`);
    });
  });

  it.each([
    ['a variable', 'h={{ ds.meta_data.local_hostname }}\n', 'h=machine-1.example.org\n'],
    [
      'a variable with double quotes',
      'h={{ ds["meta_data"]["local_hostname"] }}\n',
      'h=machine-1.example.org\n',
    ],
    ['a shell array beside it', '${#a[@]} "{{ v1["region"] }}"\n', '${#a[@]} "region-1"\n'],
    ['a template of Go beside it', '{{ if .a }}{{ v1.region }}{{ end }}\n', '{{ if .a }}region-1{{ end }}\n'],
    [
      'a condition on lines of its own',
      '{% if v1.region == "region-1" %}\na\nb\n{% endif %}\nc\n',
      '\na\nb\n\nc\n',
    ],
    ['a condition in a line', 'a{% if v1.region == "x" %}b{% endif %}c\n', 'ac\n'],
    ['raw marks on lines of their own', '{% raw %}\n{{ .a }} "b"\n{% endraw %}\n', '\n{{ .a }} "b"\n\n'],
    ['raw marks in a line', '{% raw %}{{ .a }}{% endraw %}\n', '{{ .a }}\n'],
    ['trim marks', 'a {{- v1.region -}} b\n', 'aregion-1b\n'],
    ['a comment', 'a{# b\n"c" #}d\n', 'ad\n'],
    ['carriage returns', '{{ v1.region }}\r\nb\r\n', 'region-1\r\nb\r\n'],
  ])('Jinja renders %s', async (_name, text, onMachine) => {
    expect(await contentsOnMachine([text])).toEqual([onMachine]);
  });

  it('Jinja renders commands, also those with quotes, and the name of the node', async () => {
    const [answer] = await verdicts([
      {
        kubeadmConfig: `name: '{{ ds.meta_data.local_hostname }}'\nargs: '{{ .x }}'\n`,
        preKubeadmCommands: [
          'a "{{ v1.region }}"',
          'b {{ v1["region"] }}',
          `c {{ v1["region"] ~ 'x' }}`,
          '{% if v1["region"] %}d{% endif %}',
          'e',
        ],
      },
    ]);
    expect(answer?.problems).toEqual([]);
    expect(answer?.document.runcmd.slice(0, 5)).toEqual([
      'a "region-1"',
      'b region-1',
      'c region-1x',
      'd',
      'e',
    ]);
    expect(answer?.document.write_files[0]?.content).toBe(
      `name: 'machine-1.example.org'\nargs: '{{ .x }}'\n`,
    );
  });
});
