// SPDX-License-Identifier: Apache-2.0
// What the API server itself makes of our CRDs: every rule of the schema, and what core and people read of the definitions.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  API_VERSION,
  INFRASTRUCTURE_GROUP,
  TSClusterKind,
  TSClusterTemplateKind,
  TSHostKind,
  TSMachineKind,
  TSMachinePoolKind,
  TSMachinePoolTemplateKind,
  TSMachineTemplateKind,
} from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import { CustomResourceDefinitionKind } from '../../hack/stack/kinds.ts';
import { runProgram } from '../../hack/stack/process.ts';
import { loadKubeConfig } from '../../runtime/client.ts';
import { systemClock } from '../../runtime/clock.ts';
import { errorMessage } from '../../runtime/errors.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { createTransport, type Exchange } from '../../runtime/transport.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { RESOURCES } from '../../api/resources.ts';
import { AWS_CASES } from './aws-validation-cases.ts';
import { HOST_CASES } from './host-validation-cases.ts';
import { VALIDATION_CASES, type ValidationCase } from './validation-cases.ts';

const KINDS: readonly Kind[] = [
  TSClusterKind,
  TSClusterTemplateKind,
  TSHostKind,
  TSMachineKind,
  TSMachinePoolKind,
  TSMachinePoolTemplateKind,
  TSMachineTemplateKind,
];

let environment: Environment;
let namespace: string;
/** The answer to one request that refuses unknown fields: `accepted`, or the API server's words. */
let ask: (exchange: Exchange) => Promise<string>;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  namespace = await environment.namespace('validation');
  const source = loadKubeConfig({ path: environment.apiServer.kubeconfig });
  const transport = createTransport({ source, clock: systemClock, onResponse: () => undefined });
  ask = async (exchange) => {
    try {
      const response = await transport.send({ ...exchange, path: `${exchange.path}?fieldValidation=Strict` });
      await response.body.dump();
      return 'accepted';
    } catch (error) {
      return errorMessage(error);
    }
  };
});

afterAll(() => environment?.stop());

describe('schema and rules', () => {
  const named = [...VALIDATION_CASES, ...HOST_CASES, ...AWS_CASES].map((one, index) => ({
    ...one,
    objectName: `case-${index}`,
  }));

  it.each(named)('$name', async ({ objectName, ...one }) => {
    const answer = await lastAnswer(objectName, one);
    if (one.want === 'accepted') expect(answer).toBe('accepted');
    else expect(answer).toMatch(one.want);
  });
});

async function lastAnswer(name: string, { manifest, then }: ValidationCase): Promise<string> {
  const { plural, namespaced } = kindNamed(manifest.kind);
  const scope = namespaced ? `namespaces/${namespace}/` : '';
  const collection = `/apis/${INFRASTRUCTURE_GROUP}/${API_VERSION}/${scope}${plural}`;
  const object = {
    apiVersion: `${INFRASTRUCTURE_GROUP}/${API_VERSION}`,
    ...manifest,
    metadata: { name, ...(namespaced && { namespace }) },
  };
  const created = await ask({ method: 'POST', path: collection, ...body(object, 'application/json') });
  if (then === undefined) return created;
  // A change of something that was never accepted would prove nothing.
  expect(created).toBe('accepted');
  const path = `${collection}/${name}${'status' in then ? '/status' : ''}`;
  return ask({ method: 'PATCH', path, ...body(then, 'application/merge-patch+json') });
}

function kindNamed(name: string): Kind {
  const found = RESOURCES.find(({ kind }) => kind.kind === name);
  if (found === undefined) throw new Error(`there is no kind ${name}`);
  return found.kind;
}

function body(content: unknown, type: string): Pick<Exchange, 'body' | 'headers'> {
  return { body: JSON.stringify(content), headers: { 'content-type': type } };
}

interface Definition extends KubeObject {
  spec: {
    scope: string;
    names: Record<string, unknown>;
    versions: { name: string; served: boolean; subresources?: { status?: object } }[];
  };
}

