// SPDX-License-Identifier: Apache-2.0
// Installs CRDs, roles and webhook configurations without clusterctl: what a test file needs, in a few seconds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../runtime/object.ts';
import type { APIServer } from './api-server.ts';
import type { Stack } from './build.ts';
import { componentsFile, STACK_PROVIDERS } from './components.ts';
import { MANAGERS, type ManagerName } from './managers.ts';
import { runProgram } from './process.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Needs a node, or cert-manager. */
const LEFT_OUT = new Set(['Deployment', 'Service', 'Certificate', 'Issuer', 'NetworkPolicy']);

export interface InstallOptions {
  readonly stack: Stack;
  readonly apiServer: APIServer;
  /** Managers that will run. The CRDs of all three are installed in any case, webhooks only of these. */
  readonly managers: readonly ManagerName[];
  /** Our bootstrap provider in place of the stock one; default false. */
  readonly ourBootstrap?: boolean;
}

/** Applies the manifests of Cluster API and of this checkout; every CRD is served when the promise settles. */
export async function installComponents(options: InstallOptions): Promise<void> {
  const { stack, apiServer, managers, ourBootstrap = false } = options;
  const kubectl = stack.binaries.kubectl;
  const labels = new Set(managers.map((name) => MANAGERS[name].label));
  const providers = STACK_PROVIDERS.filter(({ label }) => !ourBootstrap || label !== 'bootstrap-kubeadm');
  const theirs = providers.flatMap((provider) => {
    const objects = parse(readFileSync(componentsFile(stack.componentsDir, provider), 'utf8'));
    return labels.has(provider.label) ? objects : objects.filter(isDefinition).map(withoutConversion);
  });
  const ours: KubeObject[] = [];
  for (const folder of ['config/default', ...(ourBootstrap ? ['config/bootstrap'] : [])])
    ours.push(...parse(await runProgram(kubectl, ['kustomize', join(ROOT, folder)])));
  const items = [...theirs, ...ours].filter(({ kind }) => !LEFT_OUT.has(kind));
  await applyObjects({ stack, apiServer }, [
    ...items.filter(comesFirst),
    ...items.filter((one) => !comesFirst(one)),
  ]);
  const wait = ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all'];
  await runProgram(kubectl, [`--kubeconfig=${apiServer.kubeconfig}`, ...wait]);
}

/** `kubectl apply --server-side` of objects. */
export async function applyObjects(
  where: { stack: Stack; apiServer: APIServer },
  objects: readonly KubeObject[],
): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await applyText(where, JSON.stringify(list));
}

/** `kubectl apply --server-side` of a manifest, YAML or JSON. */
export async function applyText(
  where: { stack: Stack; apiServer: APIServer },
  manifest: string,
): Promise<void> {
  const flags = [`--kubeconfig=${where.apiServer.kubeconfig}`, '--server-side', '--force-conflicts'];
  await runProgram(where.stack.binaries.kubectl, ['apply', ...flags, '--filename=-'], { input: manifest });
}

function parse(text: string): KubeObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object): object is KubeObject => object !== null);
}

function isDefinition({ kind }: KubeObject): boolean {
  return kind === 'CustomResourceDefinition';
}

function comesFirst({ kind }: KubeObject): boolean {
  return kind === 'Namespace' || kind === 'CustomResourceDefinition';
}

/** Nobody would answer the conversion webhook of a manager that does not run. */
function withoutConversion(object: KubeObject): KubeObject {
  const definition = object as KubeObject & { spec: { conversion?: unknown } };
  delete definition.spec.conversion;
  return definition;
}
