// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { startHosts } from './world.ts';

it.runIf(process.env['TS_PROVIDER_HOSTS_DIR'] === undefined)(
  'hosts are not started on the network and mounts of the computer itself',
  async () => {
    await expect(startHosts()).rejects.toThrow('node hack/hosts/enter.ts');
  },
);
