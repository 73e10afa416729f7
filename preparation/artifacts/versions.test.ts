// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { imagesFor, UnknownVersionError, versionsFor } from './versions.ts';

describe('versions beside Kubernetes', () => {
  // From constants.go of these very releases: the first, the last before a change, and the one with it.
  it.each([
    ['v1.31.0', '3.5.15-0', 'v1.11.1', '3.10'],
    ['v1.31.1', '3.5.15-0', 'v1.11.3', '3.10'],
    ['v1.31.13', '3.5.15-0', 'v1.11.3', '3.10'],
    ['v1.31.14', '3.5.24-0', 'v1.11.3', '3.10'],
    ['v1.32.9', '3.5.16-0', 'v1.11.3', '3.10'],
    ['v1.32.10', '3.5.24-0', 'v1.11.3', '3.10'],
    ['v1.33.5', '3.5.21-0', 'v1.12.0', '3.10'],
    ['v1.33.13', '3.5.24-0', 'v1.12.0', '3.10'],
    ['v1.34.1', '3.6.4-0', 'v1.12.1', '3.10.1'],
    ['v1.34.4', '3.6.5-0', 'v1.12.1', '3.10.1'],
    ['v1.35.4', '3.6.6-0', 'v1.13.1', '3.10.1'],
    ['v1.36.3', '3.6.8-0', 'v1.14.2', '3.10.2'],
    ['v1.37.0', '3.7.0-0', 'v1.14.6', '3.10.2'],
  ])('%s has etcd %s, CoreDNS %s and pause %s', (version, etcd, coredns, pause) => {
    expect(versionsFor(version)).toMatchObject({ etcd, coredns, pause });
  });

  it('a patch release that is newer than the table has what the newest in it has', () => {
    expect(versionsFor('v1.36.99')).toEqual(versionsFor('v1.36.3'));
  });

  it.each([
    ['v1.38.0', 'nothing is known of Kubernetes 1.38; known are 1.31 to 1.37'],
    ['v1.30.9', 'nothing is known of Kubernetes 1.30'],
    ['v1.36', 'not a release of Kubernetes, write it like v1.36.3'],
    ['v1.36.0-rc.1', 'not a release of Kubernetes'],
    ['v2.0.0', 'not a release of Kubernetes'],
  ])('%s is refused', (version, message) => {
    expect(() => versionsFor(version)).toThrow(UnknownVersionError);
    expect(() => versionsFor(version)).toThrow(message);
  });

  it('images are named as kubeadm names them', () => {
    expect(imagesFor('v1.36.3')).toEqual([
      'registry.k8s.io/kube-apiserver:v1.36.3',
      'registry.k8s.io/kube-controller-manager:v1.36.3',
      'registry.k8s.io/kube-scheduler:v1.36.3',
      'registry.k8s.io/kube-proxy:v1.36.3',
      'registry.k8s.io/coredns/coredns:v1.14.2',
      'registry.k8s.io/pause:3.10.2',
      'registry.k8s.io/etcd:3.6.8-0',
    ]);
  });
});
