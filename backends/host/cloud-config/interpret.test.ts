// SPDX-License-Identifier: Apache-2.0
// What the steps do is compared with the real cloud-init in test/hosts/cloud-init-differential.test.ts; here is what they are.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { interpret, InterpretError, SUPPORTED_KEYS } from './interpret.ts';

const METADATA = {
  instance_id: 'i-1',
  local_hostname: 'node-1',
  hostname: 'node-1',
  provider_id: 'tshost://a/b/c',
};

const of = (text: string): ReturnType<typeof interpret> => interpret(`#cloud-config\n${text}`, METADATA);

/** The part of a script behind the functions that all have. */
const body = (script: string | undefined): string =>
  script?.split('has_systemd() {')[1]?.split('\n').slice(1).join('\n') ?? '';

describe('steps', () => {
  it('come in the order of the modules, whatever that of the document is', () => {
    const text = `
runcmd: [echo]
users: [{name: u}]
ntp: {servers: [a]}
ssh_pwauth: no
ssh_authorized_keys: [ssh-ed25519 AAAA]
manage_etc_hosts: true
hostname: h
mounts: [[/dev/vdb, /data]]
disk_setup: {/dev/vdb: {layout: true}}
write_files: [{path: /a, defer: true}, {path: /b}]
bootcmd: [echo]
`;
    const { steps } = of(text);
    expect(steps.map(({ id, repeatable }) => [id, repeatable])).toEqual([
      ['bootcmd', false],
      ['write_files', true],
      ['disk_setup', false],
      ['mounts', true],
      ['set_hostname', true],
      ['update_etc_hosts', true],
      ['users_groups', true],
      ['ssh', true],
      ['set_passwords', true],
      ['ntp', true],
      ['write_files_deferred', true],
      ['runcmd', false],
    ]);
    expect(steps.every(({ onFailure }) => onFailure === 'continue')).toBe(true);
  });

  it('of commands are one script', () => {
    const [boot, run] = of(
      `bootcmd: [echo a]\nruncmd: [cd /tmp, [echo, "it's", 1.0, no], null, "a\\nb"]\n`,
    ).steps;
    expect(boot?.script).toBe('INSTANCE_ID=i-1\nexport INSTANCE_ID\n#!/bin/sh\necho a\n');
    expect(run?.script).toBe(`#!/bin/sh\ncd /tmp\n'echo' 'it'\\''s' '1.0' 'False'\na\nb\n`);
  });

  it('of files carry their content as base64, and nothing of it as a word', () => {
    const { steps } = of(
      "write_files:\n- {path: /etc/a b, content: $(reboot), permissions: '0600', owner: 'u:g'}\n- {path: /c, append: true, permissions: '0'}\n",
    );
    expect(steps[0]?.repeatable).toBe(false);
    expect(body(steps[0]?.script))
      .toBe(`write_file '/etc/a b' replace 0600 u:g <<'END_OF_DATA' || failed 'write_files[0] /etc/a b'
JChyZWJvb3Qp
END_OF_DATA
write_file /c append 0 root:root <<'END_OF_DATA' || failed 'write_files[1] /c'
END_OF_DATA
`);
  });

  it('never have a password among the words of a command', () => {
    const { steps } = of(
      'users: [{name: u, passwd: $6$hash, plain_text_passwd: hunter22, hashed_passwd: $6$other}]\nwrite_files: [{path: /a, content: hunter22}]\n',
    );
    for (const { script } of steps)
      for (const word of ['hunter22', '$6$']) expect(script).not.toContain(word);
  });

  it('there are none for an empty document', () => {
    expect(of('{}').steps).toEqual([]);
    expect(of(SUPPORTED_KEYS.map((key) => `${key}:\n`).join('')).steps).toEqual([]);
  });

  it('leave the name of the host alone unless the document says one', () => {
    expect(of('preserve_hostname: true\nhostname: x\n').steps).toEqual([]);
    expect(of('prefer_fqdn_over_hostname: true\n').steps).toEqual([]);
    expect(body(of('fqdn: a.b\nprefer_fqdn_over_hostname: true\n').steps[0]?.script)).toContain(
      'hostname a.b',
    );
  });
});

describe('data', () => {
  const plain = '## template: jinja\n#cloud-config\nruncmd: ["echo {{ ds.meta_data.local_hostname }}"]\n';

  it.each([
    { name: 'text', data: plain },
    { name: 'bytes', data: Buffer.from(plain) },
    { name: 'gzip', data: gzipSync(plain) },
  ])('may be $name', ({ data }) => {
    expect(interpret(data, METADATA).steps[0]?.script).toBe('#!/bin/sh\necho node-1\n');
  });

  it.each([
    { data: Buffer.from([0x1f, 0x8b, 1, 2]), message: 'cannot be unpacked' },
    { data: Buffer.from([0xff, 0xfe, 0x41]), message: 'is not UTF-8' },
    { data: '#!/bin/sh\n', message: 'are a shell script' },
    { data: 'Content-Type: multipart/mixed', message: 'are a MIME message' },
    { data: '#cloud-config-archive\n- a\n', message: 'are an archive' },
    { data: '{"ignition": {}}', message: 'of no kind that is known' },
    { data: '', message: 'of no kind that is known' },
  ])('that $message are refused', ({ data, message }) => {
    expect(() => interpret(data, METADATA)).toThrow(message);
  });
});

