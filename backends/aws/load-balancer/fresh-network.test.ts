// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../../runtime/errors.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { CONSISTENCY_WINDOW_MS } from '../network/memory.ts';
import { AWSRefusal } from '../session/session.ts';
import { createFreshNetwork, type FreshNetwork } from './fresh-network.ts';

const cluster = { infrastructureID: 'prod-1a2b3c4d', spec: 'one' };

let clock: FakeClock;
let fresh: FreshNetwork;

beforeEach(() => {
  clock = new FakeClock();
  fresh = createFreshNetwork(clock);
});

function refusing(code: string): () => Promise<never> {
  const action = 'CreateLoadBalancer';
  return () => Promise.reject(new AWSRefusal({ reason: 'CloudRequestRefused', action, code, message: code }));
}

describe('a network that was made a moment ago', () => {
  it.each(['SubnetNotFound', 'SubnetNotFoundException', 'InvalidSubnet', 'InvalidSecurityGroupException'])(
    '%s may heal for as long as AWS may not know it, and is for good then',
    async (code) => {
      await expect(fresh.tolerate(cluster, refusing(code))).rejects.toThrow(TransientError);
      await clock.advance(CONSISTENCY_WINDOW_MS - 1);
      await expect(fresh.tolerate(cluster, refusing(code))).rejects.toThrow(TransientError);
      await clock.advance(1);
      await expect(fresh.tolerate(cluster, refusing(code))).rejects.toThrow(AWSRefusal);
    },
  );

  it('is another one for another spec, and after a success', async () => {
    const send = refusing('SubnetNotFound');
    await expect(fresh.tolerate(cluster, send)).rejects.toThrow(TransientError);
    await clock.advance(CONSISTENCY_WINDOW_MS);
    await expect(fresh.tolerate({ ...cluster, spec: 'two' }, send)).rejects.toThrow(TransientError);
    await clock.advance(CONSISTENCY_WINDOW_MS);
    expect(await fresh.tolerate({ ...cluster, spec: 'two' }, () => Promise.resolve(1))).toBe(1);
    await expect(fresh.tolerate({ ...cluster, spec: 'two' }, send)).rejects.toThrow(TransientError);
  });

  it('is no reason to try again what AWS refuses otherwise', async () => {
    await expect(fresh.tolerate(cluster, refusing('TooManyLoadBalancers'))).rejects.toThrow(AWSRefusal);
  });
});
