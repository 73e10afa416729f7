// SPDX-License-Identifier: Apache-2.0
// Configs that get no data Secret, because something is missing or wrong.
import type { Scenario } from '../scenario.ts';
import { controlPlaneJoin, init, poolJoin, workerJoin, type Variation } from './builders.ts';

const held = (variation: Variation = {}): Variation => ({ ...variation, expect: 'held' });
const spec = { verbosity: 0 };
const path = '/x';

export const heldBack: readonly Scenario[] = [
  init('no-infrastructure', spec, held({ cluster: { infrastructureProvisioned: false } })),
  workerJoin('no-infrastructure', spec, held({ cluster: { infrastructureProvisioned: false } })),
  workerJoin('not-initialized', spec, held({ cluster: { initialized: false } })),
  poolJoin('not-initialized', spec, held({ cluster: { initialized: false } })),
  init('paused', spec, held({ cluster: { paused: true } })),
  workerJoin('paused', spec, held({ cluster: { paused: true } })),
  init('lock-held', spec, held({ cluster: { locked: true } })),
  init('no-version', spec, held({ version: undefined })),
  init('version-too-old', spec, held({ version: 'v1.21.9' })),
  workerJoin('no-version', spec, held({ version: undefined })),
  workerJoin('no-endpoint', spec, held({ cluster: { endpoint: null } })),
  workerJoin('no-ca', spec, held({ cluster: { certificates: 'none' } })),
  controlPlaneJoin('no-certificates', spec, held({ cluster: { certificates: 'none' } })),
  controlPlaneJoin('ca-only', spec, held({ cluster: { certificates: 'ca-only' } })),
  workerJoin('ca-without-certificate', spec, held({ cluster: { certificates: 'ca-without-certificate' } })),
  workerJoin('truncated-ca', spec, held({ cluster: { certificates: 'truncated-ca' } })),
  workerJoin('control-plane-set', { joinConfiguration: { controlPlane: {} } }, held()),
  workerJoin(
    'file-secret-missing',
    { files: [{ path, contentFrom: { secret: { name: 'missing', key: 'x' } } }] },
    held(),
  ),
  init(
    'file-key-missing',
    { files: [{ path, contentFrom: { secret: { name: 'content', key: 'missing' } } }] },
    held(),
  ),
  workerJoin(
    'password-missing',
    { users: [{ name: 'foo', passwdFrom: { secret: { name: 'missing', key: 'x' } } }] },
    held(),
  ),
  workerJoin(
    'template-broken',
    { files: [{ path, contentFormat: 'Template', content: '{{ if }}' }] },
    held(),
  ),
  workerJoin(
    'template-function',
    { files: [{ path, contentFormat: 'Template', content: '{{ nope . }}' }] },
    held(),
  ),
];
