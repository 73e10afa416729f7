// SPDX-License-Identifier: Apache-2.0
// What the real MachineHealthCheck controller makes of our remediation, and ours of what it asks: on simulated hosts with real SSH servers.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { Node } from '../../api/cluster-api.ts';
import {
  ClusterKind,
  INFRASTRUCTURE_GROUP,
  MachineKind,
  NodeKind,
  PodKind,
  SecretKind,
  TSRemediationKind,
  TSRemediationTemplateKind,
} from '../../api/kinds.ts';
import { kubeconfigSecret } from '../../hack/stack/cluster-secrets.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { ApiClient } from '../../runtime/client.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { OUR_USER, ourRefusals, readAuditLog } from './audit.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { becomes, EventKind, type HostStories, type HostStory, hostStories } from './host-story.ts';
import { conditionText, typeOf } from './machines.ts';
import { bundleManager } from './manager-bundle.ts';

const HealthCheckKind: Kind<KubeObject & { spec?: object }> = {
  apiVersion: 'cluster.x-k8s.io/v1beta2',
  kind: 'MachineHealthCheck',
  plural: 'machinehealthchecks',
  namespaced: true,
};
const TAINT = { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' };
const NODE = { namespace: '', name: 'host-000' };

let environment: Environment;
let provider: Provider;
let stories: HostStories;
let story: HostStory;
let client: ApiClient;
let workload: ApiClient;

beforeAll(async () => {
  environment = await startEnvironment({
    managers: ['core'],
    auditLog: 'audit.log',
  });
  client = environment.client;
  stories = hostStories(environment);
  const { pki } = await environment.workload();
  workload = await environment.workloadClient();
  const main = await bundleManager(environment.dir);
  provider = await environment.startProvider({ main, flags: ['--log-level=debug'] });
  const before = async (namespace: string) => {
    await client.create(SecretKind, kubeconfigSecret({ namespace, clusterName: 'c1', pki }));
  };
  story = await stories.begin({ purpose: 'remedy', before });
  await initialized();
  await story.site.addMachine('m1');
  await story.provisioned('m1');
  await joinNode();
  await becomes('the Node of m1', async () => (await machine())?.status?.nodeRef?.name, 'host-000');
  await checkHealth();
}, 180_000);

afterAll(async () => {
  await stories?.close();
  await environment?.stop();
});

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(40))));

const named = (name: string) => ({ namespace: story.site.namespace, name });
const machine = () => client.get(MachineKind, named('m1'));
const remediation = () => client.get(TSRemediationKind, named('m1'));
const phase = async () => (await remediation())?.status?.phase;
const host = () => story.at(0).host;
const node = () => workload.get(NodeKind, NODE);
/** Core tells of the Machine as well. */
async function told(): Promise<string[]> {
  const about = (await client.list(EventKind, { namespace: story.site.namespace })).filter(
    ({ regarding, action }) => regarding?.kind === 'Machine' && action === 'Remediate',
  );
  return [...new Set(about.map(({ reason = '' }) => reason))].toSorted();
}

/** Others come from the API server itself. */
const taints = async () => (await node())?.spec?.taints?.filter(({ key }) => key === TAINT.key) ?? [];

/** There is no control plane to say so, and until then no worker is judged (MHC-2). */
async function initialized(): Promise<void> {
  const lastTransitionTime = new Date().toISOString();
  const type = 'ControlPlaneInitialized';
  const body = {
    ...typeOf(ClusterKind),
    metadata: story.site.cluster,
    status: {
      initialization: { controlPlaneInitialized: true },
      conditions: [{ type, status: 'True', reason: 'Test', message: '', lastTransitionTime }],
    },
  };
  await client.patch(ClusterKind, story.site.cluster, body, { subresource: 'status', type: 'apply' });
}

async function joinNode(): Promise<void> {
  const providerID = (await story.site.machine('m1'))?.spec.providerID ?? '';
  await workload.create<Node>(NodeKind, {
    ...typeOf(NodeKind),
    metadata: { name: NODE.name },
    spec: { providerID },
  });
  await setReady('True');
}

