// SPDX-License-Identifier: Apache-2.0
// Many simulated hosts in one process.
import ssh2 from 'ssh2';
import { seeded } from '../../test/envtest/seeded.ts';
import { type Behaviour, type Plan, planned } from './behaviour.ts';
import { newKey } from './key.ts';
import type { HostRecord } from './record.ts';
import { type HostMake, SimulatedHost } from './simulated-host.ts';
import { type Sshd, type SshdAddress, startSshd } from './sshd.ts';

export interface HostsOptions {
  readonly count: number;
  /** The version of kubeadm and kubelet on all hosts, as `v1.36.3`. */
  readonly kubernetes: string;
  /** Hosts on which nothing was installed yet. */
  readonly plain?: boolean;
  readonly plan?: Plan;
  /** Draws all times; default 1. */
  readonly seed?: number;
  /** Of the host at this place; default 4 CPUs and 16 GiB. */
  readonly make?: (index: number) => Partial<Pick<HostMake, 'cpus' | 'memoryKiB'>>;
}

/** A simulated host, from its place among the others. */
export interface HostAt extends SshdAddress {
  readonly name: string;
  readonly host: SimulatedHost;
  readonly sshd: Sshd;
}

export interface SshHosts {
  /** Private key with which all hosts let in, for anybody who asks. */
  readonly privateKey: string;
  readonly hosts: readonly HostAt[];
  /** Changes how some hosts behave; all of them when no places are given. */
  behave(change: Partial<Behaviour>, places?: readonly number[]): Promise<void>;
  records(): HostRecord[];
  close(): Promise<void>;
}

/** Starts hosts `host-000`, `host-001`, ... on ports of 127.0.0.1. */
export async function startSshHosts(options: HostsOptions): Promise<SshHosts> {
  const { count, plan = {}, seed = 1 } = options;
  const client = newKey();
  const clientKey = ssh2.utils.parseKey(client.public);
  if (clientKey instanceof Error) throw clientKey;
  const hosts = await Promise.all(
    Array.from({ length: count }, async (_, index): Promise<HostAt> => {
      const name = `host-${String(index).padStart(3, '0')}`;
      const size = { cpus: 4, memoryKiB: 16 << 20, ...options.make?.(index) };
      const kubernetes = options.plain === true ? '' : options.kubernetes;
      const make = { ...size, name, kubernetes, random: seeded(seed * 1000 + index) };
      const host = new SimulatedHost(make, planned(plan, index));
      const sshd = await startSshd(host, clientKey);
      const { sshd: first } = host.behaviour;
      host.behaviour = { ...host.behaviour, sshd: 'serves' };
      await sshd.behave({ sshd: first });
      return { name, host, sshd, port: sshd.port, hostKey: sshd.hostKey };
    }),
  );
  return {
    privateKey: client.private,
    hosts,
    async behave(change, places = [...hosts.keys()]) {
      await Promise.all(
        hosts.filter((_, place) => places.includes(place)).map(({ sshd }) => sshd.behave(change)),
      );
    },
    records: () => hosts.map(({ host }) => host.record),
    async close() {
      await Promise.all(hosts.map(({ sshd }) => sshd.close()));
    },
  };
}
