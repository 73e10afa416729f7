// SPDX-License-Identifier: Apache-2.0
// Whether we know whom we talk to (invariant 11). Follows from the spec, and from a key that did not match it.
import { createHash } from 'node:crypto';
import { Reason } from '../../api/conditions.ts';
import type { TSHost, TSHostSsh } from '../../api/tshost.ts';
import type { HostReport } from '../../backends/host-driver.ts';
import type { Verdict } from '../../contract/ready-summary.ts';

type Endpoint = Omit<TSHostSsh, 'bastion'>;

/** The condition HostKeyVerified. */
export function hostKeyVerdict({ spec: { ssh }, status }: TSHost): Verdict {
  const error = status?.error;
  if (error?.reason === Reason.HostKeyMismatch || error?.reason === Reason.HostKeyUnknown) {
    return { status: 'False', reason: error.reason, message: error.message };
  }
  const { bastion } = ssh;
  const endpoints: [string, Endpoint][] = [['spec.ssh', ssh]];
  if (bastion !== undefined) endpoints.push(['spec.ssh.bastion', bastion]);
  const [doubt] = endpoints.flatMap(([field, endpoint]) => doubtAbout(field, endpoint) ?? []);
  return doubt ?? { status: 'True', reason: Reason.HostKeyPinned, message: '' };
}

function doubtAbout(field: string, { hostKeys = [], hostKeyPolicy }: Endpoint): Verdict | undefined {
  if (hostKeyPolicy !== 'TrustOnFirstUse') {
    if (hostKeys.length > 0) return undefined;
    const message = `${field}.hostKeys names no key; add what ssh-keyscan prints, once it is compared with the host's own`;
    return { status: 'False', reason: Reason.HostKeyUnknown, message };
  }
  const what =
    hostKeys.length === 0 ? 'the first key will be' : `${hostKeys.map(fingerprintOf).join(', ')} was`;
  const message = `${field}: ${what} trusted without proof; compare it with the host's own, then set hostKeyPolicy to Pinned`;
  return { status: 'False', reason: Reason.TrustedOnFirstUse, message };
}

/** A key is trusted on first use once, then it is pinned like any other. Keys that somebody gave are never touched. */
export function pinKeys({ spec: { ssh } }: TSHost, seen: HostReport['seenKeys']): void {
  if (seen.host !== undefined) pin(ssh, seen.host);
  if (seen.bastion !== undefined && ssh.bastion !== undefined) pin(ssh.bastion, seen.bastion);
}

function pin(endpoint: Endpoint, key: string): void {
  if (endpoint.hostKeyPolicy !== 'TrustOnFirstUse' || (endpoint.hostKeys ?? []).length > 0) return;
  endpoint.hostKeys = [key];
}

/** As `ssh-keygen -l` prints it. */
export function fingerprintOf(hostKey: string): string {
  const blob = Buffer.from(hostKey.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
