// SPDX-License-Identifier: Apache-2.0
// A machine with more files than user data usually hold: packed by the bootstrap provider, unpacked by the machine.
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Machine } from '../../api/cluster-api.ts';
import { KubeadmConfigTemplateKind, MachineKind, SecretKind } from '../../api/kinds.ts';
import { CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import { MachineDeploymentKind } from '../../hack/stack/kinds.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { phaseOf } from './machines.ts';

const NAME = 'compact';
const FILES = 6;
const soon = { timeout: 180_000, interval: 250 };

let environment: Environment;
let namespace: string;

beforeAll(async () => {
  environment = await startEnvironment({ managers: ['core', 'control-plane'], ourBootstrap: true });
  await environment.workloadClient();
  await environment.startProvider();
  await environment.startProvider({ provider: 'bootstrap' });
  namespace = await environment.namespace(NAME);
  await environment.cluster({ namespace, name: NAME, workerMachines: 0 });
});

afterAll(() => environment?.stop());

async function workers(): Promise<Machine[]> {
  const machines = await environment.client.list(MachineKind, { namespace });
  return machines.filter(({ metadata }) => metadata.labels?.[CONTROL_PLANE_LABEL] === undefined);
}

it('a worker with 60 kB of files comes up from a few', { timeout: 200_000 }, async () => {
  const { client } = environment;
  const name = { namespace, name: `${NAME}-md-0` };
  const line = 'net.ipv4.conf.all.rp_filter = 1\n';
  const files = Array.from({ length: FILES }, (_, index) => ({
    path: `/etc/sysctl.d/${index}.conf`,
    content: `# ${index}\n${line.repeat(312)}`,
  }));
  await client.patch(KubeadmConfigTemplateKind, name, { spec: { template: { spec: { files } } } });
  await client.patch(MachineDeploymentKind, name, { spec: { replicas: 1 } });
  await expect.poll(async () => (await workers()).map(phaseOf), soon).toEqual(['Running']);

  const [worker] = await workers();
  const secretName = worker?.spec.bootstrap?.dataSecretName ?? '';
  const secret = await client.get(SecretKind, { namespace, name: secretName });
  const published = Buffer.from(secret?.data?.['value'] ?? '', 'base64');
  const text = gunzipSync(published).toString();
  expect(published.length).toBeLessThan(16_384);
  expect(text.length).toBeGreaterThan(60_000);
  expect(text.startsWith('## template: jinja\n#cloud-config\n')).toBe(true);
  expect(Buffer.from(secret?.data?.['format'] ?? '', 'base64').toString()).toBe('cloud-config');
});
