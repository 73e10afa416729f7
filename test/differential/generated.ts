// SPDX-License-Identifier: Apache-2.0
// Inputs that nobody thought of, the same in every run. What the schema cannot say is put right afterwards, rather than thrown away.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { File } from '../../api/bootstrap/machine-contents.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { arbitraryOf } from './arbitraries.ts';
import { MINORS, VERSION } from './corpus/builders.ts';
import type { ClusterShape, Owner, Scenario } from './scenario.ts';
import { SPEC_SCHEMA } from './schema.ts';

const SEED = 20_260_821;
export const GENERATED_COUNT = 500;

interface Draw {
  readonly purpose: 'init' | Owner;
  readonly minor: number;
  readonly patch: number;
  readonly ignition: boolean;
  readonly shape: Omit<ClusterShape, 'initialized'>;
  readonly alone: boolean;
  readonly spec: unknown;
}

/** Few, so that joins share clusters: each costs the providers a connection. */
const shape = fc.record({
  certificates: fc.constantFrom('rsa' as const, 'ecdsa' as const, 'bundle' as const),
  controlPlane: fc.constantFrom(VERSION, 'none'),
  endpoint: fc.constantFrom({ host: '10.1.1.1', port: 6443 }, { host: 'fd00::1', port: 443 }),
});

const draw: fc.Arbitrary<Draw> = fc.record({
  purpose: fc.constantFrom(
    'init',
    'init',
    'init',
    'control-plane',
    'control-plane',
    'worker',
    'worker',
    'worker',
    'pool',
  ),
  minor: fc.constantFrom(...MINORS),
  patch: fc.integer({ min: 0, max: 15 }),
  ignition: fc.integer({ min: 0, max: 3 }).map((value) => value === 0),
  shape,
  alone: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
  spec: arbitraryOf(SPEC_SCHEMA),
});

export const generated: readonly Scenario[] = fc
  .sample(draw, { numRuns: GENERATED_COUNT, seed: SEED })
  .map(scenarioOf);

function scenarioOf(drawn: Draw, index: number): Scenario {
  const { purpose, minor, patch, ignition } = drawn;
  const owner = purpose === 'init' ? 'control-plane' : purpose;
  const spec = repaired(structuredClone(drawn.spec) as KubeadmConfigSpec, { purpose, ignition, index });
  return {
    id: `generated-${String(index).padStart(3, '0')}`,
    owner,
    version: `v1.${minor}.${patch}`,
    cluster: clusterOf(drawn, spec),
    spec,
    expect: 'data',
  };
}

function clusterOf(
  { purpose, shape, alone }: Draw,
  { clusterConfiguration }: KubeadmConfigSpec,
): ClusterShape {
  const external = clusterConfiguration?.etcd?.external !== undefined;
  const given =
    external && purpose !== 'worker' && purpose !== 'pool'
      ? ({ certificates: 'external-etcd' } as const)
      : {};
  // Keys of these kinds take a second or more each to make.
  const slow = ['RSA-3072', 'RSA-4096'].includes(clusterConfiguration?.encryptionAlgorithm ?? '');
  if (purpose !== 'init') return { ...shape, ...given, initialized: true };
  if (alone && !slow && !external)
    return { ...shape, certificates: 'none', controlPlane: 'none', initialized: false };
  return { ...shape, ...given, controlPlane: VERSION, initialized: false };
}

interface Facts {
  readonly purpose: Draw['purpose'];
  readonly ignition: boolean;
  readonly index: number;
}

/** What 6.11 asks for beyond the schema, and what a purpose does not take. */
function repaired(spec: KubeadmConfigSpec, facts: Facts): KubeadmConfigSpec {
  const { purpose, ignition } = facts;
  spec.format = ignition ? 'ignition' : 'cloud-config';
  if (!ignition) delete spec.ignition;
  repairKubeadm(spec, facts);
  for (const file of spec.files ?? []) repairFile(file, ignition);
  if (spec.files !== undefined) spec.files = uniqueBy(spec.files, ({ path }) => path);
  repairMachine(spec, ignition);
  const join = spec.joinConfiguration;
  if (join !== undefined && purpose !== 'control-plane') delete join.controlPlane;
  if (join !== undefined && Object.keys(join).length === 0) delete spec.joinConfiguration;
  return spec;
}

function repairKubeadm(spec: KubeadmConfigSpec, { purpose, index }: Facts): void {
  const etcd = spec.clusterConfiguration?.etcd;
  if (etcd?.local !== undefined && etcd.external !== undefined) delete etcd.external;
  for (const token of spec.initConfiguration?.bootstrapTokens ?? [])
    if (token.expires !== undefined) delete token.ttlSeconds;
  const discovery = spec.joinConfiguration?.discovery;
  // On init the stock provider looks for that token for ever; the corpus has that case.
  if (purpose === 'init') delete spec.joinConfiguration?.discovery;
  const user = discovery?.file?.kubeConfig?.user;
  if (user?.exec !== undefined) delete user.authProvider;
  const token = discovery?.bootstrapToken;
  if (token?.token !== undefined) token.token = `gen${String(index).padStart(3, '0')}${token.token.slice(6)}`;
}

/** Content as its encoding says, and in one place; Template content is the corpus' business. */
function repairFile(file: File, ignition: boolean): void {
  if (file.contentFrom !== undefined) delete file.content;
  if (file.contentFrom !== undefined || (ignition && file.encoding !== 'base64')) delete file.encoding;
  // The stock provider refuses Ignition files without permissions.
  if (ignition) file.permissions ??= '0644';
  if (file.content === undefined) delete file.encoding;
  else file.content = encoded(file.content, file.encoding);
}

function encoded(content: string, encoding: File['encoding']): string {
  if (encoding === 'base64') return Buffer.from(content).toString('base64');
  return encoding === 'gzip+base64' ? gzipSync(content).toString('base64') : content;
}

function repairMachine(spec: KubeadmConfigSpec, ignition: boolean): void {
  const { users = [], diskSetup, mounts } = spec;
  for (const user of users) {
    if (user.passwdFrom !== undefined) delete user.passwd;
    if (ignition) delete user.inactive;
  }
  for (const partition of diskSetup?.partitions ?? []) {
    const { diskLayout } = partition;
    if (ignition || diskLayout === undefined) delete partition.diskLayout;
    if (partition.diskLayout === undefined) partition.layout ??= true;
    else delete partition.layout;
    for (const one of diskLayout ?? []) one.percentage = Math.min(one.percentage, 30);
    if (ignition) delete partition.tableType;
  }
  for (const filesystem of diskSetup?.filesystems ?? []) {
    filesystem.label ??= 'label';
    if (!ignition) continue;
    delete filesystem.partition;
    delete filesystem.replaceFS;
    // Ignition knows a file system by it, and the stock provider's rendering fails without the other.
    filesystem.overwrite ??= false;
  }
  if (diskSetup?.partitions !== undefined)
    diskSetup.partitions = uniqueBy(diskSetup.partitions, ({ device }) => device);
  if (diskSetup?.filesystems !== undefined)
    diskSetup.filesystems = uniqueBy(diskSetup.filesystems, ({ label }) => label);
  if (!ignition) return;
  delete spec.bootCommands;
  if (mounts !== undefined)
    spec.mounts = mounts.map(([what = '', where = '', ...rest]) => [what, `/${where}`, ...rest]);
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => unknown): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
