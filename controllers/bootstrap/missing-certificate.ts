// SPDX-License-Identifier: Apache-2.0
import type { CertificateSlot } from '../../kubeadm/certificates.ts';

/** What is waited for, as messages begin. */
export function waitingForCertificate(namespace: string, { secretName }: CertificateSlot): string {
  return `waiting for Secret ${namespace}/${secretName} (key tls.crt)`;
}

/** Certificates of an etcd that is not kubeadm's are given by a person, never made (KB-30). */
export function missingExternal(namespace: string, slot: CertificateSlot): string {
  return `${waitingForCertificate(namespace, slot)}: create it, spec.clusterConfiguration.etcd.external needs it`;
}