describe('definitions', () => {
  const definitionOf = async (kind: Kind): Promise<Definition> => {
    const name = { namespace: '', name: `${kind.kind.toLowerCase()}s.${INFRASTRUCTURE_GROUP}` };
    const found = await environment.client.get(CustomResourceDefinitionKind, name);
    if (found === undefined) throw new Error(`there is no CRD ${name.name}`);
    return found as unknown as Definition;
  };

  it.each(KINDS)(
    'GEN-1, GEN-5, GEN-7, GEN-8: core finds $kind by its computed name and its label',
    async (kind) => {
      const { metadata, spec } = await definitionOf(kind);
      expect(spec.scope).toBe('Namespaced');
      const versions = (metadata.labels?.['cluster.x-k8s.io/v1beta2'] ?? '').split('_');
      const served = spec.versions.filter((version) => version.served).map((version) => version.name);
      expect(versions).toEqual([API_VERSION]);
      expect(served).toEqual(expect.arrayContaining(versions));
      expect(metadata.labels?.['cluster.x-k8s.io/v1beta1']).toBeUndefined();
    },
  );

  it.each(KINDS)('GEN-2: $kind has its list kind', async (kind) => {
    const { spec } = await definitionOf(kind);
    expect(spec.names).toMatchObject({ kind: kind.kind, listKind: `${kind.kind}List` });
    const path = `/apis/${kind.apiVersion}/namespaces/${namespace}/${kind.plural}`;
    const list = JSON.parse(await environment.client.getRaw(path)) as { kind: string; items: unknown };
    expect(list).toMatchObject({ kind: `${kind.kind}List`, items: expect.any(Array) as unknown });
  });

  it.each([TSClusterKind, TSMachineKind, TSMachineTemplateKind])(
    'IC-1, IM-1, IMT-6: $kind keeps its status apart from its spec',
    async (kind) => {
      const { spec } = await definitionOf(kind);
      expect(spec.versions.map((version) => version.subresources?.status)).toEqual([{}]);
    },
  );

  it('IM-3c: a TSMachine has no spec.failureDomain that core could copy', async () => {
    const definition = JSON.stringify(await definitionOf(TSMachineKind));
    const { openAPIV3Schema } = (
      JSON.parse(definition) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } }
    ).spec.versions[0]!.schema;
    expect(Object.keys(openAPIV3Schema.properties['spec']?.properties ?? {})).toContain('providerID');
    expect(Object.keys(openAPIV3Schema.properties['spec']?.properties ?? {})).not.toContain('failureDomain');
  });
});

interface Schema {
  properties: Record<string, { properties?: Record<string, unknown> }>;
}

describe('kubectl', () => {
  const kubectl = (...args: string[]) =>
    runProgram(environment.stack.binaries.kubectl, [
      `--kubeconfig=${environment.apiServer.kubeconfig}`,
      `--namespace=${namespace}`,
      ...args,
    ]);

  it('shows of a machine what, where, ready, why not and its age', async () => {
    const { client } = environment;
    const metadata = { name: 'columns', namespace, labels: { [CLUSTER_NAME_LABEL]: 'c1' } };
    const { apiVersion, kind } = TSMachineKind;
    await client.create(TSMachineKind, { apiVersion, kind, metadata, spec: { inMemory: {} } });
    const ready = {
      type: 'Ready',
      status: 'False',
      reason: 'InstancePending',
      message: 'The instance boots, which takes 5 s',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const status = { failureDomain: 'zone-a', conditions: [ready] };
    await client.patch(TSMachineKind, { namespace, name: 'columns' }, { status }, { subresource: 'status' });

    const [head = '', row = ''] = (await kubectl('get', 'tsmachines', 'columns')).split('\n');
    expect(head.split(/\s{2,}/)).toEqual(
      expect.arrayContaining(['NAME', 'CLUSTER', 'FAILURE DOMAIN', 'READY', 'REASON', 'AGE']),
    );
    expect(row.split(/\s{2,}/)).toEqual(
      expect.arrayContaining(['columns', 'c1', 'zone-a', 'False', 'InstancePending']),
    );
    expect(await kubectl('get', 'tsmachines', 'columns', '--output=wide')).toContain(ready.message);
  });

  it('explains every field that a person may set', async () => {
    expect(await kubectl('explain', 'tsmachine.spec.inMemory.failures')).toContain('neverBoots');
    expect(await kubectl('explain', 'tscluster.spec.controlPlaneEndpoint')).toContain('host');
  });
});
