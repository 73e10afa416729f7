// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { TerminalError } from '../../runtime/errors.ts';
import type { MachineFacts } from '../backend.ts';

/**
 * Where an instance goes: the asked failure domain (IM-3), else a spread over the cluster's that the client token decides,
 * so that a replay lands in the same place; `undefined` when the cluster has none. Throws TerminalError(FailureDomainUnknown).
 */
export function chooseFailureDomain(machine: MachineFacts, clientToken: string): string | undefined {
  const domains = machine.cluster?.inMemory?.failureDomains ?? [];
  const asked = machine.failureDomain;
  if (asked !== undefined && asked !== '') {
    if (domains.length === 0 || domains.some((domain) => domain.name === asked)) return asked;
    const known = domains.map((domain) => domain.name).join(', ');
    throw new TerminalError(
      'FailureDomainUnknown',
      `Failure domain ${asked} is not among the cluster's (${known}); add it to spec.inMemory.failureDomains of the TSCluster or ask for another`,
    );
  }
  const suitable = domains.filter((domain) => !machine.controlPlane || domain.controlPlane !== false);
  if (suitable.length === 0) return undefined;
  const place = createHash('sha256').update(clientToken).digest().readUInt32BE(0) % suitable.length;
  return suitable[place]?.name;
}
