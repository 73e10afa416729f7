// SPDX-License-Identifier: Apache-2.0
// Inputs that nobody thought of, the same in every run. What the schema cannot say is put right afterwards, rather than thrown away.
import fc from 'fast-check';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import { arbitraryOf } from './arbitraries.ts';
import { MINORS, VERSION } from './corpus/builders.ts';
import { repaired } from './repairs.ts';
import type { ClusterShape, Owner, Scenario } from './scenario.ts';
import { SPEC_SCHEMA } from './schema.ts';

const SEED = 20_260_821;
export const GENERATED_COUNT = 500;

/** Keys of these kinds take a second or more each to make. */
const SLOW: ReadonlySet<string> = new Set(['RSA-3072', 'RSA-4096']);

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
  const spec = repaired(structuredClone(drawn.spec) as KubeadmConfigSpec, {
    purpose,
    ignition,
    minor,
    index,
  });
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
  const { etcd, encryptionAlgorithm = '' } = clusterConfiguration ?? {};
  const external = etcd?.external !== undefined;
  const certificates = external ? 'external-etcd' : shape.certificates;
  if (purpose === 'control-plane') return { ...shape, certificates, initialized: true };
  if (purpose !== 'init') return { ...shape, initialized: true };
  if (alone && !external && !SLOW.has(encryptionAlgorithm))
    return { ...shape, certificates: 'none', controlPlane: 'none', initialized: false };
  return { ...shape, certificates, controlPlane: VERSION, initialized: false };
}
