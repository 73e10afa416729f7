// SPDX-License-Identifier: Apache-2.0
// What a machine will be before there is one, as EC2 describes its instance type.
import type { InstanceTypeInfo } from '@aws-sdk/client-ec2';
import type { AWSMachineSpec } from '../../api/aws/machine.ts';
import type { MachineSize, Sizing } from '../backend.ts';
import { architecturesOf, type InstanceTypes } from './instance/instance-type.ts';
import type { AWSSessions } from './session/session.ts';

/** How the device plugins of the makers call their devices. */
const GPU_RESOURCES: Readonly<Record<string, string>> = { nvidia: 'nvidia.com/gpu', amd: 'amd.com/gpu' };

const ARCHITECTURES: Readonly<Record<string, MachineSize['architecture']>> = {
  x86_64: 'amd64',
  arm64: 'arm64',
};

/**
 * Asks once a day for each account and instance type. The memory is that of the hardware; a Node has a few per cent less. Of a machine
 * with fallbacks it is the size of the type that is asked for first. Throws TerminalError(InvalidMachine) for an unknown type.
 */
export function createSizing(options: {
  readonly sessions: Pick<AWSSessions, 'open'>;
  readonly types: InstanceTypes;
}): Sizing {
  return {
    async size(ctx, { namespace, spec, cluster }) {
      if (spec.aws === undefined || cluster?.aws === undefined) return undefined;
      const { identityRef, region } = cluster.aws;
      const session = await options.sessions.open(ctx, { namespace, identity: identityRef.name, region });
      const name = spec.aws.instanceType;
      const type = await options.types.describe(ctx, session, {
        name,
        field: 'spec.template.spec.aws.instanceType',
      });
      return sizeOf(type, spec.aws);
    },
  };
}

/** `undefined` for a type whose processors Kubernetes has no name for. */
export function sizeOf(type: InstanceTypeInfo, spec: AWSMachineSpec): MachineSize | undefined {
  const named = spec.image.lookup?.architecture ?? architecturesOf(type)[0] ?? '';
  const architecture = ARCHITECTURES[named];
  const memoryMiB = type.MemoryInfo?.SizeInMiB;
  const cpus = cpusOf(type, spec);
  if (architecture === undefined || memoryMiB === undefined || cpus === undefined) return undefined;
  const { sizeGiB } = spec.rootVolume ?? {};
  return {
    capacity: {
      cpu: String(cpus),
      memory: `${memoryMiB}Mi`,
      ...(sizeGiB !== undefined && { 'ephemeral-storage': `${sizeGiB}Gi` }),
      ...gpusOf(type),
    },
    architecture,
    operatingSystem: 'linux',
  };
}

function cpusOf({ VCpuInfo }: InstanceTypeInfo, { cpuOptions }: AWSMachineSpec): number | undefined {
  const { coreCount = VCpuInfo?.DefaultCores, threadsPerCore = VCpuInfo?.DefaultThreadsPerCore } =
    cpuOptions ?? {};
  if (cpuOptions === undefined || coreCount === undefined || threadsPerCore === undefined)
    return VCpuInfo?.DefaultVCpus;
  return coreCount * threadsPerCore;
}

function gpusOf({ GpuInfo }: InstanceTypeInfo): Record<string, string> {
  const counts = new Map<string, number>();
  for (const { Manufacturer = '', Count = 0 } of GpuInfo?.Gpus ?? []) {
    const resource = GPU_RESOURCES[Manufacturer.toLowerCase()];
    if (resource !== undefined && Count > 0) counts.set(resource, (counts.get(resource) ?? 0) + Count);
  }
  return Object.fromEntries([...counts].map(([resource, count]) => [resource, String(count)]));
}
