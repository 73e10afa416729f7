// SPDX-License-Identifier: Apache-2.0
import type { SshEndpoint } from '../../host-driver.ts';
import type { AcceptedKeys } from './host-keys.ts';
import { socketAddress } from './naming.ts';

/** An end of a connection whose keys may have been trusted on first use. */
export interface TrustedEnd {
  readonly trustID: string;
  readonly endpoint: SshEndpoint;
}

/** Keys that were trusted on first use: pinned in this process from then on, until they are pinned in the endpoint itself. */
export class TrustedKeys {
  private readonly keys = new Map<string, { readonly address: string; readonly key: string }>();

  /** What the end may show now. */
  accepted(end: TrustedEnd): AcceptedKeys {
    const { hostKeys, trustOnFirstUse } = end.endpoint;
    // Whoever pins a key, and takes it away later, wants to begin anew.
    if (hostKeys.length > 0) this.keys.delete(end.trustID);
    const seen = this.get(end);
    return { pinned: seen === undefined ? hostKeys : [seen], trustAny: trustOnFirstUse };
  }

  /** The end has proven to have this key. */
  note(end: TrustedEnd, key: string): void {
    if (end.endpoint.hostKeys.length > 0) return;
    this.keys.set(end.trustID, { address: socketAddress(end.endpoint), key });
  }

  /** The key that was trusted, as long as it is needed. */
  get(end: TrustedEnd): string | undefined {
    const { hostKeys, trustOnFirstUse } = end.endpoint;
    if (hostKeys.length > 0 || !trustOnFirstUse) return undefined;
    const seen = this.keys.get(end.trustID);
    return seen?.address === socketAddress(end.endpoint) ? seen.key : undefined;
  }

  forget(trustID: string): void {
    this.keys.delete(trustID);
  }
}
