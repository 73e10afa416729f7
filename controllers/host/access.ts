// SPDX-License-Identifier: Apache-2.0
// How a host is reached: what its spec says, and the credentials that the spec names.
import type { TSHost, TSHostSsh } from '../../api/tshost.ts';
import type { HostAccess, SshEndpoint } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { keyOf, nameOf } from '../../runtime/object.ts';
import type { CredentialsReader } from './credentials.ts';

/** Throws TerminalError(CredentialsMissing). Secrets are in the namespace of the host, the bastion's as well. */
export async function accessOf(ctx: Ctx, host: TSHost, credentials: CredentialsReader): Promise<HostAccess> {
  const { bastion, ...ssh } = host.spec.ssh;
  return {
    key: keyOf(nameOf(host)),
    ...(await endpoint(ssh)),
    ...(bastion && { bastion: await endpoint(bastion) }),
  };

  async function endpoint(at: Omit<TSHostSsh, 'bastion'>): Promise<SshEndpoint> {
    const secret = { ...nameOf(host), name: at.credentialsRef.name };
    return {
      address: at.address,
      port: at.port ?? 22,
      user: at.user ?? 'root',
      credentials: await credentials.read(ctx, secret),
      hostKeys: at.hostKeys ?? [],
      trustOnFirstUse: at.hostKeyPolicy === 'TrustOnFirstUse',
    };
  }
}
