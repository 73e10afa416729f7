// SPDX-License-Identifier: Apache-2.0
// Machines that are ill: each is rebooted first, with proof, and its pods move meanwhile; one that does not come back is replaced.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MachineKind, TSMachineKind, TSRemediationKind } from '../../api/kinds.ts';
import { FORCE_RELEASE_ANNOTATION } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { CLUSTER, isReady, nodes, untilNodes, type Workload, workload } from '../hosts/cluster.ts';
import {
  importHosts,
  type Management,
  NAMESPACE,
  type Site,
  startSite,
  tsHost,
  untilHosts,
} from '../hosts/site.ts';
import { plainManifest } from './plain-cluster.ts';

const ROLES = { 'host-1': 'control-plane', 'host-2': 'worker', 'host-3': 'worker', 'host-4': 'worker' };
const SIZE = { controlPlanes: 1, workers: 2 };

/** Of the workers, and quicker than anybody would want it. */
const HEALTH_CHECK = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: workers, namespace: ${NAMESPACE}}
spec:
  clusterName: ${CLUSTER}
  selector:
    matchLabels: {nodepool: ${CLUSTER}-md-0}
  checks:
    nodeStartupTimeoutSeconds: 600
    unhealthyNodeConditions:
      - {type: Ready, status: Unknown, timeoutSeconds: 5}
      - {type: Ready, status: "False", timeoutSeconds: 5}
  remediation:
    triggerIf: {unhealthyLessThanOrEqualTo: 60%}
    templateRef:
      apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
      kind: TSRemediationTemplate
      name: workers
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: TSRemediationTemplate
metadata: {name: workers, namespace: ${NAMESPACE}}
spec:
  template:
    spec: {retryLimit: 1, timeoutSeconds: 60, backoffSeconds: 0}
`;

/** Stateful: its pod never runs twice, so Kubernetes makes no other one until the first is known to have ended. */
const STATEFUL = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ledger, namespace: default}
spec:
  replicas: 1
  serviceName: ledger
  selector: {matchLabels: {app: ledger}}
  template:
    metadata: {labels: {app: ledger}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: echo, image: "ts-provider.test/echo:1", imagePullPolicy: IfNotPresent}]
`;

let site: Site;
let at: Management;
let cluster: Workload;
let lost: TestHost;

beforeAll(async () => {
  site = await startSite({ count: 4, behindBastion: [] });
  at = site.management;
  await importHosts(site, ROLES);
  await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'all hosts to be Available' });
  const version = site.stack.versions.kubernetes;
  await at.apply(
    withoutHealthCheck(await plainManifest(site, { size: SIZE, version, preparation: undefined })),
  );
  cluster = await workload(site, at);
  await untilNodes(at, cluster, SIZE);
  await at.apply(HEALTH_CHECK);
  await cluster.apply(STATEFUL);
});

afterAll(() => site?.stop());

/** That of the template takes its time. */
function withoutHealthCheck(manifest: string): string {
  const documents = manifest.split(/^---$/m);
  return documents
    .filter((text) => !/^kind: (MachineHealthCheck|TSRemediationTemplate)$/m.test(text))
    .join('---');
}

const hostNamed = (name: string): TestHost => site.world.hosts.find((host) => host.name === name)!;
const machineNames = async () =>
  (await at.client.list(MachineKind, { namespace: NAMESPACE })).map(({ metadata }) => metadata.name).sort();
const bootOf = ({ status }: TSHost) => status?.bootID;

async function isNodeReady(name: string): Promise<boolean> {
  const node = (await nodes(cluster)).find(({ metadata }) => metadata.name === name);
  return node !== undefined && isReady(node);
}

/** The Node where the stateful pod runs, with the UID of the pod. */
async function ledger(): Promise<{ node: string; uid: string }> {
  const path = '{.status.phase} {.spec.nodeName} {.metadata.uid}';
  let found = { node: '', uid: '' };
  await waitUntil(
    async () => {
      const said = await cluster.kubectl('get', 'pod', 'ledger-0', `-o=jsonpath=${path}`);
      const [phase, node = '', uid = ''] = said.split(' ');
      found = { node, uid };
      return phase === 'Running';
    },
    { what: 'the stateful pod to run', timeoutMs: 120_000, pollMs: 500 },
  );
  return found;
}

interface Course {
  /** In the order in which they were seen. */
  readonly phases: string[];
  readonly tries: number;
}

