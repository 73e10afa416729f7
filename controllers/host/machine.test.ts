// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import type { HostClaim, TSHost } from '../../api/tshost.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { instanceIDOf } from '../../backends/host-inventory.ts';
import { agreementOf } from './machine.ts';
import { hostPort, nodeAddress } from './node-address.ts';

const claim: HostClaim = {
  for: 'Machine',
  machine: { namespace: 'ns', name: 'm1', uid: 'uid-1' },
  clientToken: 'token',
  generation: 3,
};

function host(change: Partial<TSHost> = {}): TSHost {
  const ssh = { address: '10.0.0.7', credentialsRef: { name: 'ssh' } };
  return { ...TSHostKind, metadata: { namespace: 'ns', name: 'h1' }, spec: { ssh, claim }, ...change };
}

function machine({ uid = 'uid-1', token = 'token', providerID = '' } = {}): TSMachine {
  const createIntent = { attempt: 1, clientToken: token, requestHash: 'h' };
  return {
    ...TSMachineKind,
    metadata: { namespace: 'ns', name: 'm1', uid },
    spec: {
      host: {},
      ...(token !== '' && { createIntent }),
      ...(providerID !== '' && { providerID }),
    },
  };
}

const OURS = `tshost://ns/h1/${instanceIDOf('token')}`;
const OTHER = `tshost://ns/h2/${instanceIDOf('token')}`;

describe('a host and its machine', () => {
  it.each([
    { name: 'name each other', machine: machine({ providerID: OURS }), expected: 'agreed' },
    { name: 'after a move', machine: machine({ providerID: OURS, uid: 'uid-2' }), expected: 'agreed' },
    { name: 'before it says', machine: machine(), expected: 'notYet' },
    { name: 'before it says, moved', machine: machine({ uid: 'uid-2' }), expected: 'notYet' },
    { name: 'it took another', machine: machine({ providerID: OTHER }), expected: 'lost' },
    { name: 'its later attempt asks', machine: machine({ token: 'token-2' }), expected: 'lost' },
    {
      name: 'an earlier machine of the token was on the host',
      machine: machine({ providerID: `tshost://ns/h1/${instanceIDOf('before')}` }),
      expected: 'lost',
    },
    { name: 'it is gone', machine: undefined, expected: 'missing' },
    {
      name: 'a new one of the name',
      machine: machine({ uid: 'uid-2', token: '' }),
      expected: 'namesake',
    },
    {
      name: 'another of the name',
      machine: machine({ uid: 'uid-2', token: 'token-2' }),
      expected: 'namesake',
    },
    { name: 'its intent is lost', machine: machine({ token: '' }), expected: 'namesake' },
    {
      name: 'a copy of its providerID',
      machine: machine({ providerID: OURS, token: 'token-2' }),
      expected: 'namesake',
    },
  ])('$name: $expected', ({ machine: object, expected }) => {
    expect(agreementOf(host(), claim, object)).toBe(expected);
  });
});

describe('the address of a Node', () => {
  const measured = (...addresses: string[]): TSHost =>
    host({
      spec: { ssh: { address: 'h1.example.org', credentialsRef: { name: 'ssh' } } },
      status: { hardware: { nics: [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses }] } },
    });

  it.each([
    { given: host(), expected: '10.0.0.7' },
    { given: measured('fd00::7', '10.0.0.8'), expected: '10.0.0.8' },
    { given: measured('fd00::7'), expected: 'fd00::7' },
    { given: measured('10.0.0.9/24'), expected: '10.0.0.9' },
    { given: measured(), expected: undefined },
  ])('is $expected', ({ given, expected }) => expect(nodeAddress(given)).toBe(expected));

  it('is in brackets with a port where it has colons', () => {
    expect([hostPort('fd00::7', 6443), hostPort('10.0.0.7', 6443)]).toEqual([
      '[fd00::7]:6443',
      '10.0.0.7:6443',
    ]);
  });
});
