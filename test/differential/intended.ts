// SPDX-License-Identifier: Apache-2.0
// Where we differ from the stock provider on purpose. docs/bootstrap.md shows this table; what is not in it is a defect.
import type { Difference } from './compare.ts';
import type { Outcome } from './normalise.ts';
import { CONTENT } from './objects.ts';
import type { Json } from './payload.ts';
import type { Scenario } from './scenario.ts';

/** The scenario in which a difference shows, with all that both providers left. */
export interface Comparison {
  readonly scenario: Scenario;
  readonly stock: Outcome;
  readonly ours: Outcome;
}

export interface IntendedDifference {
  readonly id: string;
  readonly stock: string;
  readonly ours: string;
  readonly why: string;
  applies(difference: Difference, comparison: Comparison): boolean;
  /** Comes only now and then: a defect of the stock provider that needs bad luck. Default false. */
  readonly sometimes?: boolean;
}

const TOKEN = /^[a-z0-9]{6}\.[a-z0-9]{16}$/;

const isIgnition = ({ scenario }: Comparison) => scenario.spec.format === 'ignition';
const givenToken = ({ scenario }: Comparison) =>
  scenario.spec.joinConfiguration?.discovery?.bootstrapToken?.token;
const hasData = (outcome: Outcome) => outcome['data'] !== null && outcome['data'] !== undefined;
const onlyOursHasData = ({ stock, ours }: Comparison) => hasData(ours) && !hasData(stock);

/** Everything that follows from having a data Secret or not. */
const ANY_PART =
  /^(data|token|lock|conditions|conditionOrder|dataSecretName|dataSecretCreated|observed|spec|certificates)\b/;

function stringsOf({ stock, ours }: Difference): [string, string] | undefined {
  return typeof stock === 'string' && typeof ours === 'string' ? [stock, ours] : undefined;
}

function unparsable(outcome: Outcome): boolean {
  const payload = (outcome['data'] as { payload?: Record<string, Json> } | null)?.payload;
  return payload !== undefined && 'unparsable' in payload;
}

const RENDERING: readonly IntendedDifference[] = [
  {
    id: 'file-content',
    stock:
      'Cuts several line ends at the end of a file down to one, and changes leading blanks, carriage returns and control characters.',
    ours: 'Writes what is given; a file without a line end gets one, as with the stock provider.',
    why: 'Keys, tokens and binary-like formats are not text with lines.',
    applies(difference, { scenario }) {
      const [stock, ours] = stringsOf(difference) ?? [];
      if (stock === undefined || ours === undefined) return false;
      if (!/(write_files\[\d+\]\.content|contents\.source)$/.test(difference.path)) return false;
      const given = [...(scenario.spec.files ?? []).map(({ content }) => content), ...Object.values(CONTENT)];
      return given.includes(ours) && stock.replace(/\n+$/, '') === ours.replace(/\n+$/, '');
    },
  },
  {
    id: 'quotes',
    stock:
      'Puts users, disks, mounts, time servers and indented content into YAML as they are: some documents cannot be parsed.',
    ours: 'Quotes what needs it: every document can be parsed and says what was given.',
    why: 'A machine with a document that cannot be parsed boots into nothing.',
    applies: ({ path }, { stock, ours }) =>
      path.startsWith('data.payload') && unparsable(stock) && !unparsable(ours),
  },
  {
    id: 'misread',
    stock:
      'The same, where YAML reads it as something else: a name of digits as a number, `off` as false, `#` as a comment.',
    ours: 'Text stays text.',
    why: 'The machine gets what was written.',
    applies({ path, stock, ours }, { scenario }) {
      if (!/^data\.payload\.(users|ntp|mounts|fs_setup|disk_setup)\b/.test(path)) return false;
      if (typeof ours !== 'string' || !JSON.stringify(scenario.spec).includes(JSON.stringify(ours)))
        return false;
      return typeof stock === 'string'
        ? ours.startsWith(`${stock} #`)
        : stock !== undefined && stock !== null;
    },
  },
  {
    id: 'empty-parts',
    stock:
      'Writes `disk_setup:`, `fs_setup:`, `servers:` or `label:` with nothing after it where only the other half is given.',
    ours: 'Leaves out what is empty.',
    why: "cloud-init's schema wants a value there.",
    applies: ({ path, stock, ours }) =>
      /^data\.payload\.(disk_setup|fs_setup|ntp\.servers|fs_setup\[\d+\]\.label)$/.test(path) &&
      stock === null &&
      ours === undefined,
  },
];

