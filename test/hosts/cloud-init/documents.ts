// SPDX-License-Identifier: Apache-2.0
// Documents over every module and key that is supported. Commands note in /order that they ran.
import { gzipSync } from 'node:zlib';
import type { Case, Outcome } from './run.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxhcmdlbHkgYSBrZXkgb2Ygbm9ib2R5IGF0IGFsbCAx';
const OTHER = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDother0key0of0nobody0at0all0 person@place';
/** Of the word "secret", by crypt with SHA-512. */
const HASH =
  '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/';

const shim = (name: string): string => `#!/bin/sh\necho ${name} "$@" >>/order\n`;
const gz = (text: string): string => gzipSync(text).toString('base64');

function one(name: string, text: string, before?: Case['before']): Case {
  return {
    name,
    text: text.startsWith('#') ? text : `#cloud-config\n${text}`,
    ...(before === undefined ? {} : { before }),
  };
}

const WRITE_FILES: Case[] = [
  one('a file with all defaults', 'write_files:\n- {path: /a/b/c, content: hello}\n'),
  one('an empty file', 'write_files:\n- path: /root/empty\n'),
  one(
    'modes as text',
    "write_files:\n- {path: /m1, permissions: '0600'}\n- {path: /m2, permissions: '755'}\n- {path: /m3, permissions: '4755', content: x}\n- {path: /m4, permissions: '0o640'}\n",
  ),
  one(
    'modes as numbers',
    'write_files:\n- {path: /m1, permissions: 0640}\n- {path: /m2, permissions: 416}\n- {path: /m3, permissions: 384.9}\n',
  ),
  one(
    'a mode of zero changes nothing',
    "write_files:\n- {path: /m1, permissions: '0000'}\n- {path: /m2, permissions: 0}\n",
  ),
  one('no mode', 'write_files:\n- {path: /m1, permissions: }\n'),
  one(
    'owners',
    "write_files:\n- {path: /o1, owner: 'daemon:adm'}\n- {path: /o2, owner: daemon}\n- {path: /o3, owner: ':adm'}\n- {path: /o4, owner: 'daemon:none'}\n- {path: /o5, owner: ' daemon : adm '}\n- {path: /o6, owner: '-1:-1'}\n- {path: /o7, owner: ''}\n",
  ),
  one(
    'an owner that is not there ends the module, and nothing else',
    "write_files:\n- {path: /f1}\n- {path: /f2, owner: 'nobody-there:root'}\n- {path: /f3}\nruncmd: ['echo ran >>/order']\n",
  ),
  one(
    'encodings',
    `write_files:\n- {path: /e1, encoding: b64, content: aGVsbG8=}\n- {path: /e2, encoding: base64, content: "aGVs\\nbG8=\\n"}\n- {path: /e3, encoding: gz+b64, content: ${gz('one')}}\n- {path: /e4, encoding: gzip+base64, content: ${gz('two')}}\n- {path: /e5, encoding: ' GZ+BASE64 ', content: ${gz('three')}}\n- {path: /e6, encoding: text/plain, content: four}\n`,
  ),
  one(
    'binary content',
    `write_files:\n- {path: /b1, content: !!binary AAECAwT//w==}\n- {path: /b2, encoding: gzip, content: !!binary ${gz('packed')}}\n- {path: /b3, encoding: gz, content: !!binary ${gz('packed too')}}\n`,
  ),
  one(
    'appending',
    "write_files:\n- {path: /etc/motd, append: true, content: more}\n- {path: /new, append: true, content: a}\n- {path: /new, append: 'yes', content: b, permissions: '0600'}\n",
  ),
  one(
    'through a link, over a file with another mode',
    'write_files:\n- {path: /etc/os-release, content: x}\n- {path: /etc/shadow-like, content: y}\n',
    { 'etc/shadow-like': 'before' },
  ),
  one(
    'a path that is not absolute, and one with dots',
    'write_files:\n- {path: rel/ative, content: x}\n- {path: /a/../b/./c//d, content: y}\n',
  ),
  one(
    'names with blanks and quotes',
    `write_files:\n- {path: "/odd/a b'c\\"d$(x)", content: x}\n- {path: /odd/ümläut, content: ünï}\n- {path: "/odd/-n", content: z}\n`,
  ),
  one(
    'blocks of YAML',
    'write_files:\n- path: /y1\n  content: |\n    one\n      two\n\n- path: /y2\n  content: >-\n    folded\n    text\n- path: /y3\n  content: "a\\tb\\x41\\u00e9"\n',
  ),
  one(
    'a folder where a file should be',
    'write_files:\n- {path: /etc, content: x}\n- {path: /after, content: x}\nruncmd: ["echo ran >>/order"]\n',
  ),
  one(
    'deferred files',
    "write_files:\n- {path: /d1, defer: true, owner: 'late:late', content: x}\n- {path: /d2, content: y}\n- {path: /d3, defer: 'no'}\nusers: [{name: late}]\nruncmd: ['ls /d1 /d2 >>/order']\n",
  ),
  one(
    'the same file twice',
    "write_files:\n- {path: /t, content: long text}\n- {path: /t, content: x, permissions: '0600'}\n",
  ),
  one(
    'true and false in all spellings',
    "write_files:\n- {path: /l, content: a}\n- {path: /l, content: b, append: on}\n- {path: /l, content: c, append: 'True'}\n- {path: /l, content: d, append: 1}\n",
  ),
];

