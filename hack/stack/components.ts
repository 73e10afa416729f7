// SPDX-License-Identifier: Apache-2.0
// The clusterctl repository folders of Cluster API's own providers, made from its Go module: no download, no container registry.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { moduleDir } from './go.ts';
import { runProgram } from './process.ts';
import { VERSIONS } from './versions.ts';

/** One provider of the stack: its clusterctl label (CTL-2), the file that clusterctl asks for and where the module keeps it. */
export interface StackProvider {
  readonly label: 'cluster-api' | 'bootstrap-kubeadm' | 'control-plane-kubeadm';
  readonly name: 'cluster-api' | 'kubeadm';
  readonly type: 'CoreProvider' | 'BootstrapProvider' | 'ControlPlaneProvider';
  readonly file: string;
  readonly source: string;
}

export const STACK_PROVIDERS: readonly StackProvider[] = [
  {
    label: 'cluster-api',
    name: 'cluster-api',
    type: 'CoreProvider',
    file: 'core-components.yaml',
    source: 'core',
  },
  {
    label: 'bootstrap-kubeadm',
    name: 'kubeadm',
    type: 'BootstrapProvider',
    file: 'bootstrap-components.yaml',
    source: 'bootstrap/kubeadm',
  },
  {
    label: 'control-plane-kubeadm',
    name: 'kubeadm',
    type: 'ControlPlaneProvider',
    file: 'control-plane-components.yaml',
    source: 'controlplane/kubeadm',
  },
];

/** Path of a provider's components file under the folder that {@link buildComponents} made. */
export function componentsFile(componentsDir: string, provider: StackProvider): string {
  return join(componentsDir, provider.label, VERSIONS.clusterAPI, provider.file);
}

/** File with the CustomResourceDefinitions of cert-manager under the folder that {@link buildComponents} made. */
export function certManagerCRDs(componentsDir: string): string {
  return join(componentsDir, 'cert-manager', VERSIONS.certManager, 'cert-manager.crds.yaml');
}

/** Makes `dir` with all of it, in one move. Does nothing when it is there. */
export async function buildComponents(options: {
  dir: string;
  kubectl: string;
  folder: string;
}): Promise<void> {
  if (existsSync(options.dir)) return;
  const partial = `${options.dir}.${process.pid}`;
  try {
    const clusterAPI = await moduleDir('sigs.k8s.io/cluster-api', 'cluster-api', options.folder);
    for (const provider of STACK_PROVIDERS) {
      const source = join(clusterAPI, provider.source, 'config/default');
      const text = await runProgram(options.kubectl, ['kustomize', source]);
      write(componentsFile(partial, provider), text);
      // Read and written rather than copied: files of the module cache are read only, and so would be the copy.
      const metadata = readFileSync(join(clusterAPI, 'metadata.yaml'), 'utf8');
      write(join(partial, provider.label, VERSIONS.clusterAPI, 'metadata.yaml'), metadata);
    }
    const certManager = await moduleDir(
      'github.com/cert-manager/cert-manager',
      'cert-manager',
      options.folder,
    );
    write(certManagerCRDs(partial), allOf(join(certManager, 'deploy/crds')));
    renameSync(partial, options.dir);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function write(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}

function allOf(dir: string): string {
  const files = readdirSync(dir).filter((file) => file.endsWith('.yaml'));
  return files.map((file) => readFileSync(join(dir, file), 'utf8')).join('\n---\n');
}
