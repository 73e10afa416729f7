// SPDX-License-Identifier: Apache-2.0
import type { Instance, InstanceNetworkInterface } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import { recordOf } from './record.ts';

const first: InstanceNetworkInterface = {
  ...{ NetworkInterfaceId: 'eni-1', Attachment: { DeviceIndex: 0, NetworkCardIndex: 0 } },
  Groups: [{ GroupId: 'sg-2' }, { GroupId: 'sg-1' }],
  PrivateIpAddresses: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((PrivateIpAddress) => ({ PrivateIpAddress })),
  Ipv6Addresses: [{ Ipv6Address: '2001:db8::2' }, { Ipv6Address: '2001:db8::1', IsPrimaryIpv6: true }],
};
const ofPods: InstanceNetworkInterface = {
  ...{ NetworkInterfaceId: 'eni-2', Attachment: { DeviceIndex: 1, NetworkCardIndex: 0 } },
  PrivateIpAddresses: ['10.0.1.1', '10.0.1.2'].map((PrivateIpAddress) => ({ PrivateIpAddress })),
  Ipv6Addresses: [{ Ipv6Address: '2001:db8::9' }],
};
const instance: Instance = {
  ...{ InstanceId: 'i-1', State: { Name: 'running' }, Placement: { AvailabilityZone: 'eu-central-1a' } },
  ...{ PrivateIpAddress: '10.0.0.1', PrivateDnsName: 'ip-10-0-0-1.internal', PublicIpAddress: '203.0.113.1' },
  ...{ PublicDnsName: 'ec2.example', NetworkInterfaces: [ofPods, first] },
};

describe('record of an instance', () => {
  it('has the addresses of the instance, and none of those that its interfaces hold for pods', () => {
    expect(recordOf(instance)?.addresses).toEqual([
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'InternalIP', address: '2001:db8::1' },
      { type: 'ExternalIP', address: '203.0.113.1' },
      { type: 'InternalDNS', address: 'ip-10-0-0-1.internal' },
      { type: 'Hostname', address: 'ip-10-0-0-1.internal' },
      { type: 'ExternalDNS', address: 'ec2.example' },
    ]);
  });

  it('does not change with interfaces that come and go', () => {
    expect(recordOf({ ...instance, NetworkInterfaces: [first] })).toEqual(recordOf(instance));
    expect(recordOf(instance)?.networkInterfaces).toEqual([
      { id: 'eni-1', securityGroupIDs: ['sg-1', 'sg-2'] },
    ]);
    expect(recordOf({ ...instance, NetworkInterfaces: [] })?.networkInterfaces).toEqual([]);
  });

  it('is equal as JSON whatever the order of the answer', () => {
    const Tags = ['b', 'a', 'c'].map((Key) => ({ Key, Value: `of ${Key}` }));
    const json = (told: Instance) => JSON.stringify(recordOf(told));
    const reversed = { ...instance, Tags: [...Tags].reverse(), NetworkInterfaces: [first, ofPods] };
    expect(json(reversed)).toBe(json({ ...instance, Tags }));
    expect(recordOf({ ...instance, Tags })?.tags).toEqual({ a: 'of a', b: 'of b', c: 'of c' });
  });
});