const COMMANDS: Case[] = [
  one(
    'commands of one shell',
    "runcmd:\n- cd /tmp\n- X=1\n- 'pwd >>/order; echo $X >>/order'\n- [sh, -c, 'echo [$X] >>/order']\n",
  ),
  one(
    'a command that fails does not stop what follows',
    'runcmd:\n- "false"\n- echo after >>/order\n- [no-such-program, a]\n- echo end >>/order\n',
  ),
  one('set -e stops it', 'runcmd:\n- set -e\n- echo a >>/order\n- "false"\n- echo never >>/order\n'),
  one('exit stops it', 'runcmd:\n- echo a >>/order\n- exit 3\n- echo never >>/order\n'),
  one('a syntax error in the middle', 'runcmd:\n- echo a >>/order\n- "if true; then"\n- echo b >>/order\n'),
  one(
    'words are quoted',
    `runcmd:\n- [sh, -c, 'for a; do echo "<$a>"; done >>/order', x, "a b", "it's", '$HOME', '*', '\\n', "", "\\"q\\""]\n`,
  ),
  one(
    'words that are no strings',
    'runcmd:\n- [sh, -c, \'echo "$*" >>/order\', x, 1, 1.0, 2.50, 1e3, true, no, ~, 0644, 0x1f, 1:30, -3, 1_000, 12345678901234567890]\n',
  ),
  one('no command at all between commands', 'runcmd:\n- echo a >>/order\n-\n- echo b >>/order\n'),
  one(
    'lines with line ends',
    'runcmd:\n- |\n  for x in 1 2; do\n    echo $x >>/order\n  done\n- >-\n  echo folded\n  text >>/order\n',
  ),
  one(
    'what a command finds',
    'runcmd:\n- \'echo "$PWD $PATH [$HOME] [$INSTANCE_ID]" >>/order; umask >>/order; [ -t 0 ] || echo no terminal >>/order\'\n',
  ),
  one(
    'boot commands come first, with the id',
    "runcmd: ['echo run >>/order']\nbootcmd:\n- 'echo boot $INSTANCE_ID >>/order; ls /f >>/order 2>&1'\n- [sh, -c, 'echo list $0 >>/order', a b]\nwrite_files: [{path: /f}]\n",
  ),
  one(
    'boot commands that fail',
    "bootcmd:\n- 'false'\n- echo b >>/order\n- exit 4\n- echo never >>/order\nruncmd: ['echo run >>/order']\n",
  ),
  one(
    'the order of everything',
    "bootcmd: ['echo bootcmd >>/order']\nwrite_files:\n- {path: /w}\n- {path: /dw, defer: true}\nusers: [{name: u}]\nruncmd: ['ls -d /w /dw /home/u >>/order', 'echo runcmd >>/order']\n",
  ),
  one('empty lists', 'runcmd: []\nbootcmd: []\nwrite_files: []\nusers: []\nmounts: []\n'),
  one('a process that goes on', "runcmd:\n- 'nohup sleep 0.2 >/dev/null 2>&1 &'\n- echo a >>/order\n"),
];