const CHECKED: readonly IntendedDifference[] = [
  {
    id: 'refused-before-it-is-published',
    stock: 'Publishes what kubeadm or cloud-init then refuses on the machine.',
    ours: 'Publishes nothing, and says which field is wrong.',
    why: 'A machine that cannot come up costs a quarter of an hour and says nothing.',
    applies: ({ path }, { scenario, stock, ours }) =>
      scenario.expect === 'held' && hasData(stock) && !hasData(ours) && ANY_PART.test(path),
  },
  {
    id: 'packed',
    stock: 'Always plain.',
    ours: 'From 16 KiB on packed with gzip, where the infrastructure is known to take it.',
    why: 'User data are limited to 16 KiB on some clouds.',
    applies: ({ path, stock, ours }, { scenario }) =>
      scenario.infrastructure === 'TSMachine' &&
      ((path === 'data.packed' && ours === true) ||
        (path.endsWith('.contents.compression') && stock === undefined && ours === 'gzip')),
  },
];

const IGNITION: readonly IntendedDifference[] = [
  {
    id: 'ignition-defaults',
    stock:
      'Fails for a file without permissions and for a file system without `overwrite`, and the conditions do not say why.',
    ours: 'Takes 0644 and false.',
    why: 'The same spec works with cloud-init.',
    applies({ path }, comparison) {
      const { files = [], diskSetup } = comparison.scenario.spec;
      const unset =
        files.some(({ permissions }) => permissions === undefined) ||
        diskSetup?.filesystems?.some(({ overwrite }) => overwrite === undefined) === true;
      return isIgnition(comparison) && unset && onlyOursHasData(comparison) && ANY_PART.test(path);
    },
  },
  {
    id: 'ignition-permissions',
    stock: 'Reads permissions without a leading zero as a decimal number.',
    ours: 'Permissions are octal.',
    why: '`1755` is the sticky bit and 0755, not a set of random bits.',
    applies: ({ path, stock }, comparison) =>
      path.endsWith('.mode') &&
      comparison.scenario.spec.files?.some(({ permissions }) => Number(permissions) === stock) === true,
  },
  {
    id: 'ignition-append',
    stock: 'Ignores `append` of a file and replaces it.',
    ours: 'Appends.',
    why: 'That is what was asked for.',
    applies: ({ path, stock, ours }) =>
      /storage\.files\..*\.append$/.test(path) && stock === undefined && ours === true,
  },
  {
    id: 'ignition-disk-layout',
    stock: 'Ignores `diskLayout`.',
    ours: 'Refuses it with the way out.',
    why: 'Ignition cannot divide a disk in percent; a disk that is left whole in silence is found out too late.',
    applies: ({ path }, comparison) =>
      isIgnition(comparison) &&
      !hasData(comparison.ours) &&
      comparison.scenario.spec.diskSetup?.partitions?.some(({ diskLayout }) => diskLayout !== undefined) ===
        true &&
      ANY_PART.test(path),
  },
  {
    id: 'ignition-no-layout',
    stock: 'Makes a partition although `layout` is false.',
    ours: 'Makes none.',
    why: 'That is what was asked for.',
    applies: ({ path, ours }) => /storage\.disks\[\d+\]\.partitions$/.test(path) && ours === undefined,
  },
  {
    id: 'ignition-groups',
    stock: 'Divides `groups` at a comma with a space only.',
    ours: 'Divides at commas, with a space or without.',
    why: 'As cloud-init does with the same spec.',
    applies: ({ path }, { scenario }) =>
      path.includes('passwd.users') &&
      path.includes('.groups') &&
      scenario.spec.users?.some(({ groups = '' }) => /,\S/.test(groups)) === true,
  },
  {
    id: 'ignition-ntp-disabled',
    stock: 'Starts ntpd although `enabled` is false.',
    ours: 'Leaves it alone.',
    why: 'That is what was asked for.',
    applies: ({ path, ours }, { scenario }) =>
      scenario.spec.ntp?.enabled === false && /(ntpd\.service|ntp\.conf)$/.test(path) && ours === undefined,
  },
  {
    id: 'ignition-mount-names',
    stock: 'Names mount units by replacing `/` in the mount point.',
    ours: 'Names them as `systemd-escape --path` does.',
    why: 'systemd refuses a mount unit whose name is not that of its mount point.',
    applies: ({ path, stock, ours }) =>
      /systemd\.units\..*\.mount$/.test(path) && (stock === undefined || ours === undefined),
  },
  {
    id: 'ignition-mount-device',
    stock: 'A mount whose first word is no label of a file system in the spec has no device.',
    ours: 'Takes the word for the label of a file system that is there already.',
    why: 'systemd refuses a mount unit without a device.',
    applies: ({ path, stock, ours }) =>
      /systemd\.units\..*\.mount\.contents$/.test(path) &&
      typeof stock === 'string' &&
      typeof ours === 'string' &&
      stock.includes('\nWhat=\n') &&
      ours.includes('\nWhat=/dev/disk/by-label/'),
  },
];

