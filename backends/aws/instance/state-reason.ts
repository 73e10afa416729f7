// SPDX-License-Identifier: Apache-2.0
// Who has stopped or ended an instance, and when, as far as AWS tells.
import type { InstanceRecord } from './record.ts';

/** Codes of AWS in words; its own sentence is said for others. */
const WORDS: Readonly<Record<string, string>> = {
  'Client.UserInitiatedShutdown': 'by a call to the EC2 API',
  'Client.UserInitiatedHibernate': 'by a call to the EC2 API',
  'Client.InstanceInitiatedShutdown': 'from within the instance',
  'Client.InternalError': 'by AWS when it started: often a KMS key that the account may not use',
  'Client.VolumeLimitExceeded': 'by AWS when it started: the quota of EBS volumes is used up',
  'Client.InvalidSnapshot.NotFound': 'by AWS when it started: a snapshot of the image is gone',
  'Server.SpotInstanceTermination': 'by AWS, which took the spot capacity back',
  'Server.SpotInstanceShutdown': 'by AWS, which took the spot capacity back',
  'Server.InsufficientInstanceCapacity': 'by AWS, which had no capacity to start it',
  'Server.InternalError': 'by AWS after an internal error',
  'Server.ScheduledStop': 'by AWS for scheduled maintenance',
};

/** Such as `by a call to the EC2 API (2026-01-31 12:00:00 GMT)`; '' when AWS says nothing. */
export function whoAndWhen({ stateReason, stateTransition }: InstanceRecord): string {
  const when = /\(([^)]+)\)/.exec(stateTransition)?.[1];
  const who = stateReason === undefined ? '' : (WORDS[stateReason.code] ?? sentenceOf(stateReason));
  const said = who === '' ? stateTransition.replace(/\s*\([^)]*\)/, '').trim() : who;
  return [said, when === undefined ? '' : `(${when})`].filter((part) => part !== '').join(' ');
}

/** AWS begins its sentence with the code. */
function sentenceOf({ code, message }: NonNullable<InstanceRecord['stateReason']>): string {
  const sentence = message.replace(`${code}:`, '').trim();
  return sentence === '' ? `(${code})` : `${sentence} (${code})`;
}
