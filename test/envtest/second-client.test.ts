// SPDX-License-Identifier: Apache-2.0
// Our kinds through somebody else's client: what a person who automates with kubernetes-fluent-client meets.
import { GenericKind, K8s, RegisterKind } from 'kubernetes-fluent-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION, INFRASTRUCTURE_GROUP, TSMachineKind } from '../../api/kinds.ts';
import type { TSMachineSpec } from '../../api/tsmachine.ts';
import { type Environment, startEnvironment } from './harness.ts';

/** The library finds the kind by the name of the class. */
class TSMachine extends GenericKind {
  declare spec: TSMachineSpec;
}

let environment: Environment;
let namespace: string;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  namespace = await environment.namespace('second');
  process.env['KUBECONFIG'] = environment.apiServer.kubeconfig;
  const { kind, plural } = TSMachineKind;
  RegisterKind(TSMachine, { group: INFRASTRUCTURE_GROUP, version: API_VERSION, kind, plural });
});

afterAll(async () => {
  delete process.env['KUBECONFIG'];
  await environment?.stop();
});

describe('kubernetes-fluent-client', () => {
  it('applies, reads and deletes a TSMachine, and our client sees the same', async () => {
    const metadata = { name: 'm1', namespace };
    await K8s(TSMachine).Apply({ metadata, spec: { inMemory: { bootDelaySeconds: 3 } } });
    const ours = await environment.client.get(TSMachineKind, metadata);
    expect(ours?.spec).toEqual({ inMemory: { bootDelaySeconds: 3 } });
    const theirs = await K8s(TSMachine).InNamespace(namespace).Get('m1');
    expect(theirs.spec).toEqual(ours?.spec);
    await K8s(TSMachine).InNamespace(namespace).Delete('m1');
    expect(await environment.client.get(TSMachineKind, metadata)).toBeUndefined();
  });

  it('is told in one sentence what is wrong with a manifest', async () => {
    const refused = K8s(TSMachine).Apply({ metadata: { name: 'none', namespace }, spec: {} });
    await expect(refused).rejects.toMatchObject({
      data: { message: expect.stringMatching(/set exactly one backend, one of: inMemory/) as string },
    });
  });
});
