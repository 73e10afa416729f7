// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { type Choice, choiceOf, encodeChoice } from './choice.ts';
import { machineNamed } from './instance.fixtures.ts';
import { runInstances } from './request.ts';
import { whoAndWhen } from './state-reason.ts';
import { recordNamed } from './instance.fixtures.ts';

const choice: Choice = {
  ...{ region: 'eu-central-1', identity: 'default', account: '123456789012', infrastructureID: 'prod-1' },
  ...{ clusterName: 'prod', role: 'node', imageID: 'ami-1', architecture: 'x86_64' },
  ...{ rootDevice: '/dev/sda1', rootSizeGiB: '8', instanceType: 'm5.large', subnetID: 'subnet-1' },
  ...{ availabilityZone: 'eu-central-1a', securityGroupIDs: ['sg-1', 'sg-2'], market: 'on-demand' },
  ...{ maxPrice: '', offer: '0', keptDevices: [] },
};

function requestOf(spec: Partial<AWSMachineSpec>, other: Partial<Choice> = {}) {
  const intent = { attempt: 1, clientToken: 'a-token', requestHash: 'a-hash' };
  const aws = { instanceType: 'm5.large', image: { id: 'ami-1' }, ...spec };
  return runInstances({
    machine: machineNamed('m', { spec: { aws } }),
    ...{ spec: aws, intent, choice: { ...choice, ...other }, userData: 'aGk=' },
  });
}

describe('the request', () => {
  it('is safe where the machine says nothing', () => {
    const request = requestOf({});
    expect(request).toMatchObject({
      ...{
        MinCount: 1,
        MaxCount: 1,
        ClientToken: 'a-token',
        ImageId: 'ami-1',
        SubnetId: 'subnet-1',
        UserData: 'aGk=',
      },
      SecurityGroupIds: ['sg-1', 'sg-2'],
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1, HttpEndpoint: 'enabled' },
      BlockDeviceMappings: [
        {
          DeviceName: '/dev/sda1',
          Ebs: { VolumeType: 'gp3', Encrypted: true, DeleteOnTermination: true, VolumeSize: 8 },
        },
      ],
    });
    for (const name of [
      'KeyName',
      'IamInstanceProfile',
      'NetworkInterfaces',
      'Placement',
      'InstanceMarketOptions',
    ])
      expect(request).not.toHaveProperty(name);
    expect(request.TagSpecifications?.map(({ ResourceType }) => ResourceType)).toEqual([
      'instance',
      'volume',
      'network-interface',
    ]);
  });

  it('is the same every time', () => {
    expect(JSON.stringify(requestOf({ tags: { b: '1', a: '2' } }))).toBe(
      JSON.stringify(requestOf({ tags: { a: '2', b: '1' } })),
    );
  });

  it('has what the machine asks for', () => {
    const request = requestOf({
      ...{ publicIP: true, keyName: 'k', iamInstanceProfile: 'p', tenancy: 'dedicated' },
      rootVolume: { sizeGiB: 100, type: 'io2', iops: 500, kmsKeyID: 'alias/x' },
      volumes: [{ deviceName: '/dev/sdf', sizeGiB: 5, throughputMiBps: 200 }],
      placementGroup: { name: 'g', partition: 2 },
      capacityReservation: { id: 'cr-1' },
      cpuOptions: { coreCount: 2, threadsPerCore: 1 },
      privateDNS: { hostnameType: 'resource-name' },
    });
    expect(request).toMatchObject({
      ...{ KeyName: 'k', IamInstanceProfile: { Name: 'p' } },
      NetworkInterfaces: [
        { DeviceIndex: 0, SubnetId: 'subnet-1', Groups: ['sg-1', 'sg-2'], AssociatePublicIpAddress: true },
      ],
      BlockDeviceMappings: [
        { Ebs: { VolumeSize: 100, VolumeType: 'io2', Iops: 500, KmsKeyId: 'alias/x', Encrypted: true } },
        { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 5, VolumeType: 'gp3', Throughput: 200 } },
      ],
      Placement: { Tenancy: 'dedicated', GroupName: 'g', PartitionNumber: 2 },
      CapacityReservationSpecification: { CapacityReservationTarget: { CapacityReservationId: 'cr-1' } },
      CpuOptions: { CoreCount: 2, ThreadsPerCore: 1 },
      PrivateDnsNameOptions: { HostnameType: 'resource-name' },
    });
    expect(request).not.toHaveProperty('SubnetId');
    expect(request).not.toHaveProperty('SecurityGroupIds');
  });

  it('leaves no volume of the image behind, and changes nothing else of it', () => {
    const keptDevices = ['/dev/sdf', '/dev/sdg'];
    const volumes = [{ deviceName: 'sdg', sizeGiB: 5 }];
    const { BlockDeviceMappings } = requestOf({ volumes }, { keptDevices });
    expect(BlockDeviceMappings).toMatchObject([
      { DeviceName: '/dev/sda1' },
      { DeviceName: 'sdg', Ebs: { VolumeSize: 5 } },
      { DeviceName: '/dev/sdf' },
    ]);
    expect(BlockDeviceMappings?.[2]?.Ebs).toEqual({ DeleteOnTermination: true });
  });

  it('asks for spot capacity once, with a cap, and tags the request for it', () => {
    const request = requestOf({}, { market: 'spot', maxPrice: '0.05' });
    const SpotOptions = {
      SpotInstanceType: 'one-time',
      InstanceInterruptionBehavior: 'terminate',
      MaxPrice: '0.05',
    };
    expect(request.InstanceMarketOptions).toEqual({ MarketType: 'spot', SpotOptions });
    expect(request.TagSpecifications?.map(({ ResourceType }) => ResourceType)).toContain(
      'spot-instances-request',
    );
  });

  it('is made of a choice that comes back as it was recorded', () => {
    const recorded = encodeChoice(choice);
    expect(Object.keys(recorded).length).toBeLessThanOrEqual(20);
    expect(choiceOf({ attempt: 1, clientToken: 't', requestHash: 'h', choice: recorded })).toEqual(choice);
    const kept = { ...choice, keptDevices: ['/dev/sdf', '/dev/sdg'] };
    const intent = { attempt: 1, clientToken: 't', requestHash: 'h', choice: encodeChoice(kept) };
    expect(choiceOf(intent)).toEqual(kept);
    const { region: _region, ...rest } = recorded;
    const broken = { attempt: 1, clientToken: 't', requestHash: 'h', choice: rest };
    expect(() => choiceOf(broken)).toThrow('spec.createIntent.choice has no region');
  });
});

describe('who has stopped an instance', () => {
  const reason = (code: string, message = '') => ({ stateReason: { code, message } });
  it.each([
    [
      reason('Client.UserInitiatedShutdown'),
      'User initiated (2026-01-31 12:00:00 GMT)',
      'by a call to the EC2 API (2026-01-31 12:00:00 GMT)',
    ],
    [reason('Client.InstanceInitiatedShutdown'), '', 'from within the instance'],
    [
      reason('Server.SpotInstanceTermination'),
      'Server.SpotInstanceTermination: Spot',
      'by AWS, which took the spot capacity back',
    ],
    [reason('Server.Odd', 'Server.Odd: something else'), '', 'something else (Server.Odd)'],
    [{}, 'User initiated (2026-01-31 12:00:00 GMT)', 'User initiated (2026-01-31 12:00:00 GMT)'],
    [{}, '', ''],
  ])('%j %s', (of, stateTransition, expected) => {
    expect(whoAndWhen(recordNamed('i-1', { ...of, stateTransition }))).toBe(expected);
  });
});
