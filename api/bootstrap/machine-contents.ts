// SPDX-License-Identifier: Apache-2.0
// What the machine gets beside kubeadm: files, users, disks, time.
import Type, { type Static } from 'typebox';
import { rules, type ValidationRule } from '../meta.ts';
import { atomicList, filled, flag, text, unique } from './fields.ts';

const SecretKeySchema = Type.Object(
  {
    name: text('Name of the Secret, in the namespace of this object.', 253),
    key: text('Key in the Secret.', 256),
  },
  { description: 'A key of a Secret.' },
);

/** A key of a Secret in the namespace of the config. */
export type SecretFileSource = Static<typeof SecretKeySchema>;

const FileSourceSchema = Type.Object(
  { secret: SecretKeySchema },
  { description: 'Where the content comes from, in place of content.' },
);

/** Where the content of a file comes from. */
export type FileSource = Static<typeof FileSourceSchema>;

const contentOnce: ValidationRule = {
  rule: '!(has(self.content) && has(self.contentFrom))',
  message: 'set content or contentFrom of a file, not both: remove one of them',
};

const FileSchema = Type.Object(
  {
    path: text('Path on the machine.'),
    owner: Type.Optional(text('Owner as user:group; root:root when absent.', 256)),
    permissions: Type.Optional(text('Octal digits as text, such as "0640".', 16)),
    encoding: Type.Optional(
      Type.Enum(['base64', 'gzip', 'gzip+base64'], {
        description:
          'How the content given here is encoded; it is decoded on the machine. Plain text when absent.',
      }),
    ),
    append: Type.Optional(flag('Whether the content is added to the end of a file that is there already.')),
    content: Type.Optional(
      text('The content. Kept in the clear in this object: for secrets use contentFrom.', 10_240),
    ),
    contentFrom: Type.Optional(FileSourceSchema),
    contentFormat: Type.Optional(
      Type.Enum(['Raw', 'Template'], {
        description:
          'Raw (also when absent): the content as it is. Template: the content is a Go template; ' +
          '.controlPlane.version is the Kubernetes version of the control plane, where the Cluster has a reference to one.',
      }),
    ),
  },
  { description: 'One file.', ...rules(contentOnce) },
);

/** A file for the machine. */
export type File = Static<typeof FileSchema>;

/** Schema of `spec.files`. */
export const FilesSchema = Type.Array(FileSchema, {
  description: 'Files to write before kubeadm runs.',
  minItems: 1,
  maxItems: 200,
  'x-kubernetes-list-type': 'atomic',
  ...rules(unique('path', 'each path in files must be unique: join entries of the same path into one')),
});

const PasswdSourceSchema = Type.Object(
  { secret: SecretKeySchema },
  { description: 'Where the hash of the password comes from, in place of passwd.' },
);

/** Where the hash of a password comes from. */
export type PasswdSource = Static<typeof PasswdSourceSchema>;

const passwordOnce: ValidationRule = {
  rule: '!(has(self.passwd) && has(self.passwdFrom))',
  message: 'set passwd or passwdFrom of a user, not both: remove one of them',
};

const word = (description: string) => Type.Optional(text(description, 256));

const UserSchema = Type.Object(
  {
    name: text('Name of the user.', 256),
    gecos: word('Full name and the like.'),
    groups: word('Further groups, separated by commas.'),
    homeDir: word('Home folder; /home/<name> when absent.'),
    inactive: Type.Optional(flag('Whether the account cannot be used. Not with format ignition.')),
    shell: word('Path of the login shell.'),
    passwd: word('Hash of the password, as in /etc/shadow. For secrets use passwdFrom.'),
    passwdFrom: Type.Optional(PasswdSourceSchema),
    primaryGroup: word('Primary group; one of the name of the user when absent.'),
    lockPassword: Type.Optional(flag('Whether logging in with a password is off; true when absent.')),
    sudo: word('A rule for sudo, such as ALL=(ALL) NOPASSWD:ALL.'),
    sshAuthorizedKeys: Type.Optional(
      atomicList(text('One public key.', 2048), 'Public keys that may log in as the user.', {
        maxItems: 100,
      }),
    ),
  },
  { description: 'One user.', ...rules(passwordOnce) },
);

/** A user of the machine. */
export type User = Static<typeof UserSchema>;

/** Schema of `spec.users`. */
export const UsersSchema = atomicList(UserSchema, 'Users to add.', { minItems: 1, maxItems: 100 });

/** Schema of {@link NTP}. */
export const NTPSchema = filled(
  {
    servers: Type.Optional(
      atomicList(text('Name or address of a server.'), 'Time servers.', { maxItems: 100 }),
    ),
    enabled: Type.Optional(flag('Whether the clock is kept by NTP.')),
  },
  'How the clock is kept.',
);

/** How the clock is kept. */
export type NTP = Static<typeof NTPSchema>;

export type { DiskSetup, Filesystem, Partition, PartitionSpec } from './disk-setup.ts';
