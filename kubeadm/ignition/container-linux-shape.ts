// SPDX-License-Identifier: Apache-2.0
// The part of Container Linux Config that we read. What is left out is refused by name, with what to write instead.
import {
  checkAbsolutePath,
  checkCompression,
  checkDropinName,
  checkFilesystemFormat,
  checkGUID,
  checkMode,
  checkNetworkdName,
  checkNotEmpty,
  checkPartitionLabel,
  checkRaidLevel,
  checkUnitContents,
  checkUnitName,
  checkURL,
} from './checks.ts';
import { checkPartitionSize, PARTITION_TYPES } from './partition-units.ts';
import { bytes, flag, integer, list, object, refused, text } from './shape.ts';

const path = text(checkAbsolutePath);
const name = text(checkNotEmpty);
const mode = integer(checkMode);
const owner = object({ id: integer(), name: text() });
const node = { filesystem: text(), path, overwrite: flag, user: owner, group: owner };

const verification = object({
  hash: object({
    function: text((value) => (value === '' || value === 'sha512' ? undefined : 'must be sha512')),
    sum: text((value) =>
      value === '' || /^[0-9a-f]{128}$/i.test(value) ? undefined : 'must be 128 hexadecimal digits',
    ),
  }),
});

const reference = object({ source: text(checkURL), verification }, ['source']);

const ignition = object({
  config: object({ append: list(reference), replace: reference }),
  timeouts: object({ http_response_headers: integer(), http_total: integer() }),
  security: object({ tls: object({ certificate_authorities: list(reference) }) }),
});

const partition = object({
  label: text(checkPartitionLabel),
  number: integer((value) => (value < 0 ? 'must not be negative' : undefined)),
  size: text(checkPartitionSize),
  start: text(checkPartitionSize),
  type_guid: text((value) => (Object.hasOwn(PARTITION_TYPES, value) ? undefined : checkGUID(value))),
  guid: text(checkGUID),
});

const filesystem = object({
  name: text(),
  mount: object(
    {
      device: path,
      format: text(checkFilesystemFormat),
      wipe_filesystem: flag,
      label: text(),
      uuid: text(),
      options: list(text()),
      create: refused('use wipe_filesystem and options beside it'),
    },
    ['device', 'format'],
  ),
  path,
});

const file = object(
  {
    ...node,
    append: flag,
    mode,
    contents: object({
      inline: bytes,
      local: refused('there are no local files: use inline'),
      remote: object({
        url: text((value) => (value === '' ? undefined : checkURL(value))),
        compression: text(checkCompression),
        verification,
      }),
    }),
  },
  ['path'],
);

const storage = object({
  disks: list(object({ device: path, wipe_table: flag, partitions: list(partition) }, ['device'])),
  raid: list(
    object(
      {
        name,
        level: text(checkRaidLevel),
        devices: list(path),
        spares: integer(),
        options: list(text()),
      },
      ['name', 'level', 'devices'],
    ),
  ),
  filesystems: list(filesystem),
  files: list(file),
  directories: list(object({ ...node, mode }, ['path'])),
  links: list(object({ ...node, target: name, hard: flag }, ['path', 'target'])),
});

const dropins = list(object({ name: text(checkDropinName), contents: text(checkUnitContents) }, ['name']));

const systemd = object({
  units: list(
    object(
      {
        name: text(checkUnitName),
        enable: flag,
        enabled: flag,
        mask: flag,
        contents: text(checkUnitContents),
        dropins,
      },
      ['name'],
    ),
  ),
});

const networkd = object({
  units: list(
    object({ name: text(checkNetworkdName), contents: text(checkUnitContents), dropins }, ['name']),
  ),
});

const passwd = object({
  users: list(
    object(
      {
        name,
        password_hash: text(),
        ssh_authorized_keys: list(text()),
        uid: integer(),
        gecos: text(),
        home_dir: text(),
        no_create_home: flag,
        primary_group: text(),
        groups: list(text()),
        no_user_group: flag,
        no_log_init: flag,
        shell: text(),
        system: flag,
        create: refused('write its keys beside name'),
      },
      ['name'],
    ),
  ),
  groups: list(object({ name, gid: integer(), password_hash: text(), system: flag }, ['name'])),
});

const asFilesAndUnits = refused('write the files and systemd units that you need');

/** The whole document. */
export const CONTAINER_LINUX_CONFIG = object({
  ignition,
  storage,
  systemd,
  networkd,
  passwd,
  etcd: asFilesAndUnits,
  flannel: asFilesAndUnits,
  docker: asFilesAndUnits,
  update: asFilesAndUnits,
  locksmith: asFilesAndUnits,
});
