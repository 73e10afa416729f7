// SPDX-License-Identifier: Apache-2.0
// What kubeadm init accepts of an InitConfiguration.
import type { BootstrapToken, InitConfiguration } from '../../api/bootstrap/init-configuration.ts';
import { checkAPIEndpoint, checkNodeRegistration, checkSkipPhases } from './node-registration.ts';
import { checkEach, type Problem } from './problem.ts';
import { tokenGroup, tokenUsage } from './values.ts';

const FIELD = 'spec.initConfiguration';

/** Of the first control plane machine. The form of a token is refused when it is rendered. */
export function checkInitConfiguration(spec: InitConfiguration): Problem[] {
  return [
    ...(spec.bootstrapTokens ?? []).flatMap((token, index) =>
      checkToken(`${FIELD}.bootstrapTokens[${index}]`, token),
    ),
    ...checkNodeRegistration(`${FIELD}.nodeRegistration`, spec.nodeRegistration),
    ...checkAPIEndpoint(`${FIELD}.localAPIEndpoint`, spec.localAPIEndpoint),
    ...checkSkipPhases(`${FIELD}.skipPhases`, spec.skipPhases),
  ];
}

function checkToken(field: string, { usages, groups, expires }: BootstrapToken): Problem[] {
  const unauthenticated = usages !== undefined && usages.length > 0 && !usages.includes('authentication');
  return [
    ...checkEach(`${field}.usages`, usages, tokenUsage),
    ...checkEach(`${field}.groups`, groups, tokenGroup),
    // Groups that are absent are filled in by kubeadm, before it looks.
    ...(unauthenticated
      ? [{ field: `${field}.usages`, message: 'must include authentication, since the token has groups' }]
      : []),
    // kubeadm fills in a lifetime first, and then finds both.
    ...(expires === undefined
      ? []
      : [{ field: `${field}.expires`, message: 'is refused by every kubeadm: use ttlSeconds' }]),
  ];
}
