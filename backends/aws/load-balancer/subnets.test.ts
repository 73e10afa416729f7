// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Candidate, chooseSubnets } from './subnets.ts';

const subnet = (id: string, availabilityZone: string, isPublic?: boolean): Candidate => ({
  id,
  availabilityZone,
  isPublic,
});

const NONE = new Map<string, string>();

describe('chooseSubnets', () => {
  it.each([
    {
      what: 'an internet-facing load balancer is in public subnets only',
      candidates: [subnet('s1', 'a', false), subnet('s2', 'a', true), subnet('s3', 'b', false)],
      isInternetFacing: true,
      kept: NONE,
      chosen: ['s2'],
    },
    {
      what: 'an internal one is in private subnets, and in a public one where a zone has no other',
      candidates: [subnet('s1', 'a', true), subnet('s2', 'a', false), subnet('s3', 'b', true)],
      isInternetFacing: false,
      kept: NONE,
      chosen: ['s2', 's3'],
    },
    {
      what: 'subnets that the user named and nobody knows are taken',
      candidates: [subnet('s1', 'a'), subnet('s2', 'b')],
      isInternetFacing: true,
      kept: NONE,
      chosen: ['s1', 's2'],
    },
    {
      what: 'a zone keeps its subnet, also when the network does not have it any more',
      candidates: [subnet('s1', 'a', true), subnet('s3', 'c', true)],
      isInternetFacing: true,
      kept: new Map([
        ['a', 's9'],
        ['b', 's8'],
      ]),
      chosen: ['s3', 's8', 's9'],
    },
    {
      what: 'none fits',
      candidates: [subnet('s1', 'a', false)],
      isInternetFacing: true,
      kept: NONE,
      chosen: [],
    },
  ])('$what', ({ candidates, chosen, ...how }) => {
    expect(chooseSubnets(candidates, how)).toEqual(chosen);
    expect(chooseSubnets([...candidates].reverse(), how)).toEqual(chosen);
  });

  it('takes the same one of several in a zone, whatever the order is', () => {
    const several = ['s3', 's1', 's2'].map((id) => subnet(id, 'a', true));
    expect(chooseSubnets(several, { isInternetFacing: true, kept: NONE })).toEqual(['s1']);
  });
});