describe('what is refused', () => {
  it.each([
    ['packages: [a]', 'packages'],
    ['write_files: {}', 'write_files'],
    ['write_files: [{path: /a, contents: x}]', 'write_files[0].contents'],
    ['write_files: [{path: "/a\\nb"}]', 'write_files[0].path'],
    ['write_files: [{path: /a, permissions: 99999}]', 'write_files[0].permissions'],
    ['write_files: [{path: /a, permissions: true}]', 'write_files[0].permissions'],
    ['write_files: [{path: /a, owner: 1000}]', 'write_files[0].owner'],
    ['write_files: [{path: /a, owner: "a b"}]', 'write_files[0].owner'],
    ['write_files: [{path: /a, append: maybe}]', 'write_files[0].append'],
    ['write_files: [{path: /a, encoding: gz, content: x}]', 'write_files[0].content'],
    ['users: {a: {}}', 'users'],
    ['users: [{gecos: x}]', 'users[0]'],
    ['users: [{name: "a b"}]', 'users[0]'],
    ['users: [{name: a, sudo: true}]', 'users[0].sudo'],
    ['users: [{name: a, sudo: "ALL\\nb ALL"}]', 'users[0].sudo'],
    ['users: [{name: a, uid: x}]', 'users[0].uid'],
    ['users: [{name: a, gecos: "a:b"}]', 'users[0].gecos'],
    ['users: [{name: a, expiredate: 2030-01-01}]', 'users[0].expiredate'],
    ['users: [{name: a, ssh_redirect_user: true}]', 'users[0].ssh_redirect_user'],
    ['groups: [{g: {a: b}}]', 'groups[0].g'],
    ['hostname: -x', 'hostname'],
    ['fqdn: 5', 'fqdn'],
    ['mounts: [[]]', 'mounts[0]'],
    ['mounts: [/dev/vdb]', 'mounts[0]'],
    ['mounts: [[/dev/vdb, "/a b"]]', 'mounts[0][1]'],
    ['mounts: [[a, b, c, d, e, f, g]]', 'mounts[0]'],
    ['mount_default_fields: [a]\nmounts: [[/dev/vdb, /a]]', 'mount_default_fields'],
    ['disk_setup: {ephemeral0: {layout: true}}', 'disk_setup.ephemeral0'],
    ['disk_setup: {/dev/vdb: {table_type: bsd, layout: true}}', 'disk_setup./dev/vdb.table_type'],
    ['disk_setup: {/dev/vdb: {layout: [0]}}', 'disk_setup./dev/vdb.layout[0]'],
    ['disk_setup: {/dev/vdb: {layout: [[50]]}}', 'disk_setup./dev/vdb.layout[0]'],
    ['disk_setup: {/dev/vdb: {layout: [1, 2, 3, 4, 5]}}', 'disk_setup./dev/vdb.layout'],
    ['fs_setup: [{device: /dev/vdb}]', 'fs_setup[0].filesystem'],
    ['fs_setup: [{filesystem: ext4}]', 'fs_setup[0].device'],
    ['fs_setup: [{device: /dev/vdb, filesystem: ext4, partition: first}]', 'fs_setup[0].partition'],
    ['ntp: [a]', 'ntp'],
    ['ntp: {servers: ["a b"]}', 'ntp.servers[0]'],
    ['ntp: {servers: [a], ntp_client: openntpd}', 'ntp.ntp_client'],
    ['device_aliases: {a: b}', 'device_aliases.a'],
    ['ssh_pwauth: perhaps', 'ssh_pwauth'],
    ['manage_etc_hosts: perhaps', 'manage_etc_hosts'],
  ])('%s names %s, and no value', (text, field) => {
    let seen: unknown;
    try {
      of(text);
    } catch (error) {
      seen = error;
    }
    expect(seen).toBeInstanceOf(InterpretError);
    expect((seen as InterpretError).field).toBe(field);
    expect((seen as InterpretError).message.startsWith(`${field}: `)).toBe(true);
  });
});

it('knows what is secret', () => {
  const { secrets } = of(`
write_files:
- {path: /a, permissions: '0600', content: "key: a-long-secret\\nx: y\\n"}
- {path: /b, content: "open to everybody"}
- {path: /c, content: "-----BEGIN RSA PRIVATE KEY-----\\nMIIEabcdefgh\\n"}
runcmd: ["kubeadm join --token abcdef.0123456789abcdef"]
users: [{name: u, passwd: $6$hash, plain_text_passwd: hunter22}]
`);
  expect(secrets).toEqual(
    expect.arrayContaining([
      'a-long-secret',
      'MIIEabcdefgh',
      'abcdef.0123456789abcdef',
      '$6$hash',
      'hunter22',
    ]),
  );
  expect(secrets.join()).not.toContain('open to everybody');
});
