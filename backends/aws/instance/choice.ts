// SPDX-License-Identifier: Apache-2.0
// Everything that was looked up for an attempt, as it is recorded with the intent: with it a replay asks for the same without a look.
import { Reason } from '../../../api/conditions.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import type { CreateIntent } from '../../backend.ts';

export interface Choice {
  readonly region: string;
  /** Name of the TSClusterIdentity. */
  readonly identity: string;
  /** As {@link import('../session/session.ts').AWSSession.account} says: a token means nothing in another account. */
  readonly account: string;
  readonly infrastructureID: string;
  readonly clusterName: string;
  readonly role: 'control-plane' | 'node';
  readonly imageID: string;
  readonly architecture: string;
  /** Device name of the root volume; '' for an image without one. */
  readonly rootDevice: string;
  /** Of the image's root volume; '' where it does not say. */
  readonly rootSizeGiB: string;
  /** See {@link import('./image.ts').ResolvedImage}. */
  readonly keptDevices: readonly string[];
  readonly instanceType: string;
  /** Always: EC2 keeps tokens for each zone, and only the same zone answers for the same token. */
  readonly subnetID: string;
  readonly availabilityZone: string;
  readonly securityGroupIDs: readonly string[];
  readonly market: 'on-demand' | 'spot';
  /** US dollars an hour; '' without a cap. */
  readonly maxPrice: string;
  /** 0 is the machine as it is described, 1 its first fallback. */
  readonly offer: string;
}

/**
 * At most 20 values of at most 512 characters: an interface of EC2 has at most 16 groups of 20 characters, and instances have some
 * forty volumes at most, of names such as /dev/xvdba.
 */
export function encodeChoice({ securityGroupIDs, keptDevices, ...rest }: Choice): Record<string, string> {
  const values: [string, string][] = [
    ...Object.entries(rest),
    ['securityGroups', securityGroupIDs.join(',')],
    ['keptDevices', keptDevices.join(',')],
  ];
  return Object.fromEntries(values.filter(([, value]) => value !== ''));
}

/** The inverse; `undefined` for an intent without choice. Throws TerminalError(InvalidMachine) for one that is not ours. */
export function choiceOf(intent: CreateIntent | undefined): Choice | undefined {
  if (intent?.choice === undefined) return undefined;
  const { securityGroups = '', keptDevices = '', ...values } = intent.choice;
  const needed = ['region', 'identity', 'account', 'infrastructureID', 'imageID', 'instanceType', 'subnetID'];
  const missing = needed.filter((name) => values[name] === undefined);
  if (missing.length > 0) {
    const message = `spec.createIntent.choice has no ${missing.join(', ')}; delete the Machine to have it replaced`;
    throw new TerminalError(Reason.InvalidMachine, message);
  }
  const optional = { clusterName: '', rootDevice: '', rootSizeGiB: '', maxPrice: '', offer: '0' };
  const lists = { securityGroupIDs: listOf(securityGroups), keptDevices: listOf(keptDevices) };
  // What it holds was written by encodeChoice and is fixed since: the API server refuses another value.
  return { ...optional, ...values, ...lists } as unknown as Choice;
}

function listOf(value: string): string[] {
  return value.split(',').filter((one) => one !== '');
}
