// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import { stepScript } from '../script.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`Full disks are not tried on a host of its own: ${whyNot}.`);

const BROKEN = { id: 'a', impact: 'none', deadlineSeconds: 10, check: 'false', apply: 'exit 3' } as const;

describe.skipIf(whyNot !== undefined)('a step that fails', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh('mount -t tmpfs -o size=64k tmpfs /opt; cat /dev/zero >/opt/all 2>/dev/null || true');
  });
  afterEach(() => host?.close());

  const run = () => host.remote.run(quietContext(), stepScript(BROKEN, '0123456789abcdef'));

  it('does so because of a disk that is full', async () => {
    const { exitCode, stderr } = await run();
    expect(`${exitCode} ${stderr}`).toMatch(/^74 error: \/opt: no space left/);
  });

  it('and not because of one that nobody writes to', async () => {
    host.sh('mount -o remount,ro /opt');
    expect(await run()).toMatchObject({ exitCode: 70, stderr: 'error: a ended with exit code 3\n' });
  });
});
