// SPDX-License-Identifier: Apache-2.0
// A network that was made a moment ago: its subnets and groups are not known everywhere at AWS.
import { type Clock, hasPassed } from '../../../runtime/clock.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';
import { CONSISTENCY_WINDOW_MS } from '../network/memory.ts';
import { refusedWith } from './scope.ts';

/** Also what AWS says of a subnet or group that does not fit, for good. */
const UNKNOWN = ['SubnetNotFound', 'InvalidSubnet', 'InvalidSecurityGroup'];

/** What AWS has refused of late. */
export interface FreshNetwork {
  /**
   * Answers as `send` does. A refusal of subnets or groups is a TransientError until the same `spec` of the cluster was refused for the
   * consistency window; then it is thrown as it is.
   */
  tolerate<T>(
    of: { readonly infrastructureID: string; readonly spec: string },
    send: () => Promise<T>,
  ): Promise<T>;
}

/** Nothing was refused yet. */
export function createFreshNetwork(clock: Clock): FreshNetwork {
  const refused = new Map<string, { readonly spec: string; readonly sinceMs: number }>();
  return {
    async tolerate({ infrastructureID, spec }, send) {
      try {
        const answer = await send();
        refused.delete(infrastructureID);
        return answer;
      } catch (error) {
        if (!refusedWith(error, ...UNKNOWN)) throw error;
        const known = refused.get(infrastructureID);
        const sinceMs = known?.spec === spec ? known.sinceMs : clock.now().getTime();
        refused.set(infrastructureID, { spec, sinceMs });
        if (hasPassed(clock, sinceMs, CONSISTENCY_WINDOW_MS)) throw error;
        const message = `AWS may not know the network of the cluster everywhere yet: ${errorMessage(error)}`;
        throw new TransientError(message, { cause: error });
      }
    },
  };
}