/** What the kubelet, or who watches over it, says. */
async function setReady(status: 'True' | 'False'): Promise<void> {
  const now = new Date().toISOString();
  const times = { lastHeartbeatTime: now, lastTransitionTime: now };
  const conditions = [{ type: 'Ready', status, reason: 'Test', message: '', ...times }];
  await workload.patch(NodeKind, NODE, { status: { conditions } }, { subresource: 'status' });
}

/** A stateful pod: nobody but the taint takes it off a Node that is down. */
async function addPod(): Promise<void> {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true };
  await workload.create(account, { ...typeOf(account), metadata: { namespace: 'default', name: 'default' } });
  const containers = [{ name: 'db', image: 'db' }];
  const spec = {
    ...{ nodeName: NODE.name, automountServiceAccountToken: false, containers },
    // No kubelet is there to say that it has ended.
    terminationGracePeriodSeconds: 0,
  };
  await workload.create(PodKind, {
    ...typeOf(PodKind),
    metadata: { namespace: 'default', name: 'db-0' },
    spec,
  });
}

async function checkHealth(): Promise<void> {
  const template = TSRemediationTemplateKind;
  const spec = { retryLimit: 1, timeoutSeconds: 15 };
  await client.create(template, {
    ...typeOf(template),
    metadata: named('reboot'),
    spec: { template: { spec } },
  });
  await client.create(HealthCheckKind, {
    ...typeOf(HealthCheckKind),
    metadata: named('workers'),
    spec: {
      clusterName: 'c1',
      selector: { matchLabels: { 'cluster.x-k8s.io/cluster-name': 'c1' } },
      checks: { unhealthyNodeConditions: [{ type: 'Ready', status: 'False', timeoutSeconds: 1 }] },
      remediation: {
        triggerIf: { unhealthyLessThanOrEqualTo: '100%' },
        templateRef: {
          apiVersion: `${INFRASTRUCTURE_GROUP}/v1alpha1`,
          kind: 'TSRemediationTemplate',
          name: 'reboot',
        },
      },
    },
  });
}

describe('MHC-4: a machine whose Node is not healthy', () => {
  it('is rebooted; its pods move before its kubelet starts; the health check ends it', async () => {
    await addPod();
    await setReady('False');
    await becomes('phase', phase, 'Evacuating');
    expect([host().record.reboots, host().isKubeletHeld]).toEqual([1, true]);
    await becomes('taints', taints, [TAINT]);
    // Who collects the garbage of pods does this to those of a Node that is out of service.
    await workload.delete(PodKind, { namespace: 'default', name: 'db-0' });
    const left = async () => (await workload.list(PodKind, { namespace: 'default' })).length;
    await becomes('pods', left, 0);
    await becomes('taints', taints, []);
    await becomes('the kubelet being held', () => host().isKubeletHeld, false);
    await setReady('True');
    await becomes('the remediation', async () => (await remediation()) === undefined, true);
    expect((await story.site.host('host-000')).metadata.annotations ?? {}).toEqual({});
    expect(host().record.reboots).toBe(1);
    await becomes('Events', told, ['Rebooted', 'Rebooting']);
  });

  it('and stays sick is handed over to its owner', async () => {
    await setReady('False');
    await becomes('phase', phase, 'HandedOver');
    expect(host().record.reboots).toBe(2);
    await becomes(
      'the word to the owner',
      async () => conditionText(await machine(), 'OwnerRemediated'),
      /^False WaitingForRemediation: TSRemediation has handed the Machine over: The Node is not healthy/,
    );
    expect(conditionText(await machine(), 'HealthCheckSucceeded')).toMatch(/^False/);
    expect(await taints()).toEqual([]);
    await becomes('Events', told, ['HandedOver', 'Rebooted', 'Rebooting']);
    expect(story.violations()).toEqual([]);
  });

  it('the service account may do what was done', async () => {
    await provider.server.stop();
    const requests = readAuditLog(`${environment.dir}/audit.log`);
    expect(ourRefusals(requests)).toEqual([]);
    const used = requests
      .filter(({ user }) => user === OUR_USER)
      .map(({ verb, resource }) => `${verb} ${resource}`);
    expect(used).toEqual(
      expect.arrayContaining([
        'get machines',
        'patch machines/status',
        'patch tsremediations',
        'patch tsremediations/status',
      ]),
    );
  });
});
