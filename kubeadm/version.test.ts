// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { InputError } from './input-error.ts';
import { kubeadmAPIVersion, parseKubernetesVersion } from './version.ts';

describe('parseKubernetesVersion', () => {
  it.each([
    ['v1.36.3', [1, 36, 3]],
    ['1.36.3', [1, 36, 3]],
    ['v1.31.0-alpha.0.734+ba502ee555924a', [1, 31, 0]],
    ['v1.28.7-eks-a737599', [1, 28, 7]],
    ['v1.30.2+k3s1', [1, 30, 2]],
    ['v1.36', [1, 36, 0]],
    ['1', [1, 0, 0]],
    [' v1.36.3 ', [1, 36, 3]],
    ['v1.036.007', [1, 36, 7]],
  ])('reads %j', (text, numbers) => {
    const { major, minor, patch, ...rest } = parseKubernetesVersion(text, 'spec.version');
    expect([major, minor, patch]).toEqual(numbers);
    expect(rest).toEqual({ text });
  });

  it.each([
    '',
    'v',
    'latest',
    'vv1.36.3',
    'V1.36.3',
    '1.36.3.4',
    '1.36-rc.1',
    '1.36.3-',
    '1.36.3-a..b',
    '-1.2.3',
    '1.x',
  ])('refuses %j and names the field', (text) => {
    const parse = () => parseKubernetesVersion(text, 'spec.version');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(`spec.version: ${JSON.stringify(text)} is not a Kubernetes version`);
  });
});

describe('kubeadmAPIVersion (KB-40)', () => {
  it.each([
    ['v1.22.0-alpha.0.734+ba502ee555924a', 'v1beta3'],
    ['v1.22.0', 'v1beta3'],
    ['v1.30.99', 'v1beta3'],
    ['v1.31.0-alpha.1', 'v1beta4'],
    ['v1.31.0', 'v1beta4'],
    ['v1.37.0', 'v1beta4'],
    ['v2.0.0', 'v1beta4'],
    ['v99.99.99', 'v1beta4'],
  ])('%s reads %s', (text, version) => {
    expect(kubeadmAPIVersion(parseKubernetesVersion(text, 'x'))).toBe(`kubeadm.k8s.io/${version}`);
  });

  it.each(['v1.21.14', 'v1.12.0', 'v0.99.0'])('refuses %s and says what is needed', (text) => {
    const choose = () => kubeadmAPIVersion(parseKubernetesVersion(text, 'x'));
    expect(choose).toThrow(InputError);
    expect(choose).toThrow(`${text} is too old, kubeadm configuration needs v1.22.0 or newer`);
  });
});
