// SPDX-License-Identifier: Apache-2.0
// spec.initConfiguration, part by part, and what init does with the rest of the spec.
import type { InitConfiguration } from '../../../api/bootstrap/init-configuration.ts';
import type { Scenario } from '../scenario.ts';
import { init } from './builders.ts';
import { nodeRegistration, timeouts, TOKEN } from './specs.ts';

const PARTS: Readonly<Record<string, InitConfiguration>> = {
  'token-ttl': { bootstrapTokens: [{ token: TOKEN, ttlSeconds: 0 }] },
  'node-registration': { nodeRegistration: nodeRegistration() },
  'endpoint-address': { localAPIEndpoint: { advertiseAddress: '{{ ds.meta_data.local_ipv4 }}' } },
  'endpoint-port': { localAPIEndpoint: { bindPort: 443 } },
  'endpoint-ipv6': { localAPIEndpoint: { advertiseAddress: 'fd00::5', bindPort: 6443 } },
  'skip-phases': { skipPhases: ['addon/coredns'] },
  patches: { patches: { directory: '/patches' } },
  timeouts: { timeouts: timeouts() },
  'one-timeout': { timeouts: { controlPlaneComponentHealthCheckSeconds: 0 } },
};

export const initConfigurations: readonly Scenario[] = [
  init('nothing', { verbosity: 0 }),
  ...Object.entries(PARTS).flatMap(([name, initConfiguration]) => [
    init(`ic-${name}`, { initConfiguration }),
    init(`ic-${name}-v1beta3`, { initConfiguration }, { version: 'v1.30.0' }),
  ]),
  init('with-join-configuration', {
    joinConfiguration: {
      nodeRegistration: { name: 'not-this-one' },
      discovery: { bootstrapToken: { token: TOKEN } },
    },
  }),
];
