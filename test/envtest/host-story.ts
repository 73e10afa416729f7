// SPDX-License-Identifier: Apache-2.0
// What stories about hosts share: a namespace with simulated hosts of its own, and waiting for what becomes of them.
import { isDeepStrictEqual } from 'node:util';
import { ClusterKind } from '../../api/kinds.ts';
import { type HostAt, type HostsOptions, type SshHosts, startSshHosts } from '../../hack/ssh-hosts/hosts.ts';
import { type JobRecord, violations } from '../../hack/ssh-hosts/record.ts';
import { pause } from '../../hack/stack/process.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import type { Environment } from './harness.ts';
import { type HostChange, type HostSite, hostSite } from './host-site.ts';
import { conditionText } from './machines.ts';

export type EventObject = KubeObject & {
  reason?: string;
  action?: string;
  note?: string;
  regarding?: { kind?: string; name?: string };
};

export const EventKind: Kind<EventObject> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

export interface StoryOptions extends Partial<Omit<HostsOptions, 'kubernetes'>> {
  /** The namespace's name begins with it. */
  readonly purpose: string;
  /** What the TSHost of the host at this place has besides its address. */
  readonly change?: (at: HostAt, index: number) => HostChange;
  /** Done in the namespace before there is a Cluster. */
  readonly before?: (namespace: string) => Promise<void>;
}

export interface HostStory {
  readonly site: HostSite;
  readonly hosts: SshHosts;
  at(index: number): HostAt;
  /** Ids of all jobs that ever began on the host. */
  jobs(index: number): string[];
  records(index: number): readonly JobRecord[];
  stateOf(index: number): Promise<string>;
  /** `False HostDirty: why` of the TSHost. */
  ready(index: number): Promise<string>;
  /** The same of a TSMachine. */
  machineReady(name: string): Promise<string>;
  /** Settles when the Events about an object have these reasons and no others. They come a moment after what they tell. */
  told(kind: string, name: string, reasons: readonly string[]): Promise<void>;
  pauseCluster(paused: boolean): Promise<void>;
  /** Settles when the host is in this state. */
  until(index: number, state: string): Promise<void>;
  /** Settles when the machine is provisioned. */
  provisioned(name: string): Promise<void>;
  /** Settles when the machine is gone. */
  gone(name: string): Promise<void>;
  /** What may never happen and did; none in a good story. */
  violations(): string[];
}

/** The stories of one environment. */
export interface HostStories {
  /** Hosts `host-000` and so on, all of them TSHosts of a namespace of their own. */
  begin(options: StoryOptions): Promise<HostStory>;
  readonly begun: readonly HostStory[];
  /** Ends all simulated hosts. */
  close(): Promise<void>;
}

export function hostStories(environment: Environment): HostStories {
  const begun: HostStory[] = [];
  return {
    begun,
    async begin(options) {
      const story = await hostStory(environment, options);
      begun.push(story);
      return story;
    },
    async close() {
      await Promise.all(begun.map(({ hosts }) => hosts.close()));
    },
  };
}

async function hostStory(
  environment: Environment,
  { purpose, count = 1, change, before, ...options }: StoryOptions,
): Promise<HostStory> {
  const { client, stack } = environment;
  const kubernetes = stack.versions.kubernetes;
  const hosts = await startSshHosts({ count, kubernetes, ...options });
  const namespace = await environment.namespace(purpose);
  await before?.(namespace);
  const site = await hostSite({ client, namespace, kubernetes, privateKey: hosts.privateKey });
  await Promise.all(hosts.hosts.map((at, index) => site.addHost(at, change?.(at, index))));
  const at = (index: number): HostAt => {
    const found = hosts.hosts[index];
    if (found === undefined) throw new Error(`the story has no host ${index}`);
    return found;
  };
  const stateOf = async (index: number) => (await site.host(at(index).name)).status?.state ?? '';
  const events = async (kind: string, name: string) => {
    const all = await client.list(EventKind, { namespace });
    const about = all.filter(({ regarding }) => regarding?.kind === kind && regarding.name === name);
    return [...new Set(about.map(({ reason = '' }) => reason))].toSorted();
  };
  const isProvisioned = async (name: string) =>
    (await site.machine(name))?.status?.initialization?.provisioned === true;
  return {
    site,
    hosts,
    at,
    jobs: (index) => at(index).host.record.jobs.map(({ id }) => id),
    records: (index) => at(index).host.record.jobs,
    stateOf,
    ready: async (index) => conditionText(await site.host(at(index).name), 'Ready'),
    machineReady: async (name) => conditionText(await site.machine(name), 'Ready'),
    told: (kind, name, reasons) =>
      becomes(`Events about ${kind} ${name}`, () => events(kind, name), reasons.toSorted()),
    async pauseCluster(paused) {
      await client.patch(ClusterKind, site.cluster, { spec: { paused } });
    },
    until: (index, state) => becomes(`state of ${at(index).name}`, () => stateOf(index), state),
    provisioned: (name) => becomes(`${name} provisioned`, () => isProvisioned(name), true),
    gone: (name) => becomes(`${name} gone`, async () => (await site.machine(name)) === undefined, true),
    violations: () => violations(hosts.records()),
  };
}

/** Settles when `look` answers what is wanted; throws with what it answered last. A pattern is looked for in a text. */
export async function becomes<T>(
  what: string,
  look: () => Promise<T> | T,
  wanted: T | RegExp,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let seen = await look();
  while (!isWanted(seen, wanted)) {
    if (Date.now() > deadline)
      throw new Error(
        `after ${timeoutMs / 1000} s ${what} is ${JSON.stringify(seen)}, not ${wanted instanceof RegExp ? String(wanted) : JSON.stringify(wanted)}`,
      );
    await pause(100);
    seen = await look();
  }
}

function isWanted(seen: unknown, wanted: unknown): boolean {
  return wanted instanceof RegExp ? wanted.test(String(seen)) : isDeepStrictEqual(seen, wanted);
}
