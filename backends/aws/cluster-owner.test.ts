// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ownerTag, requireOwn } from './cluster-owner.ts';

const original = { namespace: 'prod', name: 'shop', infrastructureID: 'shop-1a2b3c4d' };
const copy = { ...original, namespace: 'test' };
const made = [{ what: 'VPC vpc-1', tags: ownerTag(original) }];

describe('what a TSCluster has made', () => {
  it('is its own, also after a move, which keeps namespace and name', () => {
    expect(() => requireOwn({ ...original }, made)).not.toThrow();
  });

  it('is not of a copy, in another namespace or with another name; the message names both', () => {
    expect(() => requireOwn(copy, made)).toThrow(
      /^VPC vpc-1 belongs to TSCluster prod\/shop, .* to test\/shop$/,
    );
    expect(() => requireOwn({ ...original, name: 'shop-2' }, made)).toThrow(
      expect.objectContaining({ reason: 'ClusterIDTaken' }),
    );
  });

  it('passes without the tag, which older versions did not write', () => {
    expect(() => requireOwn(copy, [{ what: 'VPC vpc-1', tags: {} }])).not.toThrow();
  });

  it('is asked about everything that is found', () => {
    const found = [{ what: 'VPC vpc-2', tags: {} }, { what: 'VPC vpc-3', tags: ownerTag(copy) }, ...made];
    expect(() => requireOwn(copy, found)).toThrow('VPC vpc-1 belongs to TSCluster prod/shop');
  });
});
