// SPDX-License-Identifier: Apache-2.0

/** Types of the conditions of a KubeadmConfig, as its readers know them (KB-11). */
export const BootstrapConditionType = {
  /** Sums DataSecretAvailable and CertificatesAvailable up; core mirrors it (BC-7). */
  Ready: 'Ready',
  /** The Secret with the bootstrap data is there. */
  DataSecretAvailable: 'DataSecretAvailable',
  /** The certificates that the data is made from are there. */
  CertificatesAvailable: 'CertificatesAvailable',
  Paused: 'Paused',
} as const;

/** A condition type of a KubeadmConfig. */
export type BootstrapConditionType = (typeof BootstrapConditionType)[keyof typeof BootstrapConditionType];

/** Reasons of these conditions: programs compare them, so they never change their meaning. What else is to say is in the message. */
export const BootstrapReason = {
  // Ready.
  Ready: 'Ready',
  NotReady: 'NotReady',
  ReadyUnknown: 'ReadyUnknown',

  // DataSecretAvailable, CertificatesAvailable.
  Available: 'Available',
  NotAvailable: 'NotAvailable',
  /** Certificates could not be read or made: their state is Unknown. */
  InternalError: 'InternalError',

  // Paused.
  Paused: 'Paused',
  NotPaused: 'NotPaused',
} as const;

/** A reason of a condition of a KubeadmConfig. */
export type BootstrapReason = (typeof BootstrapReason)[keyof typeof BootstrapReason];