const USERS: Case[] = [
  one('a user with all defaults', 'users: [{name: anna}]\n'),
  one('a user by name only', 'users: [anna, "bert,carl"]\n'),
  one(
    'groups of a user',
    "users:\n- {name: anna, groups: 'adm, newone ,staff'}\n- {name: bert, groups: [adm, other]}\n- {name: carl, groups: newtwo, primary_group: prim}\n",
  ),
  one(
    'a primary group that is not there ends it',
    'users:\n- {name: anna, primary_group: missing}\n- {name: bert}\nruncmd: ["echo ran >>/order"]\n',
  ),
  one(
    'fields of a user',
    "users:\n- {name: anna, gecos: 'Anna A., room 1', homedir: /srv/anna, shell: /bin/bash, uid: 3000, expiredate: '2030-01-31', inactive: '7'}\n- {name: bert, uid: '3001', inactive: true}\n",
  ),
  one(
    'users of the system, and without a home',
    'users:\n- {name: sys, system: true}\n- {name: nohome, no_create_home: true}\n- {name: nogroup1, no_user_group: true, no_log_init: yes}\n',
  ),
  one(
    'passwords by hash',
    `users:\n- {name: a1, passwd: "${HASH}"}\n- {name: a2, passwd: "${HASH}", lock_passwd: false}\n- {name: a3, hashed_passwd: "${HASH}", lock_passwd: false}\n- {name: a4, lock_passwd: false}\n`,
  ),
  one(
    'a password in plain text',
    'users:\n- {name: plain1, plain_text_passwd: secret word, lock_passwd: false}\n- {name: plain2, plain_text_passwd: secret}\n',
  ),
  one(
    'rules of sudo',
    "users:\n- {name: s1, sudo: 'ALL=(ALL) NOPASSWD:ALL'}\n- {name: s2, sudo: ['ALL=(root) /bin/ls', 'ALL=(daemon) /bin/cat']}\n- {name: s3, sudo: false}\n- {name: s4, sudo: }\n",
  ),
  one(
    'keys of a user',
    `users:\n- name: k1\n  ssh_authorized_keys:\n  - ${KEY} k1@x\n  - ${OTHER}\n  - 'command="echo hi there",no-pty ${KEY.replace('IGxh', 'IGxi')} opt'\n- {name: k2, ssh-authorized-keys: ["${KEY}"]}\n- {name: k3, ssh_authorized_keys: "${KEY} one"}\n- {name: k4, ssh_authorized_keys: []}\n- {name: k5, ssh_authorized_keys: [no key at all, "# comment"]}\n`,
  ),
  one(
    'a user who is there',
    `users:\n- {name: daemon, shell: /bin/bash, gecos: other, sudo: 'ALL=(ALL) ALL', lock_passwd: false}\n- {name: games, hashed_passwd: "${HASH}"}\n`,
  ),
  one(
    'the same user twice',
    'users:\n- {name: anna, shell: /bin/bash}\n- {name: anna, shell: /bin/false, gecos: A}\n',
  ),
  one('groups', 'groups: [g1, {g2: [root, daemon]}, {g3: root}, adm]\nusers: [{name: anna, groups: g1}]\n'),
  one('groups as text and as a mapping', 'groups: "h1,h2"\n'),
  one('groups as a mapping, with a member who is not there', 'groups: {m1: [root, nobody-there], m2: []}\n'),
  one(
    'a key that is there with another comment',
    `users: [{name: root, lock_passwd: false, ssh_authorized_keys: ["${KEY} new"]}]\n`,
    {
      'root/.ssh/authorized_keys': `# mine\n${KEY} old\n${OTHER}\n`,
    },
  ),
  one(
    'keys of the document are for root',
    `users: [{name: anna}]\nssh_authorized_keys: ["${KEY} a@b", "${OTHER}"]\n`,
  ),
];

