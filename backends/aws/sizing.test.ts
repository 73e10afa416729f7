// SPDX-License-Identifier: Apache-2.0
import type { InstanceTypeInfo } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import { sizeOf } from './sizing.ts';

const TYPE: InstanceTypeInfo = {
  VCpuInfo: { DefaultVCpus: 8, DefaultCores: 4, DefaultThreadsPerCore: 2 },
  MemoryInfo: { SizeInMiB: 32_768 },
  ProcessorInfo: { SupportedArchitectures: ['x86_64'] },
};

const spec = (more: Partial<AWSMachineSpec> = {}): AWSMachineSpec => ({
  instanceType: 'm6i.2xlarge',
  image: { id: 'ami-1' },
  ...more,
});

describe('sizeOf', () => {
  it('gives quantities as strings', () => {
    expect(sizeOf(TYPE, spec())).toEqual({
      capacity: { cpu: '8', memory: '32768Mi' },
      architecture: 'amd64',
      operatingSystem: 'linux',
    });
  });

  it('counts the threads that cpuOptions leave on', () => {
    expect(sizeOf(TYPE, spec({ cpuOptions: { threadsPerCore: 1 } }))?.capacity['cpu']).toBe('4');
    expect(sizeOf(TYPE, spec({ cpuOptions: { coreCount: 2, threadsPerCore: 2 } }))?.capacity['cpu']).toBe(
      '4',
    );
  });

  it('counts GPUs by maker, under the names of their device plugins', () => {
    const type: InstanceTypeInfo = {
      ...TYPE,
      GpuInfo: {
        Gpus: [
          { Manufacturer: 'NVIDIA', Count: 4 },
          { Manufacturer: 'Habana', Count: 8 },
        ],
      },
    };
    expect(sizeOf(type, spec())?.capacity).toEqual({ cpu: '8', memory: '32768Mi', 'nvidia.com/gpu': '4' });
  });

  it('says arm64 for a type that has nothing else, and nothing for a type that Kubernetes has no name for', () => {
    const arm: InstanceTypeInfo = { ...TYPE, ProcessorInfo: { SupportedArchitectures: ['arm64'] } };
    expect(sizeOf(arm, spec())?.architecture).toBe('arm64');
    const mac: InstanceTypeInfo = { ...TYPE, ProcessorInfo: { SupportedArchitectures: ['x86_64_mac'] } };
    expect(sizeOf(mac, spec())).toBeUndefined();
  });
});
