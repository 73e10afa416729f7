// SPDX-License-Identifier: Apache-2.0
// What kubeadm join accepts of a JoinConfiguration.
import type {
  BootstrapTokenDiscovery,
  Discovery,
  JoinConfiguration,
} from '../../api/bootstrap/join-configuration.ts';
import { checkAPIEndpoint, checkNodeRegistration, checkSkipPhases } from './node-registration.ts';
import { check, checkEach, type Problem } from './problem.ts';
import { hash, hostPort, kubeConfigPath, token } from './values.ts';

const FIELD = 'spec.joinConfiguration';

/** `discovery` is complete: what the cluster knows is filled in. */
export function checkJoinConfiguration(spec: JoinConfiguration): Problem[] {
  return [
    ...checkDiscovery(spec.discovery ?? {}),
    ...checkNodeRegistration(`${FIELD}.nodeRegistration`, spec.nodeRegistration),
    ...checkAPIEndpoint(`${FIELD}.controlPlane.localAPIEndpoint`, spec.controlPlane?.localAPIEndpoint),
    ...check(`${FIELD}.caCertPath`, spec.caCertPath, caCertPath),
    ...checkSkipPhases(`${FIELD}.skipPhases`, spec.skipPhases),
  ];
}

function caCertPath(text: string): string | undefined {
  return text.startsWith('/') && text.endsWith('.crt')
    ? undefined
    : 'must be an absolute path that ends in .crt';
}

function checkDiscovery({ bootstrapToken, file, tlsBootstrapToken }: Discovery): Problem[] {
  const field = `${FIELD}.discovery`;
  return [
    ...(isSet(bootstrapToken) && file !== undefined
      ? [{ field, message: 'must have bootstrapToken or file, not both: remove one of them' }]
      : []),
    ...(isSet(bootstrapToken) ? checkTokenDiscovery(`${field}.bootstrapToken`, bootstrapToken) : []),
    ...check(`${field}.file.kubeConfigPath`, file?.kubeConfigPath, kubeConfigPath),
    ...check(`${field}.tlsBootstrapToken`, tlsBootstrapToken, token),
  ];
}

function checkTokenDiscovery(field: string, given: BootstrapTokenDiscovery): Problem[] {
  const { caCertHashes = [], unsafeSkipCAVerification } = given;
  const unverified = caCertHashes.length === 0 && unsafeSkipCAVerification !== true;
  return [
    ...required(`${field}.token`, given.token),
    ...check(`${field}.token`, given.token, token),
    ...required(`${field}.apiServerEndpoint`, given.apiServerEndpoint),
    ...check(`${field}.apiServerEndpoint`, given.apiServerEndpoint, hostPort),
    ...checkEach(`${field}.caCertHashes`, caCertHashes, hash),
    ...(unverified
      ? [{ field: `${field}.caCertHashes`, message: 'must be set, unless unsafeSkipCAVerification is' }]
      : []),
  ];
}

function required(field: string, text: string | undefined): Problem[] {
  return text === undefined || text === '' ? [{ field, message: 'must be set' }] : [];
}

function isSet<T extends object>(value: T | undefined): value is T {
  return value !== undefined && Object.values(value).some((member) => member !== undefined);
}
