// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { nameOf } from './scope.ts';
import { healthCheck } from './target-group.ts';

describe('names', () => {
  it.each([
    'a',
    'prod-1a2b3c4d',
    'internal-1a2b3c4d',
    'two--hyphens-1a2b3c4d',
    'x'.repeat(63),
    'cut-at-a-hyphen-17-and-more',
  ])('of %s is one that AWS takes', (id) => {
    const name = nameOf(id);
    expect(name).toMatch(/^(?!internal-)(?!.*--)[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]$/);
    expect(nameOf(id)).toBe(name);
  });

  it('are different for clusters whose beginning is the same', () => {
    const long = 'x'.repeat(40);
    expect(nameOf(`${long}-1`)).not.toBe(nameOf(`${long}-2`));
  });
});

describe('health checks', () => {
  it('ask /readyz unless TCP is wanted, and time out within the interval', () => {
    expect(healthCheck({})).toMatchObject({
      ...{ HealthCheckProtocol: 'HTTPS', HealthCheckPath: '/readyz', HealthCheckIntervalSeconds: 10 },
      ...{ HealthCheckTimeoutSeconds: 5, HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 },
    });
    const tcp = healthCheck({ healthCheck: { protocol: 'TCP', intervalSeconds: 5 } });
    expect(tcp).toMatchObject({ HealthCheckProtocol: 'TCP', HealthCheckTimeoutSeconds: 4 });
    expect(tcp).not.toHaveProperty('HealthCheckPath');
  });
});
