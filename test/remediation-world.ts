// SPDX-License-Identifier: Apache-2.0
// Machines on fake hosts, their Nodes, and both controllers that a remediation takes: the one that decides and the one that works on hosts.
import type { Machine, Node, Pod } from '../api/cluster-api.ts';
import { MachineKind, NodeKind, PodKind, TSRemediationKind } from '../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../api/labels.ts';
import type { TSRemediation, TSRemediationSpec } from '../api/tsremediation.ts';
import { remediationReconciler } from '../controllers/remediation/reconciler.ts';
import type { EventContent } from '../runtime/events.ts';
import type { Condition } from '../runtime/object.ts';
import type { Outcome } from '../runtime/result.ts';
import { FakeAPI } from './fake-api.ts';
import { HostWorld } from './host-world.ts';

export class RemediationWorld extends HostWorld {
  readonly workload = new FakeAPI();
  readonly told: (EventContent & { readonly about: string })[] = [];
  /** Thrown by every call to the workload cluster. */
  workloadError: Error | undefined;
  #reconcile: ReturnType<typeof remediationReconciler> | undefined;

  /** One that is Provisioned on a host of its own, `h-<name>`, with a Node of that name that is not healthy. */
  async addUnhealthy(name: string, change: { controlPlane?: boolean } = {}): Promise<void> {
    const host = `h-${name}`;
    this.addHost(host);
    this.addMachine(name, change);
    await this.reconcile(host);
    this.claim(host, name);
    for (let count = 0; count < 10 && this.status(host).state !== 'Provisioned'; count++) {
      await this.reconcile(host);
      const fake = this.hosts.of(`ns/${host}`);
      if (fake.running !== undefined) fake.finish();
    }
    const providerID = this.machine(name)?.spec.providerID ?? '';
    this.workload.put<Node>({ ...NodeKind, metadata: { name }, spec: { providerID } });
    this.setHealth(name, 'False');
  }

  /** What the MachineHealthCheck says on the Machine; the time is now. */
  setHealth(name: string, status: Condition['status']): void {
    const machine = this.coreMachine(name);
    const lastTransitionTime = this.clock.now().toISOString();
    const health = { type: 'HealthCheckSucceeded', status, reason: 'x', message: '', lastTransitionTime };
    this.api.put<Machine>({ ...machine, status: { nodeRef: { name }, conditions: [health] } });
  }

  coreMachine(name: string): Machine {
    const machine = this.api.read(MachineKind, { namespace: 'ns', name });
    if (machine === undefined) throw new Error(`there is no Machine ${name}`);
    return machine;
  }

  /** What a MachineHealthCheck makes. */
  request(name: string, spec: TSRemediationSpec = {}): TSRemediation {
    const { uid = '' } = this.coreMachine(name).metadata;
    return this.api.put<TSRemediation>({
      ...TSRemediationKind,
      metadata: {
        ...{ namespace: 'ns', name, creationTimestamp: this.clock.now().toISOString() },
        labels: { [CLUSTER_NAME_LABEL]: 'c1' },
        ownerReferences: [{ apiVersion: MachineKind.apiVersion, kind: 'Machine', name, uid }],
      },
      spec,
    });
  }

  remediation(name: string): TSRemediation | undefined {
    return this.api.read(TSRemediationKind, { namespace: 'ns', name });
  }

  phase(name: string): string | undefined {
    return this.remediation(name)?.status?.phase;
  }

  /** `Reason: message` of the condition. */
  saying(name: string): string {
    const found = this.remediation(name)?.status?.conditions?.find(({ type }) => type === 'Remediated');
    return found === undefined ? '' : `${found.reason}: ${found.message}`;
  }

  ownerRemediated(name: string): string | undefined {
    return this.coreMachine(name).status?.conditions?.find(({ type }) => type === 'OwnerRemediated')?.status;
  }

  remediate(name: string): Promise<Outcome> {
    this.#reconcile ??= remediationReconciler({
      client: this.api.client,
      cache: this.cache(),
      workloads: { connect: async () => this.#workloadClient() },
      events: {
        event: (object, content) => void this.told.push({ ...content, about: object.metadata.name }),
      },
      metrics: this.metrics,
      watchFilter: this.watchFilter,
    });
    return this.#reconcile(this.ctx(), { namespace: 'ns', name });
  }

  /** Both controllers, as often as it takes to come to rest; errors are what the queue's back-off is for. */
  async passes(...names: string[]): Promise<void> {
    for (let count = 0; count < 6; count++) {
      for (const name of names) {
        await this.remediate(name).catch(() => undefined);
        await this.reconcile(`h-${name}`).catch(() => undefined);
      }
    }
  }

  override restart(): void {
    super.restart();
    this.#reconcile = undefined;
  }

  addPod(name: string, node: string, change: Partial<Pod['metadata']> & Pick<Pod, 'spec'> = {}): void {
    const { spec, ...metadata } = change;
    this.workload.put<Pod>({
      ...PodKind,
      metadata: { namespace: 'default', name, ...metadata },
      spec: { nodeName: node, ...spec },
    });
  }

  removePod(name: string): void {
    this.workload.remove(PodKind, { namespace: 'default', name });
  }

  taints(node: string): string[] {
    const taints = this.workload.read(NodeKind, { namespace: '', name: node })?.spec?.taints ?? [];
    return taints.map(({ key, value = '', effect }) => `${key}=${value}:${effect}`);
  }

  #workloadClient() {
    const { client } = this.workload;
    const ask = async <T>(call: () => Promise<T>): Promise<T> => {
      if (this.workloadError !== undefined) throw this.workloadError;
      return call();
    };
    return {
      ...client,
      get: ((...call) => ask(() => client.get(...call))) as typeof client.get,
      list: ((...call) => ask(() => client.list(...call))) as typeof client.list,
    };
  }
}
