// SPDX-License-Identifier: Apache-2.0
// Decides how bootstrap data reach an instance. Pure.
import { gzipSync } from 'node:zlib';
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { BootstrapData, MachineFacts } from '../../backend.ts';
import { packedIgnition } from './document.ts';

/** What EC2 takes as user data, in bytes before base64. */
export const MAX_USER_DATA_BYTES = 16_384;

/** Where data wait that do not travel with RunInstances. */
export type Service = 'secretsmanager' | 'ssm';

/** The bytes that EC2 gets, or those that wait and where. */
export type Form =
  | { readonly storage: 'inline' | 'gzip'; readonly bytes: Buffer }
  | { readonly storage: Service; readonly bytes: Buffer };

type Settings = Pick<MachineFacts, 'spec'>;

const SERVICES = { SecretsManager: 'secretsmanager', ParameterStore: 'ssm' } as const;

/** How the data reach the instance. Throws TerminalError(UserDataTooLarge | BootstrapDataUnsupported) with the way out. */
export function storageOf(machine: Settings, data: BootstrapData): Form['storage'] {
  return formOf(machine, data).storage;
}

/** The same data and settings give the same bytes: a replay has to send them again. Throws as {@link storageOf}. */
export function formOf(machine: Settings, data: BootstrapData): Form {
  const asked = machine.spec.aws?.userData?.storage;
  if (asked === 'SecretsManager' || asked === 'ParameterStore') {
    requireCloudInit(data, asked);
    requireProfile(machine, `spec.aws.userData.storage is ${asked}`);
    return { storage: SERVICES[asked], bytes: smallest(data) };
  }
  const packed = smallest(data);
  if (data.value.length <= MAX_USER_DATA_BYTES) return { storage: 'inline', bytes: data.value };
  if (packed.length <= MAX_USER_DATA_BYTES) return { storage: 'gzip', bytes: packed };
  const sizes = sizesOf(data, packed);
  if (data.format === 'ignition') throw tooLarge(`${sizes}; Ignition can fetch nothing else: ${SMALLER}`);
  if (asked === 'Inline')
    throw tooLarge(`${sizes}: set spec.aws.userData.storage to SecretsManager, or ${SMALLER}`);
  requireProfile(machine, sizes);
  return { storage: 'secretsmanager', bytes: packed };
}

/** Whether something may have been stored for the machine, as far as its settings tell. */
export function mayBeStored({ spec }: Settings): boolean {
  return spec.aws?.userData?.storage !== 'Inline' && spec.aws?.iamInstanceProfile !== undefined;
}

const SMALLER = 'make the files of the bootstrap config smaller, or have the machine fetch the large ones';

function tooLarge(message: string): TerminalError {
  return new TerminalError(Reason.UserDataTooLarge, message);
}

function requireProfile({ spec }: Settings, why: string): void {
  if (spec.aws?.iamInstanceProfile !== undefined) return;
  const needs =
    'the instance has to fetch its bootstrap data itself, which needs spec.aws.iamInstanceProfile';
  throw tooLarge(
    `${why}: ${needs}: name an instance profile that may read and delete them ` +
      '(ts-provider aws iam-policy --for instances prints its policy), or keep them below ' +
      `${MAX_USER_DATA_BYTES} bytes compressed`,
  );
}

function requireCloudInit({ format }: BootstrapData, asked: string): void {
  if (format === 'cloud-config') return;
  const message = `spec.aws.userData.storage ${asked} is for cloud-init: Ignition cannot fetch from there; leave storage out, or set format of the bootstrap config to cloud-config`;
  throw new TerminalError(Reason.BootstrapDataUnsupported, message);
}

function sizesOf({ value }: BootstrapData, packed: Buffer): string {
  const compressed = packed.length < value.length ? `, ${packed.length} compressed` : '';
  return `The bootstrap data have ${value.length} bytes${compressed}, and EC2 takes ${MAX_USER_DATA_BYTES}`;
}

/** What the bootstrap provider has packed already does not become smaller, and cloud-init unpacks once. */
function smallest({ format, value }: BootstrapData): Buffer {
  if (value.length <= MAX_USER_DATA_BYTES || isGzip(value)) return value;
  const packed = format === 'ignition' ? packedIgnition(value) : gzipSync(value, { level: 9 });
  return packed !== undefined && packed.length < value.length ? packed : value;
}

function isGzip(value: Buffer): boolean {
  return value[0] === 0x1f && value[1] === 0x8b;
}
