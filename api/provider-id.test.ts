// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { awsProviderID, inMemoryProviderID, parseProviderID } from './provider-id.ts';

describe('inMemoryProviderID', () => {
  it.each(['a', '0', 'i-0123456789abcdef', 'x'.repeat(63), 'b3c1c8a2-6f0e-4d53-9a53-0d6a3a0e1f11'])(
    'gives back the id %s',
    (instanceID) => {
      expect(parseProviderID(inMemoryProviderID(instanceID))).toEqual({ backend: 'inMemory', instanceID });
    },
  );

  it('has one spelling, which the Node must carry too (IM-2)', () => {
    expect(inMemoryProviderID('i-1')).toBe('tsinmemory://i-1');
  });

  it.each(['', 'UPPER', '-a', 'a-', 'a/b', 'a b', 'ä', 'x'.repeat(64)])(
    'refuses the id "%s"',
    (instanceID) => {
      expect(() => inMemoryProviderID(instanceID)).toThrow(RangeError);
    },
  );
});

describe('awsProviderID', () => {
  it('is what the cloud controller manager of AWS writes, and is taken apart again', () => {
    const providerID = awsProviderID('eu-central-1a', 'i-0123456789abcdef0');
    expect(providerID).toBe('aws:///eu-central-1a/i-0123456789abcdef0');
    expect(parseProviderID(providerID)).toEqual({
      backend: 'aws',
      availabilityZone: 'eu-central-1a',
      instanceID: 'i-0123456789abcdef0',
    });
  });

  it.each([
    ['', 'i-1'],
    ['eu-central-1a', ''],
    ['eu-central-1a', 'vol-1'],
  ])('refuses "%s" and "%s"', (zone, id) => {
    expect(() => awsProviderID(zone, id)).toThrow(RangeError);
  });
});

describe('parseProviderID', () => {
  it.each([
    '',
    'tsinmemory://',
    'tsinmemory:///i-1',
    'TSINMEMORY://i-1',
    'tsinmemory://I-1',
    'tsinmemory://a/b',
    'tsinmemory://i-1 ',
    'tsinmemory:i-1',
    'aws:///eu-central-1a',
    'aws:///eu-central-1a/vol-1',
    'aws://eu-central-1a/i-1',
    'aws:///eu-central-1a/i-1/x',
    'kind://docker/a/b',
  ])('knows "%s" to be none of ours', (providerID) => {
    expect(parseProviderID(providerID)).toBeUndefined();
  });
});
