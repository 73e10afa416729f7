// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { AWSMachineSpec } from '../../../api/aws/machine.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { BootstrapData } from '../../backend.ts';
import { fetchingDocument } from './document.ts';
import { formOf, MAX_USER_DATA_BYTES, mayBeStored, storageOf } from './form.ts';

type Settings = Pick<AWSMachineSpec, 'userData' | 'iamInstanceProfile'>;

const machineWith = (settings: Settings = {}) => ({
  spec: { aws: { instanceType: 't3.small', image: { id: 'ami-1' }, ...settings } },
});

const cloudConfig = (value: string | Buffer): BootstrapData => ({
  format: 'cloud-config',
  value: Buffer.from(value),
});
const ignition = (version: string, padding: string): BootstrapData => ({
  format: 'ignition',
  value: Buffer.from(JSON.stringify({ ignition: { version }, padding })),
});

const SMALL = cloudConfig('x'.repeat(MAX_USER_DATA_BYTES));
const PACKABLE = cloudConfig('x'.repeat(MAX_USER_DATA_BYTES + 1));
const HUGE = cloudConfig(randomBytes(20_000).toString('base64'));
const profile: Settings = { iamInstanceProfile: 'nodes' };

function refusal(work: () => unknown): TerminalError {
  try {
    work();
  } catch (error) {
    if (error instanceof TerminalError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('storageOf', () => {
  const CASES: readonly [string, Settings, BootstrapData, string][] = [
    ['what fits, as it is', {}, SMALL, 'inline'],
    ['what fits when packed', {}, PACKABLE, 'gzip'],
    ['what does not fit, with a profile', profile, HUGE, 'secretsmanager'],
    [
      'what fits, where it is asked for',
      { ...profile, userData: { storage: 'SecretsManager' } },
      SMALL,
      'secretsmanager',
    ],
    [
      'the other service, where it is asked for',
      { ...profile, userData: { storage: 'ParameterStore' } },
      HUGE,
      'ssm',
    ],
    ['Ignition that is packed into Ignition', {}, ignition('3.4.0', 'x'.repeat(40_000)), 'gzip'],
  ];
  it.each(CASES)('%s', (_name, settings, data, storage) => {
    expect(storageOf(machineWith(settings), data)).toBe(storage);
  });

  const REFUSED: readonly [string, Settings, BootstrapData, string, string][] = [
    ['without a profile', {}, HUGE, 'UserDataTooLarge', 'spec.aws.iamInstanceProfile'],
    [
      'asked for, without a profile',
      { userData: { storage: 'ParameterStore' } },
      SMALL,
      'UserDataTooLarge',
      'spec.aws.iamInstanceProfile',
    ],
    [
      'inline only',
      { ...profile, userData: { storage: 'Inline' } },
      HUGE,
      'UserDataTooLarge',
      'set spec.aws.userData.storage to SecretsManager',
    ],
    [
      'Ignition',
      profile,
      ignition('3.4.0', randomBytes(20_000).toString('base64')),
      'UserDataTooLarge',
      'make the files',
    ],
    [
      'Ignition of before it could unpack',
      profile,
      ignition('3.0.0', 'x'.repeat(40_000)),
      'UserDataTooLarge',
      'make the files',
    ],
    [
      'Ignition that shall fetch',
      { ...profile, userData: { storage: 'SecretsManager' } },
      ignition('3.4.0', ''),
      'BootstrapDataUnsupported',
      'leave storage out',
    ],
  ];
  it.each(REFUSED)(
    'refuses what is too large, %s, with the way out',
    (...[, settings, data, reason, way]) => {
      const error = refusal(() => storageOf(machineWith(settings), data));
      expect(error.reason).toBe(reason);
      expect(error.message).toContain(way);
    },
  );
});

describe('formOf', () => {
  it('is the same for the same data', () => {
    expect(formOf(machineWith(), PACKABLE).bytes.equals(formOf(machineWith(), PACKABLE).bytes)).toBe(true);
    expect(gunzipSync(formOf(machineWith(), PACKABLE).bytes).equals(PACKABLE.value)).toBe(true);
  });

  it('does not pack what is packed: cloud-init unpacks once', () => {
    const packed = gzipSync(HUGE.value);
    expect(formOf(machineWith(profile), cloudConfig(packed)).bytes.equals(packed)).toBe(true);
  });

  it('unpacks Ignition in Ignition, of the same version', () => {
    const data = ignition('3.4.0', 'x'.repeat(40_000));
    const outer = JSON.parse(formOf(machineWith(), data).bytes.toString()) as {
      ignition: { version: string; config: { replace: { source: string; compression: string } } };
    };
    const { replace } = outer.ignition.config;
    expect([outer.ignition.version, replace.compression]).toEqual(['3.4.0', 'gzip']);
    const inner = gunzipSync(Buffer.from(replace.source.replace('data:;base64,', ''), 'base64'));
    expect(inner.equals(data.value)).toBe(true);
  });
});

describe('mayBeStored', () => {
  it('is false where the settings rule it out, which saves a call when the machine goes', () => {
    expect(mayBeStored(machineWith())).toBe(false);
    expect(mayBeStored(machineWith({ ...profile, userData: { storage: 'Inline' } }))).toBe(false);
    expect(mayBeStored(machineWith(profile))).toBe(true);
  });
});

describe('fetchingDocument', () => {
  it('fits, however many parts there are, and is plain ASCII', () => {
    const names = Array.from(
      { length: 60 },
      (_, index) => `ts-provider/${'x'.repeat(63)}/0123456789abcdef/0123456789abcdef/${index}`,
    );
    const document = fetchingDocument({
      service: 'ssm',
      region: 'ap-northeast-1',
      names,
      sha256: 'a'.repeat(64),
    });
    expect(document.length).toBeLessThan(MAX_USER_DATA_BYTES);
    expect(/^[\t\n\x20-\x7e]*$/.test(document.toString())).toBe(true);
  });
});
