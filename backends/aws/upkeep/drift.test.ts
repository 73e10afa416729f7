// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { MachineFacts } from '../../backend.ts';
import type { InstanceRecord } from '../instance/record.ts';
import { tagsOfInstance } from '../instance/request.ts';
import { choiceOf } from '../instance/choice.ts';
import { driftOf, isOurs } from './drift.ts';

const intent = {
  attempt: 1,
  clientToken: 'token',
  requestHash: 'hash',
  choice: {
    ...{
      region: 'us-east-1',
      identity: 'one',
      account: 'a',
      infrastructureID: 'one-abcde',
      clusterName: 'one',
    },
    ...{
      role: 'node',
      imageID: 'ami-1',
      instanceType: 't3.small',
      subnetID: 'subnet-1',
      securityGroups: 'sg-2,sg-1',
    },
  },
};

const machine = {
  ...{ namespace: 'default', name: 'm', uid: 'uid', clusterName: 'one', infrastructureID: 'one-abcde' },
  spec: { aws: { instanceType: 't3.small', image: { id: 'ami-1' }, tags: { team: 'blue' } } },
  intent,
} as unknown as MachineFacts;

const TAGS = tagsOfInstance({ machine, spec: machine.spec.aws!, intent, choice: choiceOf(intent)! });

function recordWith(changes: Partial<InstanceRecord>): InstanceRecord {
  return {
    id: 'i-1',
    tags: TAGS,
    networkInterfaces: [
      { id: 'eni-1', securityGroupIDs: ['sg-1', 'sg-2'] },
      { id: 'eni-2', securityGroupIDs: ['sg-of-the-plugin'] },
    ],
    metadataOptions: {
      ...{ httpEndpoint: 'enabled', httpTokens: 'required' },
      ...{ httpPutResponseHopLimit: 1, instanceMetadataTags: 'disabled' },
    },
    ...changes,
  } as InstanceRecord;
}

describe('driftOf', () => {
  it('is empty for an instance as it was asked for, whatever others have added', () => {
    expect(driftOf(recordWith({}), machine)).toEqual({});
    expect(driftOf(recordWith({ tags: { ...TAGS, other: 'x', Name: 'mine' } }), machine)).toEqual({});
  });

  it('names only the tags that differ', () => {
    const { team: _team, Name: _name, ...rest } = TAGS;
    expect(driftOf(recordWith({ tags: rest }), machine)).toEqual({
      tags: { team: 'blue', Name: TAGS['Name'] },
    });
  });

  it('takes the new UID after a move', () => {
    const moved = { ...machine, uid: 'another' };
    expect(driftOf(recordWith({}), moved)).toEqual({ tags: { 'ts-provider/machine-uid': 'another' } });
  });

  it('sets the groups of the first interface that the spec asks for by now', () => {
    const securityGroupIDs = ['sg-2', 'sg-1'];
    expect(driftOf(recordWith({}), machine, { securityGroupIDs })).toEqual({});
    expect(driftOf(recordWith({}), machine, { securityGroupIDs: ['sg-3', 'sg-1'] })).toEqual({
      securityGroups: { networkInterfaceID: 'eni-1', ids: ['sg-1', 'sg-3'] },
    });
  });

  it('sets further tags that the upkeep asks for', () => {
    const tags = { 'ts-provider/user-data': 'removed' };
    expect(driftOf(recordWith({}), machine, { tags })).toEqual({ tags });
  });

  it('leaves the groups alone where nobody can say which they shall be', () => {
    const networkInterfaces = [{ id: 'eni-1', securityGroupIDs: ['sg-1', 'sg-9'] }];
    expect(driftOf(recordWith({ networkInterfaces }), machine)).toEqual({});
  });

  it('sets the metadata options that differ, and none that EC2 does not tell', () => {
    const metadataOptions = { httpEndpoint: 'enabled', httpTokens: 'optional' };
    expect(driftOf(recordWith({ metadataOptions }), machine)).toEqual({
      metadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required' },
    });
  });

  it('of a pool instance knows the metadata options alone', () => {
    const { intent: _intent, ...pooled } = machine;
    const record = recordWith({
      tags: {},
      networkInterfaces: [],
      metadataOptions: { httpTokens: 'optional' },
    });
    expect(driftOf(record, pooled as MachineFacts)).toEqual({
      metadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required' },
    });
  });
});

describe('isOurs', () => {
  it('needs the tag of this very cluster', () => {
    expect(isOurs(recordWith({}), machine)).toBe(true);
    expect(isOurs(recordWith({ tags: {} }), machine)).toBe(false);
    expect(isOurs(recordWith({ tags: { 'ts-provider/cluster': 'two' } }), machine)).toBe(false);
  });
});
