// SPDX-License-Identifier: Apache-2.0
// What happened to a host, as the host itself saw it: a checker looks here, and not at what a manager says.

/** One job that began on a host. */
export interface JobRecord {
  readonly id: string;
  /** `<token> <generation>`; absent for clean-ups. */
  readonly owner?: string;
  /** Milliseconds since the epoch. */
  readonly begunMs: number;
  /** When it ended, or is to end. */
  endsMs: number;
  /** How often its runner was started: more than once only after a reboot. */
  launches: number;
}

export interface HostRecord {
  readonly name: string;
  /** TCP connections that were taken, also those on which nobody logged in. */
  connections: number;
  /** Of them, those that are open. */
  open: number;
  /** Scripts that ran. */
  sessions: number;
  /** Scripts that no part of a manager is known to send, by their first line. */
  readonly unknown: string[];
  /** Every job that ever began, in their order. */
  readonly jobs: JobRecord[];
  /** Owners that the host ever had, in their order. */
  readonly owners: string[];
  /** What its load balancer was given, in their order. */
  readonly configs: string[];
  reboots: number;
}

export function newRecord(name: string): HostRecord {
  return {
    name,
    connections: 0,
    open: 0,
    sessions: 0,
    unknown: [],
    jobs: [],
    owners: [],
    configs: [],
    reboots: 0,
  };
}

/** Whatever may never happen and did, a line each: steps that ran twice, hosts with two owners, machines with two hosts. */
export function violations(records: readonly HostRecord[]): string[] {
  return [...records.flatMap(ofHost), ...twoHosts(records)];
}

function ofHost({ name, jobs, unknown, reboots }: HostRecord): string[] {
  const ids = jobs.map(({ id }) => id);
  const again = jobs.filter(({ launches }) => launches > 1 + reboots);
  return [
    ...unknown.map((line) => `${name} does not know the script ${line}`),
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${name}: ${id} began twice`),
    ...again.map(({ id, launches }) => `${name}: ${id} was started ${launches} times`),
    ...overlaps(name, jobs),
  ];
}

/** Between two machines a host is cleaned, and a clean-up ends before the next machine begins. */
function overlaps(name: string, jobs: readonly JobRecord[]): string[] {
  return jobs.slice(1).flatMap((job, index) => {
    const before = jobs[index];
    if (before === undefined || job.owner === undefined || job.owner === before.owner) return [];
    if (before.owner !== undefined)
      return [`${name}: ${job.id} began where ${before.id} had not been cleaned up`];
    return job.begunMs < before.endsMs ? [`${name}: ${job.id} began while ${before.id} ran`] : [];
  });
}

function twoHosts(records: readonly HostRecord[]): string[] {
  const hosts = new Map<string, Set<string>>();
  for (const { name, jobs } of records)
    for (const { owner } of jobs) {
      if (owner === undefined) continue;
      const [token = ''] = owner.split(' ');
      hosts.set(token, (hosts.get(token) ?? new Set()).add(name));
    }
  return [...hosts]
    .filter(([, names]) => names.size > 1)
    .map(([token, names]) => `machine ${token} began on ${[...names].join(' and ')}`);
}