const SYSTEM: Case[] = [
  one('a host name', 'hostname: other\n'),
  one('a host name with a domain', 'hostname: other.example.org\n'),
  one('a full name', 'fqdn: full.example.org\n'),
  one(
    'a full name before a short one',
    'fqdn: full.example.org\nhostname: short\nprefer_fqdn_over_hostname: true\n',
  ),
  one('a full name and a short one', 'fqdn: full.example.org\nhostname: short\n'),
  one('a preserved name', 'hostname: other\npreserve_hostname: true\n'),
  one('a name that only the host has', 'runcmd: ["true"]\n', { 'etc/hostname': 'of-the-host\n' }),
  one('the hosts file', 'manage_etc_hosts: true\nfqdn: full.example.org\n'),
  one('one line of the hosts file', 'manage_etc_hosts: localhost\nhostname: other.example.org\n', {
    'etc/hosts': '127.0.0.1 localhost\n',
  }),
  one('one line of the hosts file, beside another', 'manage_etc_hosts: localhost\nhostname: other\n', {
    'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 old.example.org old\n10.0.0.1 x\n',
  }),
  one('one line of the hosts file, which is there', 'manage_etc_hosts: localhost\nfqdn: a.example.org\n', {
    'etc/hosts': '127.0.1.1 a.example.org a\n',
  }),
  one('passwords of sshd', 'ssh_pwauth: true\n'),
  one('no passwords of sshd', "ssh_pwauth: 'no'\n"),
  one('passwords of sshd as they are', 'ssh_pwauth: unchanged\n'),
  one('passwords of sshd, said already', 'ssh_pwauth: false\n', {
    'etc/ssh/sshd_config.d/50-cloud-init.conf': 'PasswordAuthentication yes\nX11Forwarding no\n',
  }),
  one('time servers', 'ntp: {servers: [ntp1.example.org, 10.0.0.1], pools: [pool.example.org]}\n', {
    'usr/sbin/chronyd': shim('chronyd'),
  }),
  one('time servers, over what is there', 'ntp:\n  enabled: true\n  servers: [ntp1.example.org]\n', {
    'usr/sbin/chronyd': shim('chronyd'),
    'etc/chrony/chrony.conf': 'pool old\n',
  }),
  one('time servers of systemd', 'ntp: {servers: [a.example.org], pools: [b.example.org]}\n', {
    'usr/lib/systemd/systemd-timesyncd': shim('timesyncd'),
  }),
  one('no time servers', 'ntp: {enabled: false, servers: [a.example.org]}\n'),
];

const MOUNT_SHIMS = { 'usr/bin/mount': shim('mount'), 'usr/sbin/swapon': shim('swapon') };

const MOUNTS: Case[] = [
  one(
    'a mount',
    'mounts:\n- [/dev/vdb, /data]\n- [LABEL=etcd, /var/lib/etcddisk, ext4, "noatime", "0", "2"]\n',
    MOUNT_SHIMS,
  ),
  one(
    'mounts of servers and of swap',
    'mounts:\n- ["server:/path", /mnt/nfs, nfs]\n- [/dev/vdc, none, swap, sw, "0", "0"]\n',
    MOUNT_SHIMS,
  ),
  one(
    'a mount that is taken back',
    'mounts:\n- [/dev/vdb, /one]\n- [/dev/vdc, /two]\n- [/dev/vdb, null]\n',
    MOUNT_SHIMS,
  ),
  one(
    'defaults of mounts',
    "mounts: [[/dev/vdb, /data], [/dev/vdc, /more, xfs]]\nmount_default_fields: [~, ~, ext4, 'defaults,nofail', '0', '0']\n",
    MOUNT_SHIMS,
  ),
  one(
    'short names, and partitions that are there',
    'mounts:\n- [vdb, /a]\n- [vdc.2, /b]\n- [vdd, /c]\n- [nick.1, /d]\ndevice_aliases: {nick: /dev/vde}\n',
    MOUNT_SHIMS,
  ),
  one('null for what is not said', 'mounts:\n- [/dev/vdb, /data, null, null, null, null]\n', MOUNT_SHIMS),
];

