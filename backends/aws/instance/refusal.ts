// SPDX-License-Identifier: Apache-2.0
// What EC2 refuses to launch, in words of our API.
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { type AWSRefusal, isRefused } from '../session/session.ts';
import type { Shortage } from './back-off.ts';

interface Meaning {
  readonly codes: readonly string[];
  readonly reason: string;
  readonly field: string;
}

const MEANINGS: readonly Meaning[] = [
  { codes: ['InvalidSubnetID.', 'InvalidSubnet.'], reason: Reason.SubnetInvalid, field: 'subnet' },
  {
    codes: [
      'InvalidGroup.',
      'InvalidSecurityGroupID.',
      'InvalidSecurityGroup.',
      'SecurityGroupsPerInterfaceLimitExceeded',
    ],
    reason: Reason.SecurityGroupInvalid,
    field: 'securityGroups',
  },
  { codes: ['InvalidAMIID.', 'InvalidAMI.'], reason: Reason.ImageNotFound, field: 'image' },
  { codes: ['InvalidKeyPair.'], reason: Reason.InvalidMachine, field: 'keyName' },
  { codes: ['InvalidPlacementGroup.'], reason: Reason.InvalidMachine, field: 'placementGroup' },
  { codes: ['InvalidCapacityReservationId.'], reason: Reason.InvalidMachine, field: 'capacityReservation' },
  {
    codes: ['InvalidInstanceType', 'InvalidInstanceType.'],
    reason: Reason.InvalidMachine,
    field: 'instanceType',
  },
  {
    codes: ['InvalidBlockDeviceMapping', 'InvalidVolume.', 'InvalidSnapshot.'],
    reason: Reason.InvalidMachine,
    field: 'rootVolume or volumes',
  },
];

/** EC2 names the profile in its sentence, and not in its code: "parameter iamInstanceProfile.name", "Invalid IAM Instance Profile". */
export const PROFILE = /iam ?instance ?profile/i;

/** The error for a refused launch, which names the field of the spec where the code tells it. */
export function explained(error: AWSRefusal): TerminalError {
  const meaning = MEANINGS.find(({ codes }) => isRefused(error, ...codes));
  if (meaning !== undefined) return refusal(meaning.reason, meaning.field, error);
  if (PROFILE.test(error.message) && !isDenied(error))
    return refusal(Reason.InvalidMachine, 'iamInstanceProfile', error);
  return error;
}

function refusal(reason: string, field: string, error: AWSRefusal): TerminalError {
  const way = 'mend the template and delete the Machine to have it replaced';
  return new TerminalError(reason, `spec.aws.${field}: ${error.message}; ${way}`, { cause: error.cause });
}

/** Quotas of instances. Others, such as that of volumes or of tags, depend on what the machine asks for besides. */
const INSTANCE_QUOTAS: ReadonlySet<string> = new Set([
  'InstanceLimitExceeded',
  'VcpuLimitExceeded',
  'MaxSpotInstanceCountExceeded',
]);

/** There is none of it at present: another offer may do, or the same one later. */
export function shortageOf(error: AWSRefusal): Shortage | undefined {
  if (error.code === 'InsufficientFreeAddressesInSubnet') return 'addresses';
  if (INSTANCE_QUOTAS.has(error.code)) return 'quota';
  return error.reason === Reason.CapacityUnavailable ? 'capacity' : undefined;
}

/** Said before EC2 looks at the token: it proves nothing of what was made with it. */
export function isDenied(error: AWSRefusal): boolean {
  return error.reason === Reason.CloudAccessDenied;
}
