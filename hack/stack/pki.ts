// SPDX-License-Identifier: Apache-2.0
// Certificates of one control plane, made by the kubeadm of the stack as it would make them on a machine.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { runProgram } from './process.ts';

export interface PKI {
  /** Folder with the files that kubeadm writes: `ca.crt`, `apiserver.key`, `etcd/ca.crt`, `sa.pub` ... */
  readonly dir: string;
  /** Kubeconfig of group system:masters. */
  readonly adminKubeconfig: string;
  /** Text of a file under `dir`. */
  read(file: string): string;
}

/** An address for documentation (RFC 5737): kubeadm wants one that is not loopback, and nothing ever connects to it. */
export const ADVERTISED = '192.0.2.1';

/** The serving certificate is for 127.0.0.1 and localhost; the kubeconfig points at `port` on 127.0.0.1. */
export async function createPKI(options: {
  kubeadm: string;
  dir: string;
  port: number;
  version: string;
}): Promise<PKI> {
  const pki = join(options.dir, 'pki');
  const config = join(options.dir, 'kubeadm.yaml');
  writeFileSync(config, kubeadmConfig({ ...options, pki }));
  await runProgram(options.kubeadm, ['init', 'phase', 'certs', 'all', '--config', config]);
  const kubeconfigs = ['--config', config, '--kubeconfig-dir', options.dir];
  await runProgram(options.kubeadm, ['init', 'phase', 'kubeconfig', 'super-admin', ...kubeconfigs]);
  return {
    dir: pki,
    adminKubeconfig: join(options.dir, 'super-admin.conf'),
    read: (file) => readFileSync(join(pki, file), 'utf8'),
  };
}

function kubeadmConfig(options: { pki: string; port: number; version: string }): string {
  const apiVersion = 'kubeadm.k8s.io/v1beta4';
  const init = {
    apiVersion,
    kind: 'InitConfiguration',
    localAPIEndpoint: { advertiseAddress: ADVERTISED, bindPort: options.port },
    nodeRegistration: { name: 'control-plane' },
  };
  const cluster = {
    apiVersion,
    kind: 'ClusterConfiguration',
    kubernetesVersion: options.version,
    certificatesDir: options.pki,
    controlPlaneEndpoint: `127.0.0.1:${options.port}`,
    apiServer: { certSANs: ['localhost', '127.0.0.1'] },
  };
  return `${stringify(init)}---\n${stringify(cluster)}`;
}
