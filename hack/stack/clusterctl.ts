// SPDX-License-Identifier: Apache-2.0
// The real clusterctl against folders of this machine: no network, no container registry.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { APIServer } from './api-server.ts';
import type { Stack } from './build.ts';
import { certManagerCRDs, componentsFile, STACK_PROVIDERS } from './components.ts';
import { runProgram } from './process.ts';

/** A provider besides those of the stack, in the folder layout of CTL-5. */
export interface LocalProvider {
  readonly name: string;
  readonly type: 'InfrastructureProvider' | 'BootstrapProvider' | 'ControlPlaneProvider';
  /** Path of the components file: `<folder>/infrastructure-ts-provider/v0.1.0/infrastructure-components.yaml`. */
  readonly file: string;
}

export interface Clusterctl {
  /** File name of its configuration, for people who try it by hand. */
  readonly config: string;
  /** Runs it and gives its standard output: `run(['describe', 'cluster', 'demo'], server)`. Throws with what it said. */
  run(
    args: readonly string[],
    apiServer?: APIServer,
    env?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** `clusterctl init` of core, kubeadm control plane, the given infrastructure and bootstrap provider; `none` leaves one out. */
  init(
    apiServer: APIServer,
    which: { readonly infrastructure: string; readonly bootstrap: string },
  ): Promise<void>;
}

/** Writes a configuration with the stack's providers and `providers` into `dir`. */
export function createClusterctl(options: {
  stack: Stack;
  dir: string;
  providers?: readonly LocalProvider[];
  variables?: Readonly<Record<string, string>>;
}): Clusterctl {
  const { stack, dir } = options;
  const config = join(dir, 'clusterctl.yaml');
  const home = join(dir, 'clusterctl-home');
  mkdirSync(home, { recursive: true });
  writeFileSync(config, configText(options));
  const run: Clusterctl['run'] = (args, apiServer, env = {}) =>
    runProgram(stack.binaries.clusterctl, [...args, `--config=${config}`], {
      env: {
        ...env,
        // It looks up the newest release of itself otherwise, and keeps files in the home folder.
        CLUSTERCTL_DISABLE_VERSIONCHECK: 'true',
        XDG_CONFIG_HOME: home,
        ...(apiServer === undefined ? {} : { KUBECONFIG: apiServer.kubeconfig }),
      },
    });
  return {
    config,
    run,
    async init(apiServer, { infrastructure, bootstrap }) {
      await installCertManagerCRDs(stack, apiServer);
      const core = ['--core=cluster-api', '--control-plane=kubeadm'];
      const which = [`--infrastructure=${infrastructure}`, `--bootstrap=${bootstrap}`];
      await run(['init', ...core, ...which], apiServer, { CLUSTER_TOPOLOGY: 'true' });
    },
  };
}

function configText(options: {
  stack: Stack;
  providers?: readonly LocalProvider[];
  variables?: Readonly<Record<string, string>>;
}): string {
  const ofStack = STACK_PROVIDERS.map((provider) => ({
    name: provider.name,
    type: provider.type,
    url: componentsFile(options.stack.componentsDir, provider),
  }));
  const ofOthers = (options.providers ?? []).map(({ name, type, file }) => ({ name, type, url: file }));
  return stringify({
    providers: [...ofStack, ...ofOthers],
    // Its CustomResourceDefinitions are enough here: webhooks get their certificates from managers.ts.
    'cert-manager': { externallyProvisioned: true },
    ...options.variables,
  });
}

/** The component files hold Certificates and Issuers, which the API server takes once it knows the kinds. */
async function installCertManagerCRDs(stack: Stack, apiServer: APIServer): Promise<void> {
  const file = certManagerCRDs(stack.componentsDir);
  const kubectl = [`--kubeconfig=${apiServer.kubeconfig}`, 'apply', '--server-side', `--filename=${file}`];
  await runProgram(stack.binaries.kubectl, kubectl);
  const wait = [
    `--kubeconfig=${apiServer.kubeconfig}`,
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
  ];
  await runProgram(stack.binaries.kubectl, [...wait, 'crd', '--all']);
}