const CONTROLLER: readonly IntendedDifference[] = [
  {
    id: 'legacy-status',
    stock: 'Also writes the conditions of v1beta1, under status.deprecated.',
    ours: 'Writes the conditions of v1beta2 only.',
    why: 'Nobody reads them with the v1beta2 contract, and every one is one more thing to write.',
    applies: ({ path, ours }) => path === 'legacyStatus' && ours === false,
  },
  {
    id: 'says-why',
    stock:
      'When a join fails before its files are looked at, DataSecretAvailable is absent and Ready is Unknown; other errors point at the log.',
    ours: 'DataSecretAvailable is False with a message that names the object that is waited for, or the field that is wrong.',
    why: 'Whoever waits for a machine should not need the logs of the provider.',
    applies: ({ path }, { stock, ours, scenario }) =>
      scenario.expect === 'held' &&
      !hasData(stock) &&
      !hasData(ours) &&
      /^(conditions\.|conditionOrder$|observed$)/.test(path),
  },
  {
    id: 'nothing-half-written',
    stock:
      'Fills in the spec and makes a token before it knows that it can render; both stay when it cannot.',
    ours: 'Writes nothing until everything can be rendered.',
    why: 'No token without a machine; a spec that is put right is as it was.',
    applies: ({ path, ours }, comparison) =>
      comparison.scenario.expect === 'held' &&
      !hasData(comparison.ours) &&
      /^(spec\.joinConfiguration|spec\.clusterConfiguration|token|lock)\b/.test(path) &&
      (ours === undefined || ours === null),
  },
  {
    id: 'given-token',
    stock:
      'Leaves a token that is given in the spec to whoever gave it: a Machine is retried for ever (its refresh finds nothing), a MachinePool gets another token at once.',
    ours: 'Makes the given token, as it is.',
    why: 'A join that names a token works, and stays quiet.',
    applies: ({ path }, comparison) =>
      givenToken(comparison) !== undefined &&
      comparison.scenario.tokens === undefined &&
      comparison.scenario.created === undefined &&
      (/^(token|observed)\b/.test(path) || path.endsWith('discovery.bootstrapToken.token')),
  },
  {
    id: 'control-plane-not-asked',
    stock: 'Reads the object of controlPlaneRef for every config, and fails when it is not there.',
    ours: 'Reads it when a file is a Template.',
    why: 'One request less for each config; nothing else needs it.',
    applies: ({ path }, comparison) =>
      comparison.scenario.cluster.controlPlane === 'missing' &&
      onlyOursHasData(comparison) &&
      ANY_PART.test(path),
  },
  {
    id: 'worker-needs-no-ca-key',
    stock: 'Wants the key of the CA for a worker.',
    ours: 'Wants the certificate.',
    why: 'A worker gets a hash of the certificate; keys may be kept elsewhere.',
    applies: ({ path }, comparison) =>
      comparison.scenario.cluster.certificates === 'ca-without-key' &&
      onlyOursHasData(comparison) &&
      ANY_PART.test(path),
  },
  {
    id: 'lost-data',
    stock: 'Does not notice that the data Secret is gone.',
    ours: 'Renders it again, as long as no instance has used it.',
    why: 'The Machine would wait for it for ever.',
    applies: ({ path }, comparison) =>
      comparison.scenario.created === 'lost' && onlyOursHasData(comparison) && ANY_PART.test(path),
  },
  {
    id: 'file-discovery-not-filled-in',
    stock: 'Writes server and CA of the cluster into discovery.file.kubeConfig.cluster of the spec.',
    ours: 'Puts them into the file and leaves the spec as it is.',
    why: 'The Cluster is the one place that says it.',
    applies: ({ path, ours }) =>
      /^spec\.joinConfiguration\.discovery\.file\.kubeConfig\.cluster\b/.test(path) && ours === undefined,
  },
  {
    id: 'certificate-owner',
    stock: 'Certificate Secrets block the deletion of the config (blockOwnerDeletion).',
    ours: 'They do not.',
    why: 'It would need the right to change finalizers of configs where the API server checks that.',
    applies: ({ path, ours }) =>
      /^certificates\.\w[\w-]*\.owners\[0\]\.blockOwnerDeletion$/.test(path) && ours === undefined,
  },
  {
    id: 'certificate-serial',
    stock: 'All CAs have the serial number 0.',
    ours: 'A random positive number.',
    why: 'RFC 5280 asks for a positive one, and for a different one for each certificate of an issuer.',
    applies: ({ path, ours }) => path.endsWith('.certificate.serial') && ours === 'positive',
  },
  {
    id: 'second-token',
    stock:
      'Under load sometimes makes a second token from a stale read; the data Secret then holds another token than the spec.',
    ours: 'One config, one token.',
    why: 'The token of the spec is the one that is kept alive: a slow machine would find its own expired.',
    sometimes: true,
    applies: ({ path, stock, ours }) =>
      path.endsWith('discovery.bootstrapToken.token') &&
      typeof stock === 'string' &&
      TOKEN.test(stock) &&
      ours === '<token>',
  },
];

export const INTENDED: readonly IntendedDifference[] = [...RENDERING, ...CHECKED, ...IGNITION, ...CONTROLLER];
