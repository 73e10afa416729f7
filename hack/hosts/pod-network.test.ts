// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { podNetwork } from './pod-network.ts';

it('the command fills the subnet of the host into the file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ts-provider-unit-'));
  try {
    const { files, preKubeadmCommands } = podNetwork();
    const file = join(dir, 'conflist');
    writeFileSync(file, files[0]!.content);
    const ip = 'ip() { echo "2: eth0    inet 10.88.55.113/24 scope global eth0"; }';
    const script = `${ip}\n${preKubeadmCommands[0]!.replace(files[0]!.path, file)}`;
    expect(spawnSync('/bin/sh', ['-c', script]).status).toBe(0);
    const config = JSON.parse(readFileSync(file, 'utf8')) as { plugins: { ipam?: unknown }[] };
    expect(config.plugins[0]?.ipam).toMatchObject({ ranges: [[{ subnet: '10.244.113.0/24' }]] });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