const TEMPLATES: Case[] = [
  one(
    'a template',
    '## template: jinja\n#cloud-config\nwrite_files:\n- path: /j\n  content: "{{ ds.meta_data.local_hostname }} {{ v1.instance_id }} {{ local_hostname }} {{ ds.meta_data.provider_id }}"\n',
  ),
  one(
    'a template with statements',
    `## template: jinja
#cloud-config
{% set x = ['a', 'b'] %}
{# a comment #}
write_files:
{% for name in x %}
- path: /j/{{ name }}
  content: "{{ loop.index }} {{ name | upper }}"
{% endfor %}
{%- if v1.instance_id == 'i-0123' %}

- {path: /j/yes, content: '{{ true }} {{ 1 + 2 }} {{ 'x' if x else 'y' }}'}
{% else %}
- path: /j/no
{% endif %}
`,
  ),
  one(
    'what a template leaves alone',
    `## template: jinja
#cloud-config
write_files:
- path: /r1
  content: |
    {% raw %}{{ not.mine }} {% if %}{% endraw %}

    \${x%%.*} a%}b #} -}
    {{ '{{' }} kept
- path: /r2
  content: "{% raw %}{{ a }}{% endraw -%}   x"
`,
  ),
  one(
    'keys with dashes',
    "## template: jinja\n#cloud-config\nruncmd:\n- echo {{ ds['meta_data']['local-hostname'] }} {{ ds.meta_data.local_hostname | default('d') }} {{ nothing | default('none') }} >>/order\n",
  ),
  one(
    'as kubeadm bootstrap providers write it',
    `## template: jinja
#cloud-config

write_files:
  - path: /run/kubeadm/kubeadm-join-config.yaml
    owner: root:root
    permissions: '0640'
    content: |
      ---
      nodeRegistration:
        name: '{{ ds.meta_data.local_hostname }}'
  - path: /run/cluster-api/placeholder
    owner: root:root
    permissions: '0640'
    content: "This placeholder file is used."
runcmd:
  - "echo before {{ ds.meta_data.local_hostname }} >>/order"
  - "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml && echo success > /run/cluster-api/bootstrap-success.complete"
  - "echo after >>/order"
`,
    { 'usr/bin/kubeadm': shim('kubeadm') },
  ),
];

/** All that is compared, beside generated ones. */
export const DOCUMENTS: readonly Case[] = [
  ...WRITE_FILES,
  ...COMMANDS,
  ...USERS,
  ...SYSTEM,
  ...MOUNTS,
  ...TEMPLATES,
];

/** What cloud-init passes over or stumbles upon while it acts, and we refuse by name before anything is touched. */
export const REFUSED: readonly (readonly [text: string, field: string])[] = [
  ['packages: [curl]\n', 'packages'],
  ['apt: {sources: {}}\n', 'apt'],
  ['write_files:\n- {path: /f, source: {uri: x}}\n', 'write_files[0].source'],
  ['write_files:\n- {content: x}\n', 'write_files[0].path'],
  ['write_files:\n- {path: /f, encoding: rot13, content: x}\n', 'write_files[0].encoding'],
  ['write_files:\n- {path: /f, encoding: b64, content: a}\n', 'write_files[0].content'],
  ["write_files:\n- {path: /f, permissions: 'rw-r'}\n", 'write_files[0].permissions'],
  ['write_files:\n- {path: /f, content: 5}\n', 'write_files[0].content'],
  ['write_files:\n- {path: /f, owner: "0:0"}\n', 'write_files[0].owner'],
  ['runcmd: [5]\n', 'runcmd[0]'],
  ['runcmd: echo\n', 'runcmd'],
  ['runcmd: [[echo, {a: b}]]\n', 'runcmd[0][1]'],
  ['users: [default]\n', 'users[0]'],
  ['ssh_deletekeys: true\n', 'ssh_deletekeys'],
  ['users: [{name: a, ssh_import_id: [x]}]\n', 'users[0].ssh_import_id'],
  ['users: [{name: a, system: true, ssh_authorized_keys: [x]}]\n', 'users[0].ssh_authorized_keys'],
  ['users: [{name: "-x"}]\n', 'users[0]'],
  ['disable_root: true\n', 'disable_root'],
  ['mounts: [[ephemeral0, /mnt]]\n', 'mounts[0]'],
  ['fs_setup: [{device: /dev/vdb, cmd: mkfs}]\n', 'fs_setup[0].cmd'],
  ['ntp: {peers: [a]}\n', 'ntp.peers'],
  ['swap: {size: 1G}\n', 'swap'],
];

