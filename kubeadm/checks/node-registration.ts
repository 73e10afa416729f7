// SPDX-License-Identifier: Apache-2.0
// What an init and a join have in common.
import type { APIEndpoint, NodeRegistrationOptions, Taint } from '../../api/bootstrap/node-registration.ts';
import { check, checkEach, isLiteral, type Problem } from './problem.ts';
import { criSocket, ipAddress, labelKey, labelValue, nodeName, phase, taintEffect } from './values.ts';

/** How the Node is registered; `field` is where that stands. */
export function checkNodeRegistration(field: string, options: NodeRegistrationOptions = {}): Problem[] {
  return [
    ...check(`${field}.name`, options.name, nodeName),
    ...check(`${field}.criSocket`, options.criSocket, criSocket),
    ...checkTaints(`${field}.taints`, options.taints ?? []),
    ...checkPreflight(`${field}.ignorePreflightErrors`, options.ignorePreflightErrors ?? []),
  ];
}

/** A bindPort of 0 is an absent one; its upper limit is kubeadm's. */
export function checkAPIEndpoint(field: string, { advertiseAddress, bindPort }: APIEndpoint = {}): Problem[] {
  const tooHigh = bindPort !== undefined && bindPort > 65_535;
  return [
    ...check(`${field}.advertiseAddress`, advertiseAddress, ipAddress),
    ...(tooHigh ? [{ field: `${field}.bindPort`, message: 'must be from 1 to 65535' }] : []),
  ];
}

/** kubeadm ends before it begins when it does not know a phase. */
export function checkSkipPhases(field: string, phases: readonly string[] | undefined): Problem[] {
  return checkEach(field, phases, phase);
}

/** Not kubeadm but the kubelet, or the API server, refuses these. */
function checkTaints(field: string, taints: readonly Taint[]): Problem[] {
  const pairs = taints.map(({ key, effect }) => `${key}:${effect}`);
  return taints.flatMap(({ key, value, effect }, index) => {
    const here = `${field}[${index}]`;
    const pair = `${key}:${effect}`;
    const isRepeated = isLiteral(pair) && pairs.indexOf(pair) < index;
    return [
      ...required(`${here}.key`, key),
      ...check(`${here}.key`, key, labelKey),
      ...check(`${here}.value`, value, labelValue),
      ...required(`${here}.effect`, effect),
      ...check(`${here}.effect`, effect, taintEffect),
      ...(isRepeated
        ? [{ field: here, message: 'repeats key and effect of a taint before it: remove it' }]
        : []),
    ];
  });
}

function required(field: string, text: string): Problem[] {
  return text === '' ? [{ field, message: 'is empty' }] : [];
}

function checkPreflight(field: string, names: readonly string[]): Problem[] {
  const lower = new Set(names.map((name) => name.toLowerCase()));
  if (!lower.has('all') || lower.size === 1) return [];
  return [{ field, message: 'must name no other check beside "all": remove the others' }];
}
