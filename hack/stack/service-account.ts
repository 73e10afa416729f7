// SPDX-License-Identifier: Apache-2.0
// Lets a local process be the service account that its Deployment would run as: it may then do what its RBAC says, and no more.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type APIServer, kubeconfigText } from './api-server.ts';
import { runProgram } from './process.ts';
import type { Stack } from './build.ts';

const TOKEN_LIFETIME = '24h';

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

/** Writes a kubeconfig with a token of the service account, minted by the TokenRequest API, and gives its file name. */
export async function serviceAccountKubeconfig(
  options: { stack: Stack; apiServer: APIServer } & ServiceAccountName,
): Promise<string> {
  const { apiServer, namespace, name } = options;
  const token = await runProgram(options.stack.binaries.kubectl, [
    `--kubeconfig=${apiServer.kubeconfig}`,
    `--namespace=${namespace}`,
    'create',
    'token',
    name,
    `--duration=${TOKEN_LIFETIME}`,
  ]);
  const file = join(apiServer.dir, `${namespace}-${name}.kubeconfig`);
  const text = kubeconfigText({ server: apiServer.url, caPem: apiServer.caPem, token: token.trim() });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