/** A document that only we act on, or that the two read in different ways: what each must have done. */
export interface OneSided {
  readonly id: string;
  /** For the documentation. */
  readonly what: string;
  readonly document: Case;
  real(outcome: Outcome): boolean;
  ours(outcome: Outcome): boolean;
}

const has =
  (path: string, text: string) =>
  ({ files }: Outcome): boolean =>
    files.get(path)?.content.includes(text) ?? false;

export const ONE_SIDED: readonly OneSided[] = [
  {
    id: 'numbers-of-mounts',
    what: 'Numbers without quotes make cloud-init give up all mounts when a disk is not there; here they are numbers.',
    document: one('numbers of mounts', 'mounts: [[/dev/vdb, /data, ext4, noatime, 0, 2]]\n', MOUNT_SHIMS),
    real: ({ files }) => !files.has('/etc/fstab'),
    ours: has('/etc/fstab', '/dev/vdb\t/data\text4\tnoatime,comment=ts-provider\t0\t2\n'),
  },
  {
    id: 'disk-in-fstab',
    what: 'A disk that fstab names already gets no second line.',
    document: one('a disk in fstab', 'mounts: [[/dev/vdb, /data]]\n', {
      ...MOUNT_SHIMS,
      'etc/fstab': '/dev/vdb /old ext4\n',
    }),
    real: has('/etc/fstab', '/dev/vdb\t/data'),
    ours: ({ files }) => !files.has('/etc/fstab'),
  },
  {
    id: 'tab-in-plain-text',
    what: 'A tab inside of a string without quotes makes cloud-init drop the whole document; here it is a tab.',
    document: one('a tab', 'write_files:\n- path: /tab\n  content: a\tb\n'),
    real: ({ files }) => !files.has('/tab'),
    ours: has('/tab', 'a\tb'),
  },
  {
    id: 'rules-that-sudo-cannot-read',
    what: 'Rules that sudo cannot read are not written: they could take sudo from everybody.',
    document: one('broken rules', "users: [{name: anna, sudo: 'ALL=(ALL'}]\n"),
    real: has('/etc/sudoers.d/90-cloud-init-users', 'ALL=(ALL'),
    ours: ({ files }) =>
      !(files.get('/etc/sudoers.d/90-cloud-init-users')?.content.includes('ALL=(ALL') ?? false),
  },
  {
    id: 'no-default-time-servers',
    what: 'Without servers and pools the time client stays as it is; cloud-init sets those of the distribution.',
    document: one('no servers', 'ntp: {enabled: true}\n', { 'usr/sbin/chronyd': shim('chronyd') }),
    real: has('/etc/chrony/chrony.conf', 'pool 0.debian.pool.ntp.org'),
    ours: ({ files }) => !files.has('/etc/chrony/chrony.conf'),
  },
];

/** Templates that cloud-init renders with CI_MISSING_JINJA_VAR in them, or drops: refused. */
export const REFUSED_TEMPLATES: readonly string[] = [
  'a: {{ ds.meta_data.unknown }}',
  'a: {{ v1.region }}',
  'a: {{ unknown.thing }}',
  'a: {{ open',
  'a: {% include "x" %}',
  'a: {{ local_hostname | nofilter }}',
];