/** From now until the remediation that comes is gone again, or the machine is left to its owner. */
async function course(timeoutMs: number): Promise<Course> {
  const phases: string[] = [];
  let tries = 0;
  const began = Date.now();
  await waitUntil(
    async () => {
      const [remediation] = await at.client.list(TSRemediationKind, { namespace: NAMESPACE });
      const status = remediation?.status ?? {};
      const { phase } = status;
      tries = Math.max(tries, status.tries ?? 0);
      if (phase !== undefined && phases.at(-1) !== phase) {
        phases.push(phase);
        process.stdout.write(`${((Date.now() - began) / 1000).toFixed(0)} s: ${phase}\n`);
      }
      if (phase === 'HandedOver' || (remediation === undefined && phases.length > 0)) return true;
      throw new Error(`${phases.join()}: ${JSON.stringify(status)}`);
    },
    { what: 'the machine to be healthy, or replaced', timeoutMs, pollMs: 200 },
  );
  return { phases, tries };
}

describe('a kubelet that hangs', () => {
  it('its host is rebooted, its stateful pod moves before, and its machine stays', async () => {
    const before = await ledger();
    const host = hostNamed(before.node);
    const boot = bootOf(await tsHost(at, host.name));
    const machines = await machineNames();
    await host.exec(['pkill', '-STOP', '-x', 'kubelet']);
    const { phases, tries } = await course(300_000);
    expect(phases.filter((phase) => phase !== 'Waiting')).toEqual(['Rebooting', 'Evacuating', 'Recovering']);
    expect(tries).toBe(1);
    expect(bootOf(await tsHost(at, host.name))).not.toBe(boot);
    expect(await machineNames()).toEqual(machines);
    const after = await ledger();
    expect(after.uid).not.toBe(before.uid);
    expect(after.node).not.toBe(before.node);
    expect(await isNodeReady(host.name)).toBe(true);
    const taints = await cluster.kubectl('get', 'node', host.name, '-o=jsonpath={.spec.taints}');
    expect(taints).not.toContain('out-of-service');
  });
});

describe('a container runtime that has crashed', () => {
  it('its host is rebooted, and its machine stays', async () => {
    const { node } = await ledger();
    const host = hostNamed(node);
    const boot = bootOf(await tsHost(at, host.name));
    const machines = await machineNames();
    // systemd would start it again; what is in /run does not outlive the boot.
    await host.exec(['sh', '-c', 'systemctl mask --runtime containerd && systemctl kill -s SEGV containerd']);
    const { tries } = await course(300_000);
    expect(tries).toBe(1);
    expect(bootOf(await tsHost(at, host.name))).not.toBe(boot);
    expect(await machineNames()).toEqual(machines);
    expect(await isNodeReady(host.name)).toBe(true);
  });
});

describe('a host that does not come back', () => {
  let providerID = '';

  it('is asked to reboot in vain; then its machine is for its owner to replace, and nobody gets the host without proof', async () => {
    const { node } = await ledger();
    lost = hostNamed(node);
    const machines = await at.client.list(TSMachineKind, { namespace: NAMESPACE });
    providerID =
      machines.map(({ spec }) => spec.providerID ?? '').find((id) => id.includes(`/${node}/`)) ?? '';
    await lost.crash();
    const { phases, tries } = await course(400_000);
    expect(tries).toBe(1);
    expect(phases.at(-1)).toBe('HandedOver');
    await waitUntil(
      async () => {
        const { spec, status } = await tsHost(at, lost.name);
        if (spec.claim?.releasing === true && status?.operationalStatus === 'Unreachable') return true;
        throw new Error(`${status?.state} ${status?.operationalStatus} ${JSON.stringify(spec.claim)}`);
      },
      { what: `${lost.name} to be given back, and Unreachable`, timeoutMs: 180_000, pollMs: 500 },
    );
  });

  it('released by force, its machine is replaced on another host, and its stateful pod moves', async () => {
    await at.kubectl('annotate', 'tshost', lost.name, `${FORCE_RELEASE_ANNOTATION}=${providerID}`);
    const names = (await untilNodes(at, cluster, SIZE)).map(({ metadata }) => metadata.name);
    expect(names).not.toContain(lost.name);
    // Its pod is collected some time after its Node has gone.
    await waitUntil(async () => names.includes((await ledger().catch(() => undefined))?.node ?? ''), {
      what: 'the stateful pod to run on one of the other hosts',
      timeoutMs: 180_000,
      pollMs: 1_000,
    });
    expect((await tsHost(at, lost.name)).status?.state).toBe('Quarantined');
  });
});
