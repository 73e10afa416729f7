// SPDX-License-Identifier: Apache-2.0
// Configs whose data Secret was made before: after a move, while a node is awaited, when a pool has grown.
import type { KubeadmConfigSpec } from '../../../api/kubeadmconfig.ts';
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, poolJoin, workerJoin } from './builders.ts';

const MINUTE_MS = 60_000;
const HASH = `sha256:${'ab'.repeat(32)}`;

const spec = (token: string): KubeadmConfigSpec => ({
  joinConfiguration: {
    discovery: { bootstrapToken: { token, apiServerEndpoint: '10.20.30.40:6443', caCertHashes: [HASH] } },
  },
});

/** A token that is due to be renewed or replaced, given the TTL of the runs, and one that is not; both last much longer than a run. */
const ENDING_MS = 60 * MINUTE_MS;
const FRESH_MS = 24 * 60 * MINUTE_MS;

const given = (token: string, lifetimeMs: number) => ({ tokens: [{ token, lifetimeMs }] });

export const lifecycles: readonly Scenario[] = [
  init('moved', { verbosity: 0 }, { moved: true }),
  workerJoin('moved', { verbosity: 0 }, { moved: true }),
  workerJoin('moved-and-joined', { verbosity: 0 }, { moved: true, joined: true }),
  workerJoin('moved-token-ending', spec('move01.0000000000000001'), {
    moved: true,
    ...given('move01.0000000000000001', ENDING_MS),
  }),
  controlPlaneJoin('token-ending', spec('move02.0000000000000002'), {
    created: 'there',
    ...given('move02.0000000000000002', ENDING_MS),
  }),
  workerJoin('token-fresh', spec('move03.0000000000000003'), {
    created: 'there',
    ...given('move03.0000000000000003', FRESH_MS),
  }),
  workerJoin('joined-token-ending', spec('move04.0000000000000004'), {
    created: 'there',
    joined: true,
    ...given('move04.0000000000000004', ENDING_MS),
  }),
  poolJoin('token-ending', spec('move05.0000000000000005'), {
    created: 'there',
    ...given('move05.0000000000000005', ENDING_MS),
  }),
  poolJoin('token-lost', spec('move06.0000000000000006'), { created: 'there' }),
  poolJoin('joined-token-ending', spec('move07.0000000000000007'), {
    created: 'there',
    joined: true,
    ...given('move07.0000000000000007', ENDING_MS),
  }),
  poolJoin('joined-token-fresh', spec('move08.0000000000000008'), {
    created: 'there',
    joined: true,
    ...given('move08.0000000000000008', FRESH_MS),
  }),
  workerJoin('data-lost', spec('move10.0000000000000010'), {
    created: 'lost',
    ...given('move10.0000000000000010', FRESH_MS),
  }),
  poolJoin('joined-token-lost', spec('move09.0000000000000009'), { created: 'there', joined: true }),
];
